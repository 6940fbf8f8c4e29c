"""Looks for the chats of unknown texts in the Manager API's list of changed chats, where the settings switch it on.

`GET https://{subdomain}.{domain}/manager/api/v1/chats`, the same Basic credentials. The list names neither number nor
message, so what is certain is little: a chat that carries the ticket's id, began while the call was under way, belongs
to no other text, and is the only one like that. Everything else is left to a person.
"""

import contextlib
import time
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

import psycopg
import structlog
from pydantic import AwareDatetime, BaseModel, ConfigDict, TypeAdapter, ValidationError

from connector import ccaip, database, ledger, steps, texts
from connector.errors import Unavailable
from connector.exchange import Bounds, NeverLeft, NoAnswer
from connector.model import Chat, ChatId, ChatStatus
from connector.texts import Unknown
from connector.transport import Caller, Connections
from connector.upkeep import Duty

log = structlog.get_logger()

PATH = "/manager/api/v1/chats"
NAME = "find chats"
# The list's own limit was once one request a second.
REQUEST_SECONDS = 1.0
EVERY = 30.0
PER_PAGE = 100
# Bytes of a page.
LARGEST = 16_000_000
# How many pages one turn reads; the next goes on from there.
MOST_PAGES = 10
# Unknown texts older than this are left to a person: a chat that has not shown by then will not.
LONGEST = timedelta(hours=24)
# How far the platform's clock and ours may be apart.
SKEW = timedelta(seconds=30)


class ListedChat(BaseModel):
    """A chat of the list, as far as it matters here."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    id: ChatId
    status: ChatStatus = ""
    created_at: AwareDatetime
    updated_at: AwareDatetime
    out_ticket_id: str | None = None


CHATS = TypeAdapter(list[ListedChat])


def match(unknown: Sequence[Unknown], listed: Sequence[ListedChat]) -> dict[int, ListedChat]:
    """The texts whose chat is certain. Pure: `listed` are chats that belong to no text yet."""
    fitting = {
        text.id: [chat for chat in listed if _fits(text, chat)] for text in unknown if text.called_at is not None
    }
    claimed = [chat.id for chats in fitting.values() for chat in chats]
    return {
        text: chats[0] for text, chats in fitting.items() if len(chats) == 1 and claimed.count(chats[0].id) == 1
    }


def _fits(text: Unknown, chat: ListedChat) -> bool:
    began = text.called_at is not None and text.called_at - SKEW <= chat.created_at <= text.given_up_at + SKEW
    return began and chat.out_ticket_id == text.ticket_id


def finder(account: ccaip.Account) -> Duty:
    """Settles what can be settled, every half minute while there is something unknown."""
    return Duty(NAME, EVERY, Finder(account).find)


class Finder:
    """What one worker knows of the list: a chat is the only one of its kind among all of them, not on one page."""

    def __init__(self, account: ccaip.Account) -> None:
        self._account = account
        self._listed: dict[int, ListedChat] = {}
        self._looked_for: set[int] = set()
        self._cursor: datetime | None = None

    def find(self, connection: psycopg.Connection) -> None:
        """One turn. Raises Unavailable. Nothing is settled before the list was read to its end."""
        now = database.now(connection)
        unknown = texts.unknown_since(connection, now - LONGEST)
        if not unknown:
            self._listed.clear()
            return
        since = _begin(self._cursor, [text for text in unknown if text.id not in self._looked_for], now)
        self._looked_for.update(text.id for text in unknown)
        complete = self._read(since)
        if not complete:
            return
        known = texts.known_chats(connection, list(self._listed))
        found = match(unknown, [chat for chat in self._listed.values() if chat.id not in known])
        for text, chat in found.items():
            log.info("the chat of an unknown text was found", text=text, chat=chat.id)
        why = "its chat was found in CCAI Platform's list"
        ledger.move(connection, [
            steps.found(text, Chat(id=chat.id, status=chat.status), why) for text, chat in found.items()
        ])

    def _read(self, since: datetime) -> bool:
        """Whether it was read to its end."""
        self._cursor = since
        for chats in _pages(self._account, since - SKEW):
            self._listed |= {chat.id: chat for chat in chats}
            self._cursor = max([self._cursor, *(chat.updated_at for chat in chats)])
            if len(chats) < PER_PAGE:
                return True
        return False


def _begin(cursor: datetime | None, fresh: Sequence[Unknown], now: datetime) -> datetime:
    """Where this turn begins: where the last one ended, but before the call of any text that is new to us."""
    calls = [text.called_at or text.given_up_at for text in fresh]
    return min([*calls, cursor] if cursor else calls, default=now)


def _pages(account: ccaip.Account, since: datetime) -> Iterator[list[ListedChat]]:
    """The chats that changed since then, the oldest change first. Raises Unavailable."""
    bounds = Bounds(account.connect_timeout, account.read_timeout, LARGEST)
    with contextlib.closing(Caller(Connections(account.address, bounds, account.network))) as caller:
        for page in range(1, MOST_PAGES + 1):
            chats = _page(caller, account, {
                "updated_at[from]": since.isoformat(), "sort_column": "updated_at", "sort_direction": "ASC",
                "per": PER_PAGE, "page": page,
            })
            yield chats
            if len(chats) < PER_PAGE:
                return
            time.sleep(REQUEST_SECONDS)


def _page(caller: Caller, account: ccaip.Account, query: dict[str, Any]) -> list[ListedChat]:
    try:
        answer = caller.call("GET", f"{PATH}?{urlencode(query)}", {"Authorization": account.credentials})
    except (NeverLeft, NoAnswer) as error:
        raise Unavailable(f"CCAI Platform's list of chats ({error})") from None
    if answer.status != HTTPStatus.OK:
        raise Unavailable(f"CCAI Platform's list of chats answered {answer.status}")
    try:
        return CHATS.validate_json(answer.content)
    except ValidationError:
        raise Unavailable("CCAI Platform's list of chats was not understood") from None
