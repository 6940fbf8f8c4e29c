"""The chats of sent texts, and their newest status.

All raise psycopg.Error when the database does not answer.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any, Literal

import psycopg
from psycopg.rows import class_row

from connector import chat_status
from connector.chat_status import Report, Source
from connector.store import leases, queries
from connector.store.rows import jsonb

SQL = queries.load(__file__)

# A chat without news for this long is no longer looked for in the list. A webhook still counts.
FOLLOW_DAYS = 7
# Allowed difference in seconds between the platform's clock and the database's, when a chat is first looked for.
SKEW_SECONDS = 120.0
# The lease of the task that reads the list. Its cursor is the time, by the platform's clock, to read from.
LEASE = "follow chats"


def observe(
    connection: psycopg.Connection,
    chat_id: str,
    status: str,
    at: datetime,
    source: Literal["webhook", "list", "response"],
    ended: bool,
) -> None:
    """Record the status that a chat had at this time of the platform's clock, in the caller's transaction if any.

    A report that is not the newest changes nothing, and neither does one of a chat that no text was sent by.
    """
    report(connection, [Report(chat_id, status, at, Source(source), ended)])


def report(connection: psycopg.Connection, reports: Sequence[Report]) -> None:
    """Record several reports like `observe`, in one transaction."""
    chats = sorted({one.chat for one in reports})
    with connection.transaction(), connection.cursor(row_factory=class_row(Report)) as cursor:
        begin(connection, chats)
        known = {one.chat: one for one in cursor.execute(SQL["lock"], {"chats": chats})}
        newest = {chat: _newest(one, reports) for chat, one in known.items()}
        news = [one for chat, one in newest.items() if one != known[chat]]
        if not news:
            return
        connection.execute(SQL["report"], {"reports": jsonb([_row(one) for one in news])})
        changed = [one.chat for one in news if one.status != known[one.chat].status]
        connection.execute(SQL["to_write"], {"chats": changed})


def begin(connection: psycopg.Connection, chats: Iterable[str]) -> None:
    """Begin to follow those of these chats that a text was sent by, with the status of its response."""
    connection.execute(
        SQL["begin"],
        {
            "chats": list(chats),
            "ended": list(chat_status.ENDED),
            "skew": SKEW_SECONDS,
            "days": FOLLOW_DAYS,
            "lease": LEASE,
        },
    )


def _newest(known: Report, reports: Sequence[Report]) -> Report:
    newest = Report(known.chat, known.status, known.at, Source(known.source), known.ended)
    for one in reports:
        if one.chat == known.chat and chat_status.replaces(one, newest):
            newest = one
    return newest


def _row(one: Report) -> dict[str, Any]:
    return asdict(one) | {"at": one.at.isoformat()}


def read_from(connection: psycopg.Connection) -> datetime | None:
    """Return the time from which the list has to be read, and keep it as the cursor. None: nothing to follow.

    The cursor goes back for a chat that is new: a page that was read before its text was recorded is read again.
    """
    with connection.transaction():
        cursor = leases.cursor(connection, LEASE)
        [(followed, known_since)] = connection.execute(SQL["followed"], {"days": FOLLOW_DAYS})
        if not followed:
            leases.move_cursor(connection, LEASE, cursor, None)
            return None
        new = connection.execute(SQL["new_ones"], {"days": FOLLOW_DAYS}).fetchall()
        connection.execute(SQL["listed"], {"chats": [chat for chat, _ in new]})
        since: datetime = min([list_from for _, list_from in new] + [cursor or known_since])
        leases.move_cursor(connection, LEASE, cursor, since)
        return since


def read_to(connection: psycopg.Connection, reports: Sequence[Report], old: datetime, new: datetime) -> bool:
    """Record a page of the list and move the cursor from `old` to `new`, in one transaction.

    False: another worker has moved the cursor, and goes on from there; the reports are recorded nevertheless.
    """
    with connection.transaction():
        moved = leases.move_cursor(connection, LEASE, old, new)
        report(connection, reports)
        return moved


def webhooks_heard(connection: psycopg.Connection, within: timedelta) -> bool:
    """Return whether a chat webhook has changed a status lately."""
    return connection.execute(SQL["webhooks_heard"], {"seconds": within.total_seconds()}).fetchone() is not None
