"""Sessions of the console: short, listed, revocable. Only the hash of a session's token is stored.

A session that an API key began has that key's roles as they are now, and ends with the key.
"""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import psycopg
from psycopg.rows import class_row

from connector.store import queries

SQL = queries.load(__file__)
# A session ends after so long, and earlier when nobody uses it.
HOURS, IDLE_MINUTES = 8, 60
# Characters of the notices that wait for a page.
MAX_NOTICE = 4_000


class Method(StrEnum):
    """How a person signed in."""

    KEY = "key"
    OPENID = "openid"


@dataclass(frozen=True, slots=True)
class Notice:
    """Words that the next page shows once. `problem`: an action was refused."""

    words: str
    problem: bool = False


@dataclass(frozen=True, slots=True)
class Session:
    """An open session. `roles` of the console, by their values; `origin`: the browser's address. Times in UTC."""

    id: int
    who: str
    method: Method
    roles: Sequence[str]
    origin: str
    began_at: datetime
    seen_at: datetime
    ends_at: datetime


def begin(connection: psycopg.Connection, who: str, method: Method, roles: Sequence[str], origin: str) -> str:
    """Begin a session and return its token, this once. `who`: of method KEY, the key's name."""
    token = secrets.token_urlsafe(32)
    row = {"hash": _hashed(token), "who": who, "method": method, "roles": list(roles), "origin": origin}
    connection.execute(SQL["begin"], row | {"hours": HOURS})
    return token


def find(
    connection: psycopg.Connection, token: str, used: bool = True, shows: bool = True
) -> tuple[Session, Notice | None] | None:
    """Return the open session of a token, and the notice to show. None: there is none, or it has ended.

    `used` False: a page that refreshes itself asks. That neither prolongs the session nor takes its notice.
    `shows` False: the answer is no page, such as a redirect. It leaves the notice to the next page.
    """
    asked = {"hash": _hashed(token), "used": used, "idle": IDLE_MINUTES}
    with connection.cursor(row_factory=class_row(Session)) as cursor:
        session = cursor.execute(SQL["find"], asked).fetchone()
    if session is None:
        return None
    taken = connection.execute(SQL["use"], {"id": session.id, "shows": shows}).fetchone() if used else None
    return session, Notice(**taken[0]) if taken and taken[0] else None


def notify(connection: psycopg.Connection, session: int, notice: Notice) -> None:
    """Keep a notice for the session's next page, after those that wait for it already."""
    words = notice.words.replace("\0", "")
    row = {"id": session, "words": words, "problem": notice.problem, "most": MAX_NOTICE}
    connection.execute(SQL["notify"], row)


def listed(connection: psycopg.Connection) -> list[Session]:
    """Return all open sessions, newest first."""
    with connection.cursor(row_factory=class_row(Session)) as cursor:
        return cursor.execute(SQL["listed"], {"idle": IDLE_MINUTES}).fetchall()


def end(connection: psycopg.Connection, session: int) -> str | None:
    """End a session at once. Return who had it; None: there is no such session."""
    row = connection.execute(SQL["end"], {"id": session}).fetchone()
    return str(row[0]) if row else None


def forget(connection: psycopg.Connection) -> None:
    """Delete the sessions that have ended."""
    connection.execute(SQL["forget"], {"idle": IDLE_MINUTES})


def _hashed(token: str) -> str:
    # Tokens are long and random, so a slow hash would add no protection.
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()
