"""CCAI Platform's list of changed chats: `GET https://{subdomain}.{domain}/manager/api/v1/chats`.

It uses the Basic credentials of the SMS endpoint. The list contains neither number nor message.
"""

import contextlib
import time
from collections.abc import Iterator
from datetime import datetime
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import urlencode

from pydantic import AwareDatetime, BaseModel, ConfigDict, TypeAdapter, ValidationError

from connector.ccaip.client import Account
from connector.errors import Unavailable
from connector.http.exchange import Bounds, NeverSent, NoResponse
from connector.http.transport import Caller, Connections
from connector.model import ChatId, ChatStatus

PATH = "/manager/api/v1/chats"
# Seconds between two requests. The list's own limit was once one request a second.
REQUEST_SECONDS = 1.0
PER_PAGE = 100
# Maximum of pages that one run reads; the next run continues from there.
MAX_PAGES = 10
# Maximum size of a page in bytes.
LARGEST = 16_000_000


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
    out_ticket_id: str | None = None


CHATS = TypeAdapter(list[ListedChat])


def pages(account: Account, since: datetime) -> Iterator[list[ListedChat]]:
    """Yield the chats that changed since then, the oldest change first. Raises Unavailable."""
    bounds = Bounds(account.connect_timeout, account.read_timeout, LARGEST)
    with contextlib.closing(Caller(Connections(account.address, bounds, account.network))) as caller:
        for page in range(1, MAX_PAGES + 1):
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
            time.sleep(REQUEST_SECONDS)


def _page(caller: Caller, account: Account, query: dict[str, Any]) -> list[ListedChat]:
    try:
        answer = caller.call("GET", f"{PATH}?{urlencode(query)}", {"Authorization": account.credentials})
    except (NeverSent, NoResponse) as error:
        raise Unavailable(f"CCAI Platform's list of chats ({error})") from None
    if answer.status != HTTPStatus.OK:
        raise Unavailable(f"CCAI Platform's list of chats answered {answer.status}")
    try:
        return CHATS.validate_json(answer.content)
    except ValidationError:
        raise Unavailable("CCAI Platform's list of chats was not understood") from None
