"""CCAI Platform's list of changed chats: `GET https://{subdomain}.{domain}/manager/api/v1/chats`; and chat webhooks.

The list uses the Basic credentials of the SMS endpoint. It contains neither number nor message.

What a chat webhook says of the chat's status. All other events, and types that are not known, say nothing of it:

| event type                      | status    | the chat has ended |
|---------------------------------|-----------|--------------------|
| participant_joined, of an agent | assigned  | no                 |
| chat_ended                      | finished  | yes                |
| chat_dismissed                  | dismissed | yes                |

The vendor documents the event types. The status words are those that the list has for such chats.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
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
MAX_PAGES = 10
# Maximum size of a page in bytes.
LARGEST = 16_000_000


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


class Heard(NamedTuple):
    """What a chat webhook says of its chat."""

    status: str
    ended: bool


def heard(event_type: str, body: Mapping[str, Any]) -> Heard | None:
    """Return what a chat webhook's event says of the chat's status; None: nothing. `body` is the event's `body`."""
    if event_type == "participant_joined" and _participant_type(body) != "agent":
        return None
    return EVENTS.get(event_type)


EVENTS = {
    "participant_joined": Heard("assigned", ended=False),
    "chat_ended": Heard("finished", ended=True),
    "chat_dismissed": Heard("dismissed", ended=True),
}


def _participant_type(body: Mapping[str, Any]) -> object:
    """Return who joined. Where the event says it is not documented: in the body, or in its `participant`."""
    participant = body.get("participant")
    return (participant if isinstance(participant, Mapping) else body).get("type")


def pages(account: Account, since: datetime, turn: Callable[[], None]) -> Iterator[list[ListedChat]]:
    """Yield the chats that changed since then, the oldest change first. A short page is the last. Raises Unavailable.

    `turn` is called before each request and returns when it may leave. A chat that changes while the list is read moves
    to its end, and all others move up: so each page begins where the last one ended, and not at a number. A chat may
    come twice.
    """
    bounds = Bounds(account.connect_timeout, account.read_timeout, LARGEST)
    with contextlib.closing(Caller(Connections(account.address, bounds, account.network))) as caller:
        page = 1
        for _ in range(MAX_PAGES):
            turn()
            chats = _page(
                caller,
                account,
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


def _page(caller: Caller, account: Account, query: dict[str, Any]) -> list[ListedChat]:
    try:
        answer = caller.call("GET", f"{PATH}?{urlencode(query)}", {"Authorization": account.credentials})
    except (NeverSent, NoResponse) as error:
        raise Unavailable(f"CCAI Platform's list of chats ({error})") from None
    if answer.status != HTTPStatus.OK:
        asked = responses.retry_after(answer.headers.get("retry-after"))
        raise Unavailable(f"CCAI Platform's list of chats answered {answer.status}", asked)
    try:
        return CHATS.validate_json(answer.content)
    except ValidationError:
        raise Unavailable("CCAI Platform's list of chats was not understood") from None
