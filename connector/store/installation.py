"""Which database this is: one that was restored or copied starts with texting stopped, until a person has looked.

A backup does not know what was sent after it: its waiting texts would go out once more, and so would its reasons.
"""

from datetime import timedelta

import psycopg
import structlog

from connector.store import circuit_breaker, leases, queries

log = structlog.get_logger()
SQL = queries.load(__file__)

# Nobody has worked on this database for so long, and texts wait in it: it may have been restored from a copy.
LONG = timedelta(days=1)
CONFIRM = "see what was sent since in CCAI Platform, then: connector resume"


def check(url: str) -> None:
    """Stop texting where this database is not the one that workers have used so far. Committed when it returns."""
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
    except psycopg.errors.InsufficientPrivilege:  # a server that keeps its own facts to itself
        row = connection.execute(SQL["database_number"]).fetchone()
    return ":".join(str(part) for part in row or ())


def _stop(connection: psycopg.Connection, why: str) -> None:
    circuit_breaker.stop_for_people(connection, circuit_breaker.PLATFORM, why)
    log.error("texting is stopped until somebody confirms", why=why)
