"""Search CCAI Platform's list of chats for the chat of one unknown text, while a person waits.

The search is bounded in pages and in time, and takes its turn with all workers' requests for the list.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
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
# The longest wait for a turn, and the time between two searches by anybody, in seconds.
TURN_SECONDS, SEARCH_SECONDS = 5.0, 3.0
LEASE = "search for a chat"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A chat that began while the call was in progress and belongs to no text. `of_ticket`: it has the ticket's id."""

    chat: ListedChat
    of_ticket: bool


@dataclass(frozen=True, slots=True)
class Search:
    """The result: the candidates, those of the ticket first. `read`: chats that were read.

    `up_to`: the list was read as far as changes of this time (UTC); None: to its end. Chats that changed later are not
    known then.
    """

    candidates: Sequence[Candidate]
    read: int
    up_to: datetime | None = None


def search(connect: Connect, account: Account, unknown: OpenUnknown) -> Search:
    """Read the list from this text's call on. No connection is held meanwhile.

    Raises Unavailable: it cannot be read, or others are reading it.
    """
    with connect() as connection:
        is_due = leases.take(connection, LEASE, SEARCH_SECONDS)
    if not is_due:
        raise Unavailable("CCAI Platform's list of chats was searched a moment ago; try again in some seconds")
    begun, ended = (unknown.called_at or unknown.given_up_at) - SKEW, unknown.given_up_at + SKEW
    listed, up_to, complete = dict[int, ListedChat](), begun, False
    for number, page in enumerate(chats.pages(account, begun, lambda: _turn(connect)), 1):
        listed |= {chat.id: chat for chat in page}
        up_to = max([up_to, *(chat.updated_at for chat in page)])
        complete = len(page) < chats.PER_PAGE
        if number == MAX_PAGES:
            break
    with connect() as connection:
        known = text_views.known_chats(connection, list(listed))
    fitting = [one for one in listed.values() if begun <= one.created_at <= ended and one.id not in known]
    candidates = [Candidate(one, one.out_ticket_id == unknown.ticket_id) for one in fitting]
    candidates.sort(key=lambda candidate: (not candidate.of_ticket, candidate.chat.created_at))
    return Search(candidates, len(listed), None if complete else up_to)


def _turn(connect: Connect) -> None:
    """Return when the next request may leave. Raises Unavailable when that takes too long."""
    until = time.monotonic() + TURN_SECONDS
    while True:
        with connect() as connection:
            if leases.take(connection, chat_list.NAME, chats.REQUEST_SECONDS):
                return
        if time.monotonic() > until:
            raise Unavailable("CCAI Platform's list of chats is being read by the workers; try again in some seconds")
        time.sleep(chat_list.CHECK_SECONDS)
