"""Roll-ups: counts of texts by outcome, channel, rule and refusal code, and how long they took, by time (UTC).

The statements that change a text's state add their counts in the same transaction, so that the counts are exact. They
only add rows: transitions never wait for each other. A count is a sum over these rows. A text counts in the period in
which it got its present state: 5 minutes, or an hour once that is two days old. See docs/decisions/0015-roll-ups.md.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import psycopg
from psycopg.rows import class_row

from connector.store import queries

SQL = queries.load(__file__)


@dataclass(frozen=True, slots=True)
class Count:
    """The number of texts of one kind. `rule` is empty for a text without a rule, `code` without a refusal."""

    state: str
    channel: str
    rule: str
    code: str
    texts: int


@dataclass(frozen=True, slots=True)
class Outcomes:
    """The number of texts that got this outcome in the step that begins at `start`."""

    start: datetime
    state: str
    channel: str
    code: str
    texts: int


class LatencyKind(StrEnum):
    """From when a text was due until it was sent, its outcome was on the ticket, or an agent knew the outcome."""

    SENT = "sent"
    WRITTEN = "written"
    CLICK = "click"


@dataclass(frozen=True, slots=True)
class Latency:
    """The number of texts that took at most `bucket` seconds, and more than the next smaller bound.

    The bounds are in queries.sql; the last is infinity.
    """

    start: datetime
    kind: LatencyKind
    bucket: float
    texts: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", LatencyKind(self.kind))


def counts(connection: psycopg.Connection, since: datetime, until: datetime) -> list[Count]:
    """Count the texts that got their present state from `since` until `until`, which are full hours."""
    with connection.cursor(row_factory=class_row(Count)) as cursor:
        return cursor.execute(SQL["counts"], {"since": since, "until": until}).fetchall()


def series(connection: psycopg.Connection, since: datetime, until: datetime, step_seconds: int) -> list[Outcomes]:
    """Count outcomes in steps of so many seconds, which are a multiple of 300. Times as for `counts`."""
    asked = {"since": since, "until": until, "step": step_seconds}
    with connection.cursor(row_factory=class_row(Outcomes)) as cursor:
        return cursor.execute(SQL["series"], asked).fetchall()


def latencies(connection: psycopg.Connection, since: datetime, until: datetime, step_seconds: int) -> list[Latency]:
    """Return histograms of latencies in steps of so many seconds, which are a multiple of 300."""
    asked = {"since": since, "until": until, "step": step_seconds}
    with connection.cursor(row_factory=class_row(Latency)) as cursor:
        return cursor.execute(SQL["latencies"], asked).fetchall()


def sum_up(connection: psycopg.Connection) -> None:
    """Add new counts to the old ones, so that sums stay quick. The sums do not change."""
    connection.execute(SQL["sum_up"])
