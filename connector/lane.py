"""Whether texts may leave at all. One row in the database answers for all workers on all machines together.

Held: the platform asked for a pause, or cannot be reached; it ends by itself. Stopped: a setting is wrong, so that
every text would be refused; it ends when a probe that can send nothing succeeds, or by `connector resume`.
"""

from dataclasses import dataclass
from datetime import datetime

import psycopg
from psycopg.rows import class_row

from connector import sql
from connector.errors import ConnectorError

SQL = sql.load("lane")
LANE = {"lane": "ccaip"}


class Closed(ConnectorError):
    """Nobody may send now. `stopped`: until a setting is put right; else for `seconds`."""

    def __init__(self, why: str, stopped: bool, seconds: float) -> None:
        super().__init__(why)
        self.stopped, self.seconds = stopped, seconds


# While it is stopped nobody knows for how long: texts in hand are put back for so many seconds.
LOOK_AGAIN = 5.0


@dataclass(frozen=True, slots=True)
class Status:
    """The lane for people. Times in UTC."""

    stopped_at: datetime | None = None
    stopped_why: str | None = None
    held_until: datetime | None = None


def closed(stopped_why: str | None, held_for: float | None) -> Closed | None:
    """Whether a lane like this is closed; `held_for` in seconds."""
    if stopped_why is not None:
        return Closed(f"texting is stopped: {stopped_why}", True, LOOK_AGAIN)
    if held_for is not None and held_for > 0:
        return Closed("CCAI Platform asked for a pause or cannot be reached", False, held_for)
    return None


def look(connection: psycopg.Connection) -> Closed | None:
    """Why nobody may send now; None: everybody may."""
    row = connection.execute(SQL["look"], LANE).fetchone()
    return closed(*row) if row else None


def hold(connection: psycopg.Connection, seconds: float) -> None:
    """Nobody sends for so long."""
    connection.execute(SQL["hold"], LANE | {"seconds": seconds})


def stop(connection: psycopg.Connection, why: str) -> int | None:
    """Nobody sends until `resume`. How often it was found wrong lately before; None: it was stopped already."""
    row = connection.execute(SQL["stop"], LANE | {"why": why}).fetchone()
    return row[0] if row else None


def resume(connection: psycopg.Connection) -> bool:
    """Everybody may send again. Whether anybody was kept from it."""
    return connection.execute(SQL["resume"], LANE).fetchone() is not None


def probed(connection: psycopg.Connection) -> int:
    """A probe found it still wrong: how often now."""
    row = connection.execute(SQL["probed"], LANE).fetchone()
    return row[0] if row else 0


def status(connection: psycopg.Connection) -> Status:
    """For people."""
    with connection.cursor(row_factory=class_row(Status)) as cursor:
        return cursor.execute(SQL["status"], LANE).fetchone() or Status()
