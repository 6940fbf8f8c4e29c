"""Takes in what a person asks for: once for each key, and once for each state of the ticket that was looked at.

Two clicks, two tabs and two agents who saw the same ticket want the same text: the event is named after the ticket and
the newest text that it had then, and an event is taken in once.
"""

import hashlib
import json
from dataclasses import asdict, dataclass

import psycopg

from connector.errors import KeyUsedOtherwise
from connector.model import Channel, TextRequest, TicketEvent
from connector.store import events, pseudonyms, queries

SQL = queries.load(__file__)


@dataclass(frozen=True, slots=True)
class SendRequest:
    """One text that a person wants. `after` is the ticket's newest text that was seen (0: none); None: as it is now.

    `caller` and `key` make a repetition the same text.
    """

    crm: str
    ticket_id: str
    ask: TextRequest
    caller: str
    key: str
    after: int | None = None


@dataclass(frozen=True, slots=True)
class SendReceipt:
    """What it became. `duplicate`: it is somebody's text already."""

    text: int
    duplicate: bool


def newest(connection: psycopg.Connection, crm: str, ticket_id: str) -> int:
    """The id of the ticket's newest text; 0: it has none."""
    row = connection.execute(SQL["newest"], {"crm": crm, "ticket": ticket_id}).fetchone()
    return row[0] if row else 0


def take_in(connection: psycopg.Connection, asked: SendRequest) -> SendReceipt:
    """Committed when it returns. Raises KeyUsedOtherwise, psycopg.Error."""
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
            asked.crm, f"agent:{asked.ticket_id}:{after}", asked.ticket_id, channel=Channel.AGENT, ask=asked.ask
        )
        [taken] = events.save(connection, [event])
        text = taken.text or 0  # never: the event has a ticket
        connection.execute(SQL["became"], by | {"text": text})
        return SendReceipt(text, taken.duplicate)


def _digest(asked: SendRequest) -> str:
    what = [asked.crm, asked.ticket_id, asked.after, asdict(asked.ask)]
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()
