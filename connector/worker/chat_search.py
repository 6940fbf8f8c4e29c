"""Search CCAI Platform's list of chats for the chat of one unknown text, while a person waits.

The search is bounded in pages and in time, and takes its turn with all workers' requests for the list.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from connector.ccaip import chats
from connector.ccaip.chats import ListedChat
from connector.ccaip.client import Account
from connector.errors import Unavailable
from connector.store import leases, text_views
from connector.store.postgres import Connect
from connector.store.unknowns import OpenUnknown
from connector.worker import chat_list
from connector.worker.chat_reconciler import SKEW

MAX_PAGES = 5
# In seconds: the longest that a search takes, the longest wait for a turn, and the time between two searches.
TOTAL_SECONDS, TURN_SECONDS, SEARCH_SECONDS = 15.0, 5.0, 3.0
LEASE = "search for a chat"
IN_USE = "CCAI Platform's list of chats is being read by the workers; try again in some seconds"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A chat that began while the call was in progress and belongs to no text. `of_ticket`: it has the ticket's id."""

    chat: ListedChat
    of_ticket: bool


@dataclass(frozen=True, slots=True)
class Search:
    """The result: the candidates, those of the ticket first. `read`: chats that were read.

    `up_to`: the list was read as far as changes of this time (UTC); None: to its end. Chats that changed later are not
    known then. `why`: what kept the search from reading on; empty if nothing did, or MAX_PAGES.
    """

    candidates: Sequence[Candidate]
    read: int
    up_to: datetime | None = None
    why: str = ""


@dataclass(slots=True)
class _Reading:
    """What has been read of the list. `up_to`: as far as changes of this time."""

    up_to: datetime
    chats: dict[int, ListedChat] = field(default_factory=dict)
    pages: int = 0
    complete: bool = False
    why: str = ""

    def add(self, page: Sequence[ListedChat]) -> None:
        self.chats |= {chat.id: chat for chat in page}
        self.up_to = max([self.up_to, *(chat.updated_at for chat in page)])
        self.pages += 1
        self.complete = len(page) < chats.PER_PAGE


def search(connect: Connect, account: Account, unknown: OpenUnknown) -> Search:
    """Read the list from this text's call on, for at most TOTAL_SECONDS. No connection is held meanwhile.

    There is one search at a time: so searches take one thread of all web processes. Raises Unavailable: no page could
    be read, or others are reading the list.
    """
    with connect() as connection:
        is_due = leases.take(connection, LEASE, TOTAL_SECONDS)
    if not is_due:
        raise Unavailable("CCAI Platform's list of chats is searched, or was a moment ago; try again in some seconds")
    begun, ended = (unknown.called_at or unknown.given_up_at) - SKEW, unknown.given_up_at + SKEW
    try:
        reading = _read(connect, account, begun)
    finally:
        with connect() as connection:
            leases.put_off(connection, LEASE, SEARCH_SECONDS)
    with connect() as connection:
        known = text_views.known_chats(connection, list(reading.chats))
    fitting = [one for one in reading.chats.values() if begun <= one.created_at <= ended and one.id not in known]
    candidates = [Candidate(one, one.out_ticket_id == unknown.ticket_id) for one in fitting]
    candidates.sort(key=lambda candidate: (not candidate.of_ticket, candidate.chat.created_at))
    return Search(candidates, len(reading.chats), None if reading.complete else reading.up_to, reading.why)


def _read(connect: Connect, account: Account, begun: datetime) -> _Reading:
    """Read up to MAX_PAGES, until the time is over or a page cannot be read. Raises Unavailable for the first page."""
    until = time.monotonic() + TOTAL_SECONDS
    reading = _Reading(begun)
    try:
        for page in chats.pages(account, begun, lambda: _turn(connect, until)):
            reading.add(page)
            if reading.pages == MAX_PAGES:
                break
    except Unavailable as error:
        if not reading.pages:
            raise
        reading.why = str(error)
    return reading


def _turn(connect: Connect, until: float) -> float:
    """Return when the next request may leave: the seconds that it may take. Raises Unavailable if that is too late."""
    at_latest = min(time.monotonic() + TURN_SECONDS, until)
    while True:
        with connect() as connection:
            is_due = leases.take(connection, chat_list.NAME, chats.REQUEST_SECONDS)
        left = until - time.monotonic()
        if is_due and left > 0:
            return left
        if time.monotonic() > at_latest:
            raise Unavailable(f"a search takes at most {TOTAL_SECONDS:.0f} seconds" if left <= 0 else IN_USE)
        time.sleep(chat_list.CHECK_SECONDS)
