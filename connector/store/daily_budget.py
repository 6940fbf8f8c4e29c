"""What each outbound number has sent on each day, counted for all workers together. Exact: see `Counter`.

A text takes its share of the budget in the transaction that commits `sending`. It keeps it, unless it becomes certain
that nothing was sent. Then the share is given back as a correction, which the next claim counts: a text's transition
never waits for a number's counter, so that the two cannot deadlock. Without a budget, nothing is counted.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any

import psycopg

from connector.errors import ConnectorError
from connector.policy.checks import Known
from connector.policy.daily_budget import NOTHING, Budget, Budgets, Use
from connector.store import queries
from connector.store.rows import jsonb

SQL = queries.load(__file__)

# An outbound number (E.164) and a day.
NumberDay = tuple[str, date]


class OverBudget(ConnectorError):
    """The day's budget of the text's outbound number is used up."""


@dataclass(frozen=True, slots=True)
class Share:
    """What a text takes of the budget of its outbound number (E.164)."""

    number: str
    budget: Budget
    segments: int
    batch: bool

    @property
    def error(self) -> OverBudget:
        return OverBudget(f"{self.budget.in_words(self.number, self.batch)} is used up")


@dataclass(slots=True)
class Counter:
    """The counters of some numbers, locked until the end of the caller's transaction. `now`: when it began."""

    now: datetime
    uses: dict[NumberDay, Use] = field(default_factory=dict)

    def fitting(self, shares: Mapping[int, Share]) -> set[int]:
        """Those of these shares, by token, that fit together, agents' and triggers' first."""
        left, found = dict(self.uses), set[int]()
        for token, share in sorted(shares.items(), key=lambda one: one[1].batch):
            at = self._of(share)
            if share.budget.fits(left[at], share.segments, share.batch):
                left[at] += Use(1, share.segments)
                found.add(token)
        return found

    def take(self, shares: Iterable[Share]) -> None:
        for share in shares:
            self.uses[self._of(share)] += Use(1, share.segments)

    def stored(self, share: Share) -> dict[str, Any]:
        """The share as the text keeps it."""
        return {"number": share.number, "day": share.budget.day(self.now).isoformat(), "segments": share.segments}

    def _of(self, share: Share) -> NumberDay:
        return share.number, share.budget.day(self.now)


def lock(connection: psycopg.Connection, shares: Iterable[Share], now: datetime) -> Counter:
    """Lock the counters of these shares' numbers until the end of the caller's transaction."""
    days = {(share.number, share.budget.day(now)) for share in shares}
    asked = {"days": jsonb([{"number": number, "day": day.isoformat()} for number, day in sorted(days)])}
    uses = {(number, day): Use(*use) for number, day, *use in connection.execute(SQL["lock"], asked)}
    for number, day, *use in connection.execute(SQL["take_corrections"], asked):
        uses[number, day] += Use(*use)
    return Counter(now, uses)


def keep(connection: psycopg.Connection, counter: Counter) -> None:
    """Store the counters, in the transaction that locked them."""
    rows = [
        {"number": number, "day": day.isoformat(), "texts": use.texts, "segments": use.segments}
        for (number, day), use in counter.uses.items()
    ]
    connection.execute(SQL["keep"], {"rows": jsonb(rows)})


def holding(connection: psycopg.Connection, texts: Sequence[int]) -> set[int]:
    """Those of these texts that have a share already: an earlier try may have sent them."""
    return {text for (text,) in connection.execute(SQL["holding"], {"ids": list(texts)})}


def without_own(
    connection: psycopg.Connection,
    known: Mapping[int, Known],
    numbers: Mapping[int, str],
    budgets: Budgets,
    now: datetime,
) -> dict[int, Known]:
    """Take the share that each text itself has of the day's budget out of what its outbound number has sent today."""
    own = {text: (number, day, Use(-1, -segments)) for text, number, day, segments in _shares(connection, known)}
    return {
        text: replace(one, sent_today=one.sent_today + own[text][2])
        if text in own and own[text][:2] == _number_day(numbers[text], budgets, now)
        else one
        for text, one in known.items()
    }


def _shares(connection: psycopg.Connection, texts: Iterable[int]) -> list[tuple[int, str, date, int]]:
    return connection.execute(SQL["shares"], {"ids": list(texts)}).fetchall()


def _number_day(number: str, budgets: Budgets, now: datetime) -> NumberDay | None:
    return (number, budgets[number].day(now)) if number in budgets else None


def charge_again(connection: psycopg.Connection, text: int) -> None:
    """Count a text that had given its share back, and was sent after all."""
    connection.execute(SQL["charge_again"], {"id": text})


def used(connection: psycopg.Connection, budgets: Budgets, now: datetime) -> dict[str, Use]:
    """What has been sent from these numbers on the day of `now`, by number."""
    uses = dict.fromkeys(budgets, NOTHING)
    if budgets:
        days = [{"number": number, "day": budget.day(now).isoformat()} for number, budget in budgets.items()]
        for number, *use in connection.execute(SQL["used"], {"days": jsonb(days)}):
            uses[number] = Use(*use)
    return uses


def with_use(
    connection: psycopg.Connection,
    known: dict[int, Known],
    numbers: Mapping[int, str],
    budgets: Budgets,
    now: datetime,
) -> dict[int, Known]:
    """Add to what is known of texts what their outbound numbers, by text, have sent today."""
    limited = {number: budgets[number] for number in set(numbers.values()) & budgets.keys()}
    if not limited:
        return known
    uses = used(connection, limited, now)
    return {text: replace(one, sent_today=uses.get(numbers[text], NOTHING)) for text, one in known.items()}
