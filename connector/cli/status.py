"""connector status: whether texts may be sent, and the number of texts in each state."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime

import click
import psycopg

from connector.cli import daily_budgets
from connector.cli.connection import connected
from connector.cli.output import JSON, count, plain, print_json, print_table, say
from connector.cli.pause import sentence
from connector.store import circuit_breaker, leases, pauses, text_views
from connector.store.pauses import Pause, Scope


@click.command()
@JSON
def status(as_json: bool) -> None:
    """Whether texts may leave, whether a worker is there, and how many texts are where. Status 1 if stopped."""
    with connected() as connection:
        sys.exit(show_status(connection, as_json))


def show_status(connection: psycopg.Connection, as_json: bool) -> int:
    """Print whether texts may be sent, and counts by state. 1 when an account is paused or a CRM refuses outcomes."""
    accounts, operator, counts, heard = (
        circuit_breaker.status(connection),
        pauses.current(connection),
        text_views.counts(connection),
        leases.heard(connection),
    )
    platform = next(
        (one for one in accounts if one.account == circuit_breaker.PLATFORM),
        circuit_breaker.Status(circuit_breaker.PLATFORM),
    )
    total = {name: sum(row[name] for row in counts) for name in ("untold", "refused", "contradicted", "held")}
    leaves_at = _leaves_at(accounts, operator, [row["leaves_at"] for row in counts if row["leaves_at"]])
    budgets = daily_budgets.rows(connection)
    bad = bool(total["refused"] or any(one.tripped_at for one in accounts) or any(one.is_wide for one in operator))
    if as_json:
        print_json(
            {
                "tripped_at": platform.tripped_at,
                "tripped_why": platform.tripped_why,
                "paused_until": platform.paused_until,
                "pauses": [asdict(one) for one in operator],
                "accounts": [asdict(one) for one in accounts],
                "worker": heard.lately,
                "worker_heard_at": heard.at,
                "texts": {row["state"]: row["texts"] for row in counts},
                "untold": total["untold"],
                "refused": total["refused"],
                "contradicted": total["contradicted"],
                "texts_held": total["held"],
                "next_leaves_at": leaves_at,
                "daily_budgets": budgets,
            }
        )
        return int(bad)
    for line in [*_said_of(accounts, operator), *_said_of_texts(total, leaves_at, heard)]:
        say(line)
    for line in daily_budgets.in_words(budgets):
        say(line)
    print_table(["state", "texts", "not told yet"], [[row["state"], row["texts"], row["untold"]] for row in counts])
    return int(bad)


def _said_of(accounts: Sequence[circuit_breaker.Status], operator: Sequence[Pause]) -> Iterator[str]:
    """A line for each pause, with its reason."""
    yield from (sentence(one) for one in operator)
    for one in accounts:
        mine = one.account == circuit_breaker.PLATFORM
        if one.tripped_at:
            what = "Sending is paused" if mine else f"{one.account} cannot be used"
            yield f"{what} since {plain(one.tripped_at)}: {one.tripped_why}"
            by_itself = "" if one.manual_resume else " by itself once the setting is right, or"
            yield f"It goes on{by_itself} with: connector resume"
        elif mine:
            yield f"Texts wait until {plain(one.paused_until)}: CCAI Platform asked for a pause, or cannot be reached."
        else:
            yield f"{one.account} is left alone until {plain(one.paused_until)}: {one.paused_why}"
    if not accounts and not any(one.is_wide for one in operator):
        yield "Texts may leave."


def _said_of_texts(total: Mapping[str, int], leaves_at: datetime | None, heard: leases.Heard) -> Iterator[str]:
    if not heard.lately:
        since = f" since {plain(heard.at)} (UTC)" if heard.at else ""
        yield f"No worker has been heard of{since}: nothing leaves until one runs (connector run, or worker)."
    if held := total["held"]:
        waiting = "waits for its hours" if held == 1 else "wait for their hours"
        then = f"; the next leaves at {plain(leaves_at)} (UTC)" if leaves_at else ""
        yield f"{count(held, 'queued text')} {waiting}, a new day's budget, or another try{then}."
    if refused := total["refused"]:
        are = "is" if refused == 1 else "are"
        yield f"{count(refused, 'outcome')} {are} refused by the CRM, and told again: connector texts list --refused"
    if contradicted := total["contradicted"]:
        one = "an answer that contradicts how a person had settled it"
        yield f"{count(contradicted, 'text')} had {one}: connector texts list --contradicted"


def _leaves_at(
    accounts: Sequence[circuit_breaker.Status], operator: Sequence[Pause], due: Sequence[datetime]
) -> datetime | None:
    """When the next held text is sent. None when there is none or an account waits for `resume`."""
    sending = [one for one in operator if one.scope == Scope.ALL or one.name == circuit_breaker.PLATFORM]
    if not due or any(one.tripped_at for one in accounts) or not all(one.ends_at for one in sending):
        return None
    ends = [one.ends_at for one in sending if one.ends_at]
    return max([min(due), *ends, *(one.paused_until for one in accounts if one.paused_until)])
