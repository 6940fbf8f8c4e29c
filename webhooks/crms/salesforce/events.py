"""Case events as JSON: one object or a list of them, from a Flow's HTTP callout, Apex, or any script.

{"ticket_id": "500…", "event_id": "…", "changed_by": "005…"}; a case as Apex serializes it ("Id", "LastModifiedById")
works as well. Other keys are kept with the event, and are not looked at: the case is read back.
"""

import json
from typing import Annotated, Any

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError

from connector.crms.salesforce import ids
from connector.errors import Unreadable
from connector.model import TicketEvent

MOST_EVENTS = 200
Id = Annotated[str, StringConstraints(pattern=f"^{ids.PATTERN}$")]
# What fits a database and a log line: no control characters.
EventId = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
EVENT_ID = TypeAdapter(EventId)


class Event(BaseModel):
    """One event as it is sent."""

    model_config = ConfigDict(extra="ignore", strict=True)

    ticket_id: Id = Field(validation_alias=AliasChoices("ticket_id", "Id"))
    event_id: EventId | None = None
    changed_by: Id | None = Field(default=None, validation_alias=AliasChoices("changed_by", "LastModifiedById"))


def parse(body: bytes, message_id: str) -> list[TicketEvent]:
    """The events, in their order. Those without an event_id are named after the message. Raises Unreadable."""
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        raise Unreadable("the body is not JSON") from None
    listed = content if isinstance(content, list) else [content]
    if len(listed) > MOST_EVENTS:
        raise Unreadable(f"more than {MOST_EVENTS} events in one message")
    if listed is not content:
        return [_event(0, content, message_id)]
    return [_event(index, item, message_id and f"{message_id}:{index}") for index, item in enumerate(listed)]


def _event(index: int, item: Any, name: str) -> TicketEvent:
    if not _can_be_kept(item):
        raise Unreadable(f"event {index}: it holds a number, a character or a depth that cannot be kept")
    try:
        event = Event.model_validate(item)
        event_id = event.event_id or (EVENT_ID.validate_python(name) if name else None)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise Unreadable(f"event {index}: {key or 'the event'}: {first['msg']}") from None
    if event_id is None:
        raise Unreadable(f"event {index}: expected event_id, or a header Idempotency-Key or webhook-id for the message")
    return TicketEvent("salesforce", event_id, ids.long(event.ticket_id), event.changed_by, item)


def _can_be_kept(item: Any) -> bool:
    """JSON that Python reads, but PostgreSQL does not keep: NaN, infinity, half characters, NUL, endless nesting."""
    try:
        return "\\u0000" not in json.dumps(item, allow_nan=False, ensure_ascii=False).encode().decode()
    except (ValueError, RecursionError):
        return False
