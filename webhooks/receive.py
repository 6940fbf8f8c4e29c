"""Receive events from a CRM: the CRM's module verifies and parses, this module commits, then acknowledges."""

import contextlib
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import psycopg
import structlog
from flask import Blueprint, Response, request
from psycopg_pool import ConnectionPool
from werkzeug.datastructures import Headers

from connector import tracing
from connector.errors import NotAuthentic, Unreadable
from connector.model import TicketEvent
from connector.store import events as event_store
from connector.store.events import EventReceipt
from webhooks import refusals
from webhooks.event_batcher import EventBatcher

log = structlog.get_logger()

# The path of all webhook routes.
PREFIX = "/webhooks/"
# Bodies larger than this are read and parsed a few at a time: parsed, each takes ten times its size.
LARGE_BYTES = 64_000
MAX_LARGE_BODIES = 4
_large_bodies = threading.BoundedSemaphore(MAX_LARGE_BODIES)


@dataclass(frozen=True, slots=True)
class ItemRefused:
    """An event of a list that was refused, and the reason. The others are saved. `index` counts from 0."""

    index: int
    why: str


# Builds the answer, once the accepted events are committed.
Answer = Callable[[Sequence[EventReceipt], Sequence[ItemRefused]], Response]


@dataclass(frozen=True, slots=True)
class Message:
    """A request: its body, its headers, and the token in its path, if any."""

    body: bytes
    headers: Mapping[str, str] | Headers
    token: str


@dataclass(frozen=True, slots=True)
class WebhookRoute:
    """A webhook route of a CRM. Each module in webhooks/crms/ lists its routes in `routes(file)`.

    `parse` raises NotAuthentic (nothing is saved) or Unreadable. An authentic but unreadable message is answered with
    its error's status. Where the sender would repeat it for hours, `dead_letter_id` derives an id from its bytes; the
    message is then saved and acknowledged. Where the sender gets a result for each event, `parse` returns an
    ItemRefused for one it cannot read.
    """

    path: str
    parse: Callable[[Message], Sequence[TicketEvent | ItemRefused]]
    answer: Answer
    dead_letter_id: Callable[[bytes], str] | None = None


def blueprint(crm_name: str, routes: Sequence[WebhookRoute], pool: ConnectionPool) -> Blueprint:
    """The routes /webhooks/<crm_name>/…."""
    batcher = EventBatcher(pool, event_store.save)
    hooks = Blueprint(f"webhooks_{crm_name}", __name__, url_prefix=f"{PREFIX}{crm_name}")
    for route in routes:
        name = route.path.split("/")[1]
        hooks.add_url_rule(route.path, name, _view(crm_name, name, route, batcher), methods=["POST"])
    return hooks


def _view(
    crm_name: str, name: str, route: WebhookRoute, batcher: EventBatcher[TicketEvent, EventReceipt]
) -> Callable[..., Response]:
    def receive(token: str = "") -> Response:
        with _room_for(request.content_length):
            message = Message(request.get_data(cache=False), request.headers, token)
            try:
                parsed = route.parse(message)
            except NotAuthentic as error:
                refusals.log("a message was refused", crm=crm_name, route=name, why=str(error))
                return problem(error.status, str(error))
            except Unreadable as error:
                if route.dead_letter_id is None:
                    log.warning(
                        "a message cannot be read", crm=crm_name, route=name, status=error.status, why=str(error)
                    )
                    return problem(error.status, str(error))
                log.error("a message cannot be read; it is kept", crm=crm_name, why=str(error))
                parsed = [
                    TicketEvent(
                        crm_name, route.dead_letter_id(message.body), None, problem=str(error), raw=message.body
                    )
                ]
            events = _traced([one for one in parsed if isinstance(one, TicketEvent)])
            refused = [one for one in parsed if isinstance(one, ItemRefused)]
            _log_what_is_odd(crm_name, name, events, refused)
            try:
                return route.answer(batcher.save(events), refused)
            except psycopg.Error as error:
                return not_saved(error)

    return receive


def _traced(events: list[TicketEvent]) -> list[TicketEvent]:
    """These events as part of this request's trace, if there is one."""
    traceparent = tracing.current()
    return [replace(event, traceparent=traceparent) for event in events] if traceparent else events


def _log_what_is_odd(crm_name: str, name: str, events: Sequence[TicketEvent], refused: Sequence[ItemRefused]) -> None:
    """Log refused events and events without a ticket: a line of each kind per message, however many there are."""
    if refused:
        log.warning(
            "events of a message were refused", crm=crm_name, route=name, events=len(refused), why=refused[0].why
        )
    odd = [event for event in events if event.problem]
    if odd and not (len(events) == 1 and odd[0].raw is not None):  # a whole message is logged as such
        log.warning(
            "events are kept that name no ticket", crm=crm_name, route=name, events=len(odd), why=odd[0].problem
        )


def _room_for(size: int | None) -> contextlib.AbstractContextManager[object]:
    """A guard to hold while a body of `size` bytes is in memory. Only a few large bodies pass at once."""
    return _large_bodies if (size or 0) > LARGE_BYTES else contextlib.nullcontext()


def not_saved(error: psycopg.Error) -> Response:
    """Log that the database failed, and answer 503: the sender has to repeat the message."""
    log.error("a message could not be kept", why=type(error).__name__)
    return problem(503, "the database does not answer; send it again")


def problem(status: int, why: str) -> Response:
    """Answer with an error in the format of all webhook errors."""
    wait = {"Retry-After": "5"} if status == 503 else {}
    return Response(json.dumps({"error": why}), status, wait, content_type="application/json")


def too_large() -> Response:
    """Answer 413 in the format of the other webhook errors."""
    return problem(413, "the message is larger than CONNECTOR_MAX_BODY_BYTES")
