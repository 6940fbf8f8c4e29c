"""What one worker at a time does every now and then: house-keeping, probing, looking for chats.

Kept in the database, so that it happens as often with ten workers as with one, and goes on when one of them dies.
"""

from dataclasses import dataclass
from datetime import datetime

import psycopg
from psycopg.rows import class_row

from connector.store import queries

SQL = queries.load(__file__)
# A sign of life of any worker, once in so many seconds; none for so long, and none is there.
ALIVE, ALIVE_SECONDS, SILENT_SECONDS = "alive", 10.0, 30.0


# The row by which a web process knows that the database can be written.
WRITTEN = "written"


@dataclass(frozen=True, slots=True)
class Heard:
    """When a worker was last heard of (UTC; `ago` in seconds), and whether that is as it should be."""

    at: datetime | None = None
    ago: float | None = None
    lately: bool = False


def take(connection: psycopg.Connection, name: str, every: float) -> bool:
    """Whether it is our turn now. Then the next turn, anybody's, comes in `every` seconds."""
    return connection.execute(SQL["take"], {"name": name, "seconds": every}).fetchone() is not None


def put_off(connection: psycopg.Connection, name: str, seconds: float) -> None:
    """The next turn comes in so many seconds."""
    connection.execute(SQL["put_off"], {"name": name, "seconds": seconds})


def alive(connection: psycopg.Connection) -> None:
    """A worker is here. To be said again and again, at least once in ALIVE_SECONDS."""
    take(connection, ALIVE, ALIVE_SECONDS)


def written(connection: psycopg.Connection) -> None:
    """Write something, and commit it: a database that is full or read-only still answers. Raises psycopg.Error."""
    put_off(connection, WRITTEN, 0)


def heard(connection: psycopg.Connection) -> Heard:
    """Whether there is a worker, for people."""
    wanted = {"name": ALIVE, "every": ALIVE_SECONDS, "silent": SILENT_SECONDS}
    with connection.cursor(row_factory=class_row(Heard)) as cursor:
        return cursor.execute(SQL["heard"], wanted).fetchone() or Heard()
