"""Roll-ups: counts of texts by state, channel, rule and refusal code, for each hour (UTC).

A trigger on `texts` adds rows to `roll_ups` in the transaction of every change, so that the counts are exact. It only
adds rows: transitions never wait for each other. Counts are sums over these rows and never read `texts`. A text counts
in the hour in which it got its present state.
"""

from dataclasses import dataclass
from datetime import datetime

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


def counts(connection: psycopg.Connection, since: datetime, until: datetime) -> list[Count]:
    """Count the texts that got their present state from `since` until `until`, which are full hours."""
    with connection.cursor(row_factory=class_row(Count)) as cursor:
        return cursor.execute(SQL["counts"], {"since": since, "until": until}).fetchall()


def sum_up(connection: psycopg.Connection) -> None:
    """Replace each hour's rows by their sums, so that counts stay quick. The counts do not change."""
    connection.execute(SQL["sum_up"])
