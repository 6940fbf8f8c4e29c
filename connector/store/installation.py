"""Recognize a restored or copied database and pause all sending until an operator resumes it.

A backup does not know what was sent after it was taken. Its waiting texts would be sent a second time, and reasons
that were texted since would be texted again.
"""

from datetime import timedelta

import psycopg
import structlog

from connector.store import circuit_breaker, leases, queries

log = structlog.get_logger()
SQL = queries.load(__file__)

# A database that no worker has used for this long, with texts waiting, may have been restored from a copy.
LONG = timedelta(days=1)
CONFIRM = "see what was sent since in CCAI Platform, then: connector resume"


def check(url: str) -> None:
    """Pause all sending when this is not the database that workers used before. Committed when it returns."""
    with psycopg.connect(url, autocommit=True) as connection, connection.transaction():
        found = _identity(connection)
        known = connection.execute(SQL["known"], {"identity": found}).fetchone()
        connection.execute(SQL["remember"], {"identity": found})
        silent = leases.heard(connection).ago
        waits = connection.execute(SQL["waiting"]).fetchone()
        if not (waits and waits[0]):
            return
        if known and known[0] != found:
            _stop(connection, f"this database was restored, copied or failed over, and texts wait in it; {CONFIRM}")
        elif silent is not None and silent > LONG.total_seconds():
            _stop(connection, f"no worker has used this database for over a day, and texts wait in it; {CONFIRM}")


def _identity(connection: psycopg.Connection) -> str:
    try:
        with connection.transaction():
            row = connection.execute(SQL["identity"]).fetchone()
    except psycopg.errors.InsufficientPrivilege:  # managed servers may deny access to the control data
        row = connection.execute(SQL["database_number"]).fetchone()
    return ":".join(str(part) for part in row or ())


def _stop(connection: psycopg.Connection, why: str) -> None:
    circuit_breaker.trip_until_resumed(connection, circuit_breaker.PLATFORM, why)
    log.error("sending is paused until somebody confirms", why=why)
