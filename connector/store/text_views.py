"""Queries for operators and agents: lists of texts, the history of each, and decisions on unknown and waiting texts."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

import psycopg
from psycopg.rows import class_row, dict_row

from connector import transitions
from connector.errors import RefusalCode
from connector.model import OUTCOMES, Channel, Chat, OutboundSms, State, TextRequest
from connector.store import pauses, queries, texts
from connector.transitions import UNDECIDED, Trace

SQL = queries.load(__file__)


class WriteBackState(StrEnum):
    """Where the write-back of a text's outcome is. DROPPED: the ticket never gets it; `write_refused` says why."""

    NONE = "none"
    PENDING = "pending"
    WRITTEN = "written"
    DROPPED = "dropped"


def write_back_state(outcome: int, written: int, write_refused: str | None) -> WriteBackState:
    """Return the state for a text's newest outcome, the last that was written or given up, and the CRM's refusal."""
    if outcome > written:
        return WriteBackState.PENDING
    if not outcome:
        return WriteBackState.NONE
    return WriteBackState.DROPPED if write_refused else WriteBackState.WRITTEN


@dataclass(frozen=True, slots=True)
class Step:
    """One transition of a text."""

    at: datetime
    from_state: State
    to_state: State
    why: str


@dataclass(frozen=True, slots=True)
class TextStory:
    """All that is kept of a text, for operators. Times are in UTC; `chat` is {"id", "status", "ended"} or None.

    `leaves_at`: the time until which it waits. `history` is oldest first.
    """

    id: int
    crm: str
    ticket_id: str
    channel: Channel
    state: State
    rule: str | None
    sms: OutboundSms | None
    chat: Mapping[str, Any] | None
    why: str
    outcome: int
    written: int
    write_refused: str | None
    contradicted: str | None
    event_id: str
    received_at: datetime
    changed_at: datetime
    trace: Trace | None
    agent: str | None
    override: str | None
    send_at: datetime | None
    reason: str | None
    leaves_at: datetime | None
    history: Sequence[Step]

    @property
    def write_back(self) -> WriteBackState:
        return write_back_state(self.outcome, self.written, self.write_refused)


def story(connection: psycopg.Connection[Any], text: int) -> TextStory | None:
    """Return all that is kept of one text. None: there is no such text."""
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(SQL["story"], {"id": text}).fetchone()
        if row is None:
            return None
        steps = cursor.execute(SQL["history"], {"id": text}).fetchall()
    history = [Step(**step | {name: State(step[name]) for name in ("from_state", "to_state")}) for step in steps]
    return TextStory(**row | _typed(row) | {"history": history})


def _typed(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "channel": Channel(row["channel"]),
        "state": State(row["state"]),
        "sms": OutboundSms(**row["sms"]) if row["sms"] else None,
    }


@dataclass(frozen=True, slots=True)
class TextStatus:
    """A text as shown to the agent or API client that requested it. Times are in UTC.

    `chat` is {"id", "status", "ended"} or None. `notified_after`: the text whose outcome the ticket gets first.
    `leaves_at`: the time until which it waits. `pause`: why an operator's pause keeps it from being sent; else empty.
    `worker`: one is running.
    """

    id: int
    crm: str
    ticket_id: str
    channel: Channel
    state: State
    why: str
    code: RefusalCode | None
    sms: OutboundSms | None
    request: TextRequest | None
    trace: Trace | None
    chat: Mapping[str, Any] | None
    outcome: int
    written: int
    write_refused: str | None
    changed_at: datetime
    received_at: datetime
    notified_after: int | None
    leaves_at: datetime | None
    pause: str = ""
    worker: bool = True

    @property
    def write_back(self) -> WriteBackState:
        return write_back_state(self.outcome, self.written, self.write_refused)

    @property
    def is_final(self) -> bool:
        return self.state in OUTCOMES


def seen(connection: psycopg.Connection, text: int) -> TextStatus | None:
    """Return one text. None: there is no such text."""
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(SQL["seen"], {"id": text}).fetchone()
        return _status(row) if row else None


def seen_of_ticket(connection: psycopg.Connection, crm: str, ticket: str, most: int) -> list[TextStatus]:
    """Return at most `most` texts of a ticket, newest first."""
    with connection.cursor(row_factory=dict_row) as cursor:
        asked = {"crm": crm, "ticket": ticket, "most": most}
        return [_status(row) for row in cursor.execute(SQL["seen_of_ticket"], asked)]


def _status(row: dict[str, Any]) -> TextStatus:
    request = row.pop("request")
    row["request"] = texts.request_of(request) if request else None
    row["code"] = RefusalCode.stored(row["code"])
    return TextStatus(**row | _typed(row))


def with_pauses(connection: psycopg.Connection, found: Sequence[TextStatus]) -> list[TextStatus]:
    """Return these texts with the operator's pause that keeps each from being sent."""
    waiting = [text.id for text in found if text.state in UNDECIDED]
    paused = pauses.covering(connection, waiting) if waiting else {}
    return [replace(text, pause=str(paused.get(text.id, ""))) for text in found]


@dataclass(frozen=True, slots=True)
class Unknown:
    """A text whose outcome is unknown, with the times of its call and of giving it up (UTC)."""

    id: int
    crm: str
    ticket_id: str
    outbound_number: str | None
    called_at: datetime | None
    given_up_at: datetime


def unknown_since(connection: psycopg.Connection, since: datetime) -> list[Unknown]:
    """The unknown texts that became so after this time, oldest first."""
    with connection.cursor(row_factory=class_row(Unknown)) as cursor:
        return cursor.execute(SQL["unknown"], {"since": since}).fetchall()


def known_chats(connection: psycopg.Connection, chats: Iterable[int]) -> set[int]:
    """Those of these chats that belong to a text."""
    rows = connection.execute(SQL["known_chats"], {"chats": [str(chat) for chat in chats]})
    return {chat for (chat,) in rows}


def cancel(connection: psycopg.Connection, text: int, by: str) -> bool:
    """Cancel a waiting text and queue its write-back. False: it is too late, or there is no such text."""
    return bool(texts.move(connection, [transitions.cancelled(text, f"cancelled by {by}")]))


@dataclass(frozen=True, slots=True)
class StateCount:
    """How many texts are in a state: `texts`, `not_written`, `refused` by the CRM, `contradicted`,
    and queued for later (`held`); and when the next of these is sent (`leaves_at`, UTC).
    """

    state: State
    texts: int
    not_written: int
    refused: int
    contradicted: int
    held: int
    leaves_at: datetime | None


def counts(connection: psycopg.Connection) -> list[StateCount]:
    """Return the counts of each state that a text is in."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return [StateCount(**row | {"state": State(row["state"])}) for row in cursor.execute(SQL["counts"])]


def resolve(connection: psycopg.Connection, text: int, chat: int | None) -> bool:
    """Settle an unknown text on an operator's word. `chat` None: it was not sent. False: it is not unknown."""
    step = (
        transitions.not_sent(text, "a person found that it was not sent")
        if chat is None
        else transitions.found(text, Chat(id=chat), "a person found its chat")
    )
    return bool(texts.move(connection, [step]))
