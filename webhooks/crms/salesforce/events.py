"""Case events as JSON: an object or a list of objects, from a Flow's HTTP callout, Apex, or any script.

{"ticket_id": "500…", "event_id": "…", "changed_by": "005…"}; a case as Apex serializes it ("Id", "LastModifiedById")
is accepted too. Other keys are stored with the event and not used, because the case is read from the CRM. An empty or
null value counts as absent.
"""

import json
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    AliasChoices,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
)

from connector import expected
from connector.crms.salesforce import ids
from connector.errors import Unreadable
from connector.model import TicketEvent
from webhooks import strict_json
from webhooks.absent import Sparse
from webhooks.receive import ItemRefused

MAX_EVENTS = 200
# The number of events named in the error when a list has no usable event.
MAX_NAMED = 5


def _an_id(given: str) -> str:
    if problem := ids.problem(given):
        raise ValueError(problem)
    return given


Id = Annotated[str, AfterValidator(_an_id)]
# Fits a database and a log line: no control characters.
EventId = Annotated[str, StringConstraints(min_length=1, max_length=200), expected.PLAIN]
EVENT_ID = TypeAdapter(EventId)


class Event(Sparse):
    """An event as it is sent."""

    model_config = ConfigDict(extra="ignore", strict=True)

    ticket_id: Id = Field(validation_alias=AliasChoices("ticket_id", "Id"))
    event_id: EventId | None = None
    changed_by: Id | None = Field(default=None, validation_alias=AliasChoices("changed_by", "LastModifiedById"))


def parse(body: bytes, message_id: str, kind: str = "") -> list[TicketEvent | ItemRefused]:
    """The events about records of this kind ("Case"), in order; an ItemRefused for an unusable event of a list.

    An event without an event_id is named after the message. Raises Unreadable when no event is usable.
    """
    try:
        content = strict_json.loads(body)
    except strict_json.KeyTwice as error:
        raise Unreadable(str(error), status=422) from None
    except (ValueError, RecursionError):
        raise Unreadable("the body is not JSON") from None
    if not isinstance(content, list):
        return [_event(0, content, message_id, kind)]
    if len(content) > MAX_EVENTS:
        raise Unreadable(f"more than {MAX_EVENTS} events in one message")
    items = [_item(index, item, message_id and f"{message_id}:{index}", kind) for index, item in enumerate(content)]
    if items and all(isinstance(item, ItemRefused) for item in items):
        raise Unreadable("; ".join(item.why for item in items[:MAX_NAMED] if isinstance(item, ItemRefused)))
    return items


def _item(index: int, item: Any, name: str, kind: str) -> TicketEvent | ItemRefused:
    """An event of a list. A problem with it does not affect the others."""
    try:
        return _event(index, item, name, kind)
    except Unreadable as error:
        return ItemRefused(index, str(error))


def _event(index: int, item: Any, name: str, kind: str) -> TicketEvent:
    if not _can_be_kept(item):
        raise Unreadable(f"event {index}: it holds a number, a character or a depth that cannot be kept")
    try:
        event = Event.model_validate(item)
        event_id = event.event_id or (EVENT_ID.validate_python(name) if name else None)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise Unreadable(f"event {index}: {key or 'the event'}: {expected.words(first)}") from None
    if event_id is None:
        raise Unreadable(f"event {index}: expected event_id, or a header Idempotency-Key or webhook-id for the message")
    if problem := ids.problem(event.ticket_id, kind):
        raise Unreadable(f"event {index}: ticket_id: {problem}")
    return TicketEvent("salesforce", event_id, ids.long(event.ticket_id), event.changed_by, item)


def _can_be_kept(item: Any) -> bool:
    """Whether PostgreSQL can store it: no NaN, infinity, lone surrogates, NUL, or excessive nesting."""
    try:
        return "\\u0000" not in json.dumps(item, allow_nan=False, ensure_ascii=False).encode().decode()
    except (ValueError, RecursionError):
        return False
