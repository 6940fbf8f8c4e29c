"""CCAI Platform's list of changed chats: `GET https://{subdomain}.{domain}/manager/api/v1/chats`; and chat webhooks.

The list uses the Basic credentials of the SMS endpoint. It contains neither number nor message.

EVENT_STATUSES has the status that a chat webhook reports. All other events and unknown types report none.
"""

import contextlib
from collections.abc import Callable, Generator
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import urlencode

from pydantic import AwareDatetime, BaseModel, ConfigDict, TypeAdapter, ValidationError

from connector import chat_status
from connector.ccaip import responses
from connector.ccaip.client import Account
from connector.errors import Unavailable
from connector.http.exchange import Bounds, NeverSent, NoResponse
from connector.http.transport import Caller, Connections
from connector.model import ChatId, ChatStatus

PATH = "/manager/api/v1/chats"
# Seconds between two requests of all workers together. The list's own limit was once one request a second.
REQUEST_SECONDS = 1.05
PER_PAGE = 100
# How far the next page goes back behind the end of the last one.
OVERLAP = timedelta(seconds=1)
# Maximum of pages that one run reads; the next run continues from there.
MAX_PAGES = 30
# Maximum size of a page in bytes.
MAX_BYTES = 16_000_000


class EventStatus(NamedTuple):
    """A status, and whether a chat that has it has ended."""

    status: str
    ended: bool


# The statuses that chat events give, by event type; `participant_joined` that of an agent. The events do not carry the
# words of the list, so a chat that ended is just called that.
EVENT_STATUSES = {
    "participant_joined": EventStatus("assigned", ended=False),
    "chat_ended": EventStatus("ended", ended=True),
    "chat_dismissed": EventStatus("dismissed", ended=True),
}


class ListedChat(BaseModel):
    """A chat of the list, with the fields used here."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    id: ChatId
    status: ChatStatus = ""
    created_at: AwareDatetime
    updated_at: AwareDatetime
    ends_at: AwareDatetime | None = None
    out_ticket_id: str | None = None

    @property
    def ended(self) -> bool:
        return self.ends_at is not None or self.status in chat_status.ENDED


CHATS = TypeAdapter(list[ListedChat])


def pages(
    account: Account, since: datetime, turn: Callable[[], float | None]
) -> Generator[list[ListedChat], None, None]:
    """Yield the chats that changed since then, the oldest change first. A short page is the last. Raises Unavailable.

    `turn` is called before each request and returns when it may leave: the seconds that it may take at most, or None,
    where only the account's timeouts hold. A chat that changes while the list is read moves to its end, and all others
    move up: so each page begins where the last one ended, and not at a number. A chat may come twice.
    """
    bounds = Bounds(account.connect_timeout, account.read_timeout, MAX_BYTES)
    with contextlib.closing(Caller(Connections(account.address, bounds, account.network))) as caller:
        page = 1
        for _ in range(MAX_PAGES):
            chats = _page(
                caller,
                account,
                turn(),
                {
                    "updated_at[from]": since.isoformat(),
                    "sort_column": "updated_at",
                    "sort_direction": "ASC",
                    "per": PER_PAGE,
                    "page": page,
                },
            )
            yield chats
            if len(chats) < PER_PAGE:
                return
            newest = max(chat.updated_at for chat in chats) - OVERLAP
            page = 1 if newest > since else page + 1  # a page full of chats that changed in the same second
            since = max(newest, since)


def probe(account: Account) -> None:
    """Check that the list can be read. Raises Unavailable."""
    with contextlib.closing(pages(account, datetime.now(UTC), lambda: None)) as listed:
        next(listed)


def _page(caller: Caller, account: Account, seconds: float | None, query: dict[str, Any]) -> list[ListedChat]:
    headers = {"Authorization": account.credentials}
    try:
        answer = caller.call("GET", f"{PATH}?{urlencode(query)}", headers, seconds=seconds)
    except (NeverSent, NoResponse) as error:
        raise Unavailable(f"CCAI Platform's list of chats ({error})") from None
    if answer.status != HTTPStatus.OK:
        asked = responses.retry_after(answer.headers.get("retry-after"))
        raise Unavailable(f"CCAI Platform's list of chats answered {answer.status}", asked)
    try:
        return CHATS.validate_json(answer.content)
    except ValidationError:
        raise Unavailable("CCAI Platform's list of chats was not understood") from None
