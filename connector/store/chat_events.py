"""Chat events that CCAI Platform posted: saved before they are acknowledged, processed later, at least once."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

import psycopg
from psycopg.rows import class_row

from connector.store import pseudonyms, queries
from connector.store.rows import jsonb

SQL = queries.load(__file__)

# Failures after which an event is set aside: it is retried once an hour, and `connector status` shows it.
MAX_FAILURES = 5
# Longest pause in seconds between two attempts.
MAX_PAUSE, SET_ASIDE_SECONDS = 64, 3600
# An event whose chat belongs to no text waits for so long: the response that names the chat may be late.
WAIT_HOURS = 24
# Longest pause in seconds between two searches for the chat of such an event.
MAX_WAIT_PAUSE = 900


class ProblemKind(StrEnum):
    """Why an event had no effect so far."""

    UNREADABLE = "unreadable"
    UNKNOWN_SENDER = "unknown_sender"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class NewChatEvent:
    """An authentic event. `signed`: its signed bytes. `problem` and `raw`: it could not be read. Times are in UTC."""

    signed: bytes
    occurred_at: datetime
    chat_id: str | None = None
    event_type: str | None = None
    body: dict[str, Any] = field(default_factory=dict)
    problem: str | None = None
    raw: bytes | None = None


@dataclass(frozen=True, slots=True)
class ChatEvent:
    """A saved event that is due. `known`: a text has its chat. `expired`: it has waited for that text long enough."""

    id: int
    chat_id: str
    event_type: str
    occurred_at: datetime
    body: dict[str, Any]
    known: bool
    expired: bool


@dataclass(frozen=True, slots=True)
class Summary:
    """Counts for operators. `received_at`: when the last event arrived (UTC); None: never.

    `waiting`: still to be processed, or waiting for a text that has their chat. `failed`: set aside, or about to be.
    """

    received_at: datetime | None = None
    waiting: int = 0
    unreadable: int = 0
    unknown_sender: int = 0
    failed: int = 0


def save(connection: psycopg.Connection, events: Sequence[NewChatEvent]) -> list[bool]:
    """Save these events, in one transaction. For each, in the order given: whether it is new."""
    keys = [pseudonyms.of_bytes(connection, event.signed) for event in events]
    rows = {
        key: {
            "key": key,
            "chat_id": event.chat_id,
            "event_type": event.event_type,
            "occurred_at": event.occurred_at.isoformat(),
            "body": event.body,
            "raw": None if event.raw is None else base64.b64encode(event.raw).decode(),
            "problem": event.problem,
        }
        for key, event in zip(keys, events, strict=True)
    }
    saved = {key for (key,) in connection.execute(SQL["save"], {"events": jsonb(list(rows.values()))})}
    receipts = []
    for key in keys:
        receipts.append(key in saved)
        saved.discard(key)  # the same event twice in one call
    return receipts


def due(connection: psycopg.Connection, most: int) -> list[ChatEvent]:
    """Lock and return events that are due, in the caller's transaction. Events that others have locked are left out."""
    with connection.cursor(row_factory=class_row(ChatEvent)) as cursor:
        return cursor.execute(SQL["due"], {"most": most, "hours": WAIT_HOURS}).fetchall()


def processed(connection: psycopg.Connection, ids: Sequence[int]) -> None:
    """Record that these events took effect."""
    connection.execute(SQL["processed"], {"ids": list(ids)})


def ignored(connection: psycopg.Connection, ids: Sequence[int]) -> None:
    """Record that these events need no effect. Their bodies are erased."""
    connection.execute(SQL["ignored"], {"ids": list(ids)})


def wait(connection: psycopg.Connection, ids: Sequence[int]) -> None:
    """Put these events off: no text has their chats yet. Pauses grow with an event's age."""
    connection.execute(SQL["wait"], {"ids": list(ids), "longest": MAX_WAIT_PAUSE})


def failed(connection: psycopg.Connection, event_id: int, kind: ProblemKind, problem: str) -> int:
    """Record a failure and put the event off; the number of its failures. It is set aside after MAX_FAILURES."""
    wanted = {
        "id": event_id,
        "kind": kind.value,
        "problem": problem,
        "most": 0 if kind is ProblemKind.UNKNOWN_SENDER else MAX_FAILURES,
        "longest": MAX_PAUSE,
        "aside": SET_ASIDE_SECONDS,
    }
    [(failures,)] = connection.execute(SQL["failed"], wanted).fetchall()
    return int(failures)


def given_up(connection: psycopg.Connection, ids: Sequence[int]) -> None:
    """Stop retrying these events. They keep their bodies and problems, for an operator."""
    connection.execute(SQL["given_up"], {"ids": list(ids)})


def summary(connection: psycopg.Connection) -> Summary:
    """Counts for operators."""
    with connection.cursor(row_factory=class_row(Summary)) as cursor:
        return cursor.execute(SQL["summary"]).fetchone() or Summary()
