"""Leases for periodic tasks that one worker at a time runs: retention, feeding back-fills, reconciling chats.

Leases are stored in the database. A task runs as often with ten workers as with one, and goes on when a worker dies.
"""

from dataclasses import dataclass
from datetime import datetime

import psycopg
from psycopg.rows import class_row

from connector.store import queries

SQL = queries.load(__file__)
# The workers' heartbeats: the start of their leases' names, their interval, and the
# silence after which no worker is assumed to run.
ALIVE, ALIVE_SECONDS, SILENT_SECONDS = "alive", 10.0, 30.0


# The row that a web process writes to check that the database accepts writes.
WRITTEN = "written"


@dataclass(frozen=True, slots=True)
class Heard:
    """The last heartbeat of any worker (UTC; `ago` in seconds). `lately`: it is recent, so a worker is running."""

    at: datetime | None = None
    ago: float | None = None
    lately: bool = False


def take(connection: psycopg.Connection, name: str, every: float) -> bool:
    """Take the lease if it is due. If so, it is due again, for any worker, in `every` seconds."""
    return connection.execute(SQL["take"], {"name": name, "seconds": every}).fetchone() is not None


def put_off(connection: psycopg.Connection, name: str, seconds: float) -> None:
    """Make the lease due in so many seconds."""
    connection.execute(SQL["put_off"], {"name": name, "seconds": seconds})


def cursor(connection: psycopg.Connection, name: str) -> datetime | None:
    """Return the progress that this task keeps, locked until the caller's transaction ends. None: it keeps none."""
    row = connection.execute(SQL["cursor"], {"name": name}).fetchone()
    return row[0] if row else None


def move_cursor(connection: psycopg.Connection, name: str, old: datetime | None, new: datetime | None) -> bool:
    """Move the progress of a task whose lease was taken. False: another worker has moved it since it was `old`."""
    return connection.execute(SQL["move_cursor"], {"name": name, "from": old, "to": new}).fetchone() is not None


def alive(connection: psycopg.Connection, worker: str = "") -> None:
    """Record the heartbeat of the worker with this name. Call at least once every ALIVE_SECONDS."""
    connection.execute(SQL["alive"], {"name": _of(worker), "every": ALIVE_SECONDS})


def sign_off(connection: psycopg.Connection, worker: str = "") -> None:
    """Record that the worker has stopped cleanly, so that it does not count as running."""
    connection.execute(SQL["signed_off"], {"name": _of(worker)})


def _of(worker: str) -> str:
    return f"{ALIVE}:{worker}" if worker else ALIVE


def written(connection: psycopg.Connection) -> None:
    """Check that the database accepts writes; one that is full or read-only still answers. Raises psycopg.Error."""
    put_off(connection, WRITTEN, 0)


def heard(connection: psycopg.Connection) -> Heard:
    """The last heartbeat of any worker, for display."""
    wanted = {"name": ALIVE, "every": ALIVE_SECONDS, "silent": SILENT_SECONDS}
    with connection.cursor(row_factory=class_row(Heard)) as cursor:
        return cursor.execute(SQL["heard"], wanted).fetchone() or Heard()
