"""Follow the chats of sent texts through CCAI Platform's list of changed chats, until they end.

The list is read from a cursor that only moves on when what was read is committed. While nothing is to be followed, no
call is made.
"""

from collections.abc import Sequence
from datetime import timedelta

import psycopg

from connector import backoff
from connector.ccaip import chats
from connector.ccaip.chats import ListedChat
from connector.ccaip.client import Account
from connector.chat_status import Report, Source
from connector.errors import Unavailable
from connector.store import chats as chat_store
from connector.store import leases, postgres
from connector.store.chats import LEASE
from connector.worker import chat_list
from connector.worker.maintenance import MaintenanceTask

# How far the cursor stays behind the newest change and the present: changes may appear in the list late.
OVERLAP = timedelta(seconds=120)
# Longest pause in seconds after a list that could not be read, and the longest that the platform may ask for.
MAX_PAUSE, MAX_RETRY_AFTER = 900.0, 3000.0
# While chat webhooks arrive, the list is read at this interval in seconds, for those that were lost.
BESIDE_WEBHOOKS_SECONDS, WEBHOOKS_ALIVE = 600.0, timedelta(hours=1)


def follower(account: Account, every: float) -> MaintenanceTask:
    """The maintenance task that reads the list every so many seconds."""
    return MaintenanceTask(LEASE, every, ChatFollower(account, every).follow)


class ChatFollower:
    """A worker's reader of the list."""

    def __init__(self, account: Account, every: float) -> None:
        self._account, self._every = account, every
        self._failures = 0

    def follow(self, connection: psycopg.Connection) -> None:
        """Read the list to its end, or as far as one run goes. Raises Unavailable; the next run is later then."""
        start = cursor = chat_store.read_from(connection)
        if start is None or cursor is None:
            return
        complete = False
        try:
            for page in chats.pages(self._account, start, lambda: chat_list.turn(connection)):
                complete = len(page) < chats.PER_PAGE
                newest = max([start, *(chat.updated_at for chat in page)]) - (OVERLAP if complete else timedelta())
                moved = max(start, min(newest, postgres.now(connection) - OVERLAP))
                if not chat_store.read_to(connection, _reports(page), cursor, moved):
                    return
                cursor = moved
        except Unavailable as error:
            pause = max(
                backoff.doubling(self._failures, self._every, MAX_PAUSE), min(error.retry_after or 0, MAX_RETRY_AFTER)
            )
            self._failures += 1
            leases.put_off(connection, LEASE, pause)
            raise
        self._failures = 0
        if not complete:
            leases.put_off(connection, LEASE, 0)
        elif chat_store.webhooks_heard(connection, WEBHOOKS_ALIVE):
            leases.put_off(connection, LEASE, max(BESIDE_WEBHOOKS_SECONDS, self._every))


def _reports(page: Sequence[ListedChat]) -> list[Report]:
    """What the page says. An entry without a status says nothing, unless the chat has ended."""
    return [
        Report(str(chat.id), chat.status or "ended", chat.updated_at, Source.LIST, chat.ended)
        for chat in page
        if chat.status or chat.ended
    ]
