"""Recognize a restored or copied database and pause all sending until an operator resumes it.

A backup does not know what was sent after it was taken. What waits in it is marked, and never sent unless an operator
says that nothing was sent since: the texts become unknown, and cases of back-fills are skipped. See
docs/decisions/0003-a-restored-database-waits-for-a-person.md.
"""

from dataclasses import dataclass
from datetime import timedelta

import psycopg
import structlog
from psycopg.rows import class_row

from connector.store import circuit_breaker, leases, queries

log = structlog.get_logger()
SQL = queries.load(__file__)

# A database that no worker has used for this long, with texts waiting, may have been restored from a copy.
LONG = timedelta(days=1)
CONFIRM = "see what was sent since in CCAI Platform, then: connector resume"
# Why a marked case of a back-fill is skipped, and why a marked text is unknown.
SKIP = "the database was restored: this case may have been texted since the backup"
MAYBE_SENT = "the database was restored while the text waited: it may have been sent since the backup"
# Why a newer text waits for a marked text of its ticket. An agent's fails, because the marked one may wait for hours.
FIRST = circuit_breaker.SendingPaused(
    "an earlier text of this ticket may have been sent before the database was restored, and is decided first",
    until_resumed=True,
    retry_after=circuit_breaker.PAUSE_POLL_SECONDS,
)


@dataclass(frozen=True, slots=True)
class Marked:
    """How many texts, and cases of back-fills without a text, waited when the database was restored."""

    texts: int
    cases: int


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
            _mark_and_stop(
                connection, f"this database was restored, copied or failed over, and texts wait in it; {CONFIRM}"
            )
        elif silent is not None and silent > LONG.total_seconds():
            _mark_and_stop(
                connection, f"no worker has used this database for over a day, and texts wait in it; {CONFIRM}"
            )


def _identity(connection: psycopg.Connection) -> str:
    try:
        with connection.transaction():
            row = connection.execute(SQL["identity"]).fetchone()
    except psycopg.errors.InsufficientPrivilege:  # managed servers may deny access to the control data
        row = connection.execute(SQL["database_number"]).fetchone()
    return ":".join(str(part) for part in row or ())


def marked(connection: psycopg.Connection) -> Marked:
    """Return what waits for the operator's word."""
    with connection.cursor(row_factory=class_row(Marked)) as cursor:
        [found] = cursor.execute(SQL["marked"], {"skip": SKIP}).fetchall()
    return found


def trust(connection: psycopg.Connection) -> None:
    """Send what waits after all: an operator knows that nothing was sent since the backup."""
    connection.execute(SQL["unmark"], {"skip": SKIP})


def _mark_and_stop(connection: psycopg.Connection, why: str) -> None:
    connection.execute(SQL["mark"], {"skip": SKIP})
    circuit_breaker.trip_until_resumed(connection, circuit_breaker.PLATFORM, why)
    log.error("sending is paused until somebody confirms", why=why)
