"""Incoming events. Each is saved once; each new one gets a text and a job."""

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import psycopg
from psycopg.rows import class_row

from connector.metrics import counters
from connector.model import TicketEvent
from connector.store import jobs, queries
from connector.store.jobs import NewJob
from connector.store.rows import fields, jsonb

SQL = queries.load(__file__)


@dataclass(frozen=True, slots=True)
class EventReceipt:
    """The receipt of an event. `text` None: the event gives no reason to text. `duplicate`: it was saved before.

    `after`: seconds until its text is due. `misused`: an event about another ticket has the same id, so this one was
    not saved.
    """

    event_id: str
    text: int | None
    duplicate: bool
    misused: bool = False
    after: float = 0


def save(connection: psycopg.Connection, events: Sequence[TicketEvent]) -> list[EventReceipt]:
    """Save these events (of one CRM) and queue a text for each new one. The receipts are in the order given.

    Events with the same id, in this call or earlier, are one event; all but the first are duplicates.
    """
    if not events:
        return []
    once: dict[str, TicketEvent] = {}
    for event in events:
        once.setdefault(event.event_id, event)
    with connection.transaction(), connection.cursor(row_factory=class_row(EventReceipt)) as cursor:
        rows = cursor.execute(SQL["take_in"], {"events": jsonb([_row(event) for event in once.values()])}).fetchall()
        taken = {row.event_id: row for row in rows}
        jobs.add(
            connection,
            [
                NewJob(jobs.DELIVER[channel := once[row.event_id].channel], row.text, channel, row.after)
                for row in rows
                if row.text is not None
            ],
        )
        if known := [event for event_id, event in once.items() if event_id not in taken]:
            again = jsonb([{"event_id": event.event_id, "ticket_id": event.ticket_id} for event in known])
            cursor.execute(SQL["known"], {"crm": events[0].crm, "events": again}, prepare=False)  # no plan is cached
            taken |= {row.event_id: row for row in cursor}
    receipts = [_answer(event, taken[event.event_id], once[event.event_id]) for event in events]
    for event, receipt in zip(events, receipts, strict=True):
        result = "duplicate" if receipt.duplicate else "new"
        counters.EVENTS.labels(event.crm, event.channel, result).inc()
    return receipts


def _answer(event: TicketEvent, taken: EventReceipt, first: TicketEvent) -> EventReceipt:
    """The receipt of this event, given that `first` of its id got the receipt `taken`."""
    if event is first:
        return taken
    return replace(taken, duplicate=True, misused=taken.misused or event.ticket_id != first.ticket_id)


def _row(event: TicketEvent) -> dict[str, Any]:
    raw = None if event.raw is None else b64encode(event.raw).decode()
    return fields(event) | {"request": event.request and fields(event.request), "raw": raw}
