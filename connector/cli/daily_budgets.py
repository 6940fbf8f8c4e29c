"""The daily budgets for `connector status`: what each outbound number has used of the day."""

from collections.abc import Iterator, Sequence
from typing import Any

import psycopg

from connector import bootstrap
from connector.errors import BadMapping, BadSettings
from connector.settings import load
from connector.store import daily_budget, postgres


def rows(connection: psycopg.Connection) -> list[dict[str, Any]]:
    """What each number with a daily budget has used today. Empty where the mapping files cannot be read here."""
    try:
        budgets = bootstrap.budgets(bootstrap.mappings(load()).values())
    except (BadSettings, BadMapping):
        return []  # the status is asked for when something is wrong; `connector check` says what
    now = postgres.now(connection)
    uses = daily_budget.used(connection, budgets, now)
    return [
        {
            "number": number,
            "unit": budget.unit,
            "used": budget.used(uses[number]),
            "limit": budget.limit,
            "batch_limit": budget.limit_of(batch=True),
            "day": budget.day(now),
            "zone": budget.zone,
            "next_day_at": budget.next_day(now),
        }
        for number, budget in budgets.items()
    ]


def in_words(found: Sequence[dict[str, Any]]) -> Iterator[str]:
    """A line for each number."""
    for one in found:
        used = f"{one['used']:,} of {one['limit']:,} {one['unit']}"
        line = f"{one['number']} has used {used} of {one['day']} ({one['zone']})"
        if one["used"] >= one["limit"]:
            yield f"{line}: its texts wait for the next day."
        elif one["used"] >= one["batch_limit"]:
            yield f"{line}: back-fills wait for the next day; they may use {one['batch_limit']:,}."
        else:
            yield f"{line}."
