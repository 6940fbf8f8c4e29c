"""Find the chats of unknown texts in CCAI Platform's list of chats, if enabled in the settings.

A match is certain only if a chat carries the ticket's id, began while the call was in progress, belongs to no other
text, and is the only such chat. All other texts are left to an operator.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

import psycopg
import structlog

from connector import transitions
from connector.ccaip import chats
from connector.ccaip.chats import ListedChat
from connector.ccaip.client import Account
from connector.model import Chat
from connector.store import postgres, text_views, texts
from connector.store.text_views import Unknown
from connector.worker import chat_list
from connector.worker.maintenance import MaintenanceTask

log = structlog.get_logger()
NAME = "find chats"
EVERY = 30.0
# Unknown texts older than this are left to an operator: their chats are not expected to appear any more.
MAX_AGE = timedelta(hours=24)
# Allowed difference between the platform's clock and the database's.
SKEW = timedelta(seconds=30)


def match(unknown: Sequence[Unknown], listed: Sequence[ListedChat]) -> dict[int, ListedChat]:
    """The certain matches, by text. A pure function; `listed` are chats that belong to no text yet."""
    fitting = {
        text.id: [chat for chat in listed if _fits(text, chat)] for text in unknown if text.called_at is not None
    }
    claimed = [chat.id for chats in fitting.values() for chat in chats]
    return {text: chats[0] for text, chats in fitting.items() if len(chats) == 1 and claimed.count(chats[0].id) == 1}


def _fits(text: Unknown, chat: ListedChat) -> bool:
    began = text.called_at is not None and text.called_at - SKEW <= chat.created_at <= text.given_up_at + SKEW
    return began and chat.out_ticket_id == text.ticket_id


def finder(account: Account) -> MaintenanceTask:
    """The maintenance task that settles unknown texts whose chats are found."""
    return MaintenanceTask(NAME, EVERY, Finder(account).find)


class Finder:
    """A worker's copy of the chat list. A chat has to be the only match in the whole list, not just on one page."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._listed: dict[int, ListedChat] = {}
        self._looked_for: set[int] = set()
        self._cursor: datetime | None = None

    def find(self, connection: psycopg.Connection) -> None:
        """Read the list and settle certain matches, but only once the list is read to its end. Raises Unavailable."""
        now = postgres.now(connection)
        unknown = text_views.unknown_since(connection, now - MAX_AGE)
        if not unknown:
            self._listed.clear()
            return
        since = _begin(self._cursor, [text for text in unknown if text.id not in self._looked_for], now)
        self._looked_for.update(text.id for text in unknown)
        complete = self._read(connection, since)
        if not complete:
            return
        known = text_views.known_chats(connection, list(self._listed))
        found = match(unknown, [chat for chat in self._listed.values() if chat.id not in known])
        for text, chat in found.items():
            log.info("the chat of an unknown text was found", text=text, chat=chat.id)
        why = "its chat was found in CCAI Platform's list"
        texts.move(
            connection,
            [transitions.found(text, Chat(id=chat.id, status=chat.status), why) for text, chat in found.items()],
        )

    def _read(self, connection: psycopg.Connection, since: datetime) -> bool:
        """Read the list from this time on. False: the end was not reached."""
        self._cursor = since
        for page in chats.pages(self._account, since - SKEW, lambda: chat_list.turn(connection)):
            self._listed |= {chat.id: chat for chat in page}
            self._cursor = max([self._cursor, *(chat.updated_at for chat in page)])
            if len(page) < chats.PER_PAGE:
                return True
        return False


def _begin(cursor: datetime | None, fresh: Sequence[Unknown], now: datetime) -> datetime:
    """The time to read the list from: where the last run ended, or the earliest call of a text that is new."""
    calls = [text.called_at or text.given_up_at for text in fresh]
    return min([*calls, cursor] if cursor else calls, default=now)
