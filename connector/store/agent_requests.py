"""Save agent requests: once for each idempotency key, and once for each state of the ticket that the agent saw.

Two clicks, two tabs and two agents who saw the same ticket all want the same text. The event id is made of the ticket
and of the newest text that it had then, and each event id is saved once.
"""

import hashlib
import json
from dataclasses import asdict, dataclass

import psycopg

from connector import send_at, tracing
from connector.errors import KeyUsedOtherwise
from connector.model import Channel, TextRequest, TicketEvent
from connector.store import events, postgres, pseudonyms, queries

SQL = queries.load(__file__)


@dataclass(frozen=True, slots=True)
class SendRequest:
    """One text that an agent requests.

    `after` is the id of the newest text that the agent saw on the ticket (0: none); None: the newest one now. A second
    request with the same `caller` and `key` is a duplicate and makes no new text. `channel` BATCH: it has no priority,
    and waits where an agent's would fail.
    """

    crm: str
    ticket_id: str
    request: TextRequest
    caller: str
    key: str
    after: int | None = None
    channel: Channel = Channel.AGENT


@dataclass(frozen=True, slots=True)
class SendReceipt:
    """The text that the request became. `duplicate`: an earlier request made that text."""

    text: int
    duplicate: bool


def newest(connection: psycopg.Connection, crm: str, ticket_id: str) -> int:
    """The id of the ticket's newest text; 0 when it has none."""
    row = connection.execute(SQL["newest"], {"crm": crm, "ticket": ticket_id}).fetchone()
    return row[0] if row else 0


def take_in(connection: psycopg.Connection, asked: SendRequest, max_days: float = send_at.DEFAULT_DAYS) -> SendReceipt:
    """Save the request and its text; both are committed when it returns.

    `max_days`: how far ahead a text may be scheduled. Raises BadTime for a new text with another time, KeyUsedOtherwise
    when the key was used for another request, and psycopg.Error. Nothing is saved then.
    """
    by = {"caller": asked.caller, "key": asked.key}
    body = pseudonyms.of(connection, _digest(asked))
    with connection.transaction():
        if not connection.execute(SQL["remember"], by | {"body": body}).rowcount:
            row = connection.execute(SQL["remembered"], by).fetchone()
            if row is None or row[0] != body:
                raise KeyUsedOtherwise("this key was used for something else")
            return SendReceipt(row[1], duplicate=True)
        after = newest(connection, asked.crm, asked.ticket_id) if asked.after is None else asked.after
        event = TicketEvent(
            asked.crm,
            f"agent:{asked.ticket_id}:{after}",
            asked.ticket_id,
            channel=asked.channel,
            request=asked.request,
            traceparent=tracing.current(),
        )
        [taken] = events.save(connection, [event])
        if asked.request.send_at and not taken.duplicate:
            send_at.check(send_at.parse(asked.request.send_at), postgres.now(connection), max_days)
        text = taken.text or 0  # 0 never occurs: the event has a ticket
        connection.execute(SQL["became"], by | {"text": text})
        return SendReceipt(text, taken.duplicate)


def _digest(asked: SendRequest) -> str:
    what = [asked.crm, asked.ticket_id, asked.after, asdict(asked.request)]
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()
