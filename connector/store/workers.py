"""The workers that run, each with its heartbeat, by host. For probes and metrics: no decision depends on them."""

import os
import socket

import psycopg

from connector.store import queries
from connector.store.leases import ALIVE_SECONDS

SQL = queries.load(__file__)


def seen(connection: psycopg.Connection) -> None:
    """Record the heartbeat of this process. Call at least once every ALIVE_SECONDS."""
    connection.execute(SQL["seen"], _me() | {"every": ALIVE_SECONDS})


def gone(connection: psycopg.Connection) -> None:
    """Record that this process ends."""
    connection.execute(SQL["gone"], _me())


def silence(connection: psycopg.Connection) -> float | None:
    """Seconds since a worker on this machine was heard of; None: none was, or all have ended."""
    row = connection.execute(SQL["silence"], {"host": socket.gethostname()}).fetchone()
    return None if row is None else float(row[0])


def _me() -> dict[str, str | int]:
    return {"host": socket.gethostname(), "pid": os.getpid()}
