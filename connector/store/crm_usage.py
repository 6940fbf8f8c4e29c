"""The used share of each CRM's daily API calls, as workers last read it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import psycopg
from psycopg.rows import class_row

from connector.store import queries

SQL = queries.load(__file__)


@dataclass(frozen=True, slots=True)
class Usage:
    """What a CRM last reported. `share` of the day's calls that were used, 0 to 1; `at` in UTC."""

    crm: str
    share: float
    at: datetime


def record(connection: psycopg.Connection, shares: Mapping[str, float]) -> None:
    """Record the shares by CRM."""
    connection.execute(SQL["record"], {"crms": list(shares), "shares": list(shares.values())})


def latest(connection: psycopg.Connection) -> list[Usage]:
    """Return the newest report of each CRM."""
    with connection.cursor(row_factory=class_row(Usage)) as cursor:
        return cursor.execute(SQL["latest"]).fetchall()
