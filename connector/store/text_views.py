"""Queries for operators and agents: lists of texts, the history of each, and decisions on unknown and waiting texts."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import psycopg
from psycopg.rows import class_row, dict_row

from connector import transitions
from connector.model import Chat, State
from connector.store import pauses, queries, texts

SQL = queries.load(__file__)


class WriteBackState(StrEnum):
    """Where the write-back of a text's outcome is. DROPPED: the ticket never gets it; `write_refused` says why."""

    NONE = "none"
    PENDING = "pending"
    WRITTEN = "written"
    DROPPED = "dropped"


def write_back_state(row: Mapping[str, Any]) -> WriteBackState:
    """Return the state of a row that has `outcome`, `written` and `write_refused`."""
    if row["outcome"] > row["written"]:
        return WriteBackState.PENDING
    if not row["outcome"]:
        return WriteBackState.NONE
    return WriteBackState.DROPPED if row["write_refused"] else WriteBackState.WRITTEN


def story(connection: psycopg.Connection[Any], text: int) -> dict[str, Any] | None:
    """All data of one text and its `history`, for display. None: there is no such text."""
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(SQL["story"], {"id": text}).fetchone()
        if row:
            row["history"] = cursor.execute(SQL["history"], {"id": text}).fetchall()
        return row


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


class Only(StrEnum):
    """A filter: waiting for a later time; scheduled for one; outcome refused by the CRM; settled by an operator and
    contradicted by the answer.
    """

    HELD = "held"
    SCHEDULED = "scheduled"
    REFUSED = "refused"
    CONTRADICTED = "contradicted"


def listed(
    connection: psycopg.Connection,
    state: State | None,
    ticket: str | None,
    most: int,
    crm: str | None = None,
    only: Only | None = None,
) -> list[dict[str, Any]]:
    """Texts for display, newest first."""
    with connection.cursor(row_factory=dict_row) as cursor:
        wanted = {"state": state, "ticket": ticket, "crm": crm, "most": most, "only": only}
        return cursor.execute(SQL["listed"], wanted).fetchall()


def seen(connection: psycopg.Connection, text: int) -> dict[str, Any] | None:
    """One text as shown to the agent or API client that requested it. None: there is no such text."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(SQL["seen"], {"id": text}).fetchone()


def seen_of_ticket(connection: psycopg.Connection, crm: str, ticket: str, most: int) -> list[dict[str, Any]]:
    """All texts of a ticket in the same form, newest first."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(SQL["seen_of_ticket"], {"crm": crm, "ticket": ticket, "most": most}).fetchall()


def add_pauses(connection: psycopg.Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Add `pause` to texts in this form: why an operator's pause keeps the text from being sent; else empty."""
    waiting = [row["id"] for row in rows if row["state"] in (State.RECEIVED, State.QUEUED)]
    paused = pauses.covering(connection, waiting) if waiting else {}
    for row in rows:
        row["pause"] = str(paused.get(row["id"], ""))


def cancel(connection: psycopg.Connection, text: int, by: str) -> bool:
    """Cancel a waiting text and queue its write-back. False: it is too late, or there is no such text."""
    return bool(texts.move(connection, [transitions.cancelled(text, f"cancelled by {by}")]))


def counts(connection: psycopg.Connection) -> list[dict[str, Any]]:
    """The counts of each state: `texts`, those not written back (`untold`), `refused` by the CRM, `contradicted`, and
    queued for later (`held`); and when the next of these is sent (`leaves_at`).
    """
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(SQL["counts"]).fetchall()


def resolve(connection: psycopg.Connection, text: int, chat: int | None) -> bool:
    """Settle an unknown text on an operator's word. `chat` None: it was not sent. False: it is not unknown."""
    step = (
        transitions.not_sent(text, "a person found that it was not sent")
        if chat is None
        else transitions.found(text, Chat(id=chat), "a person found its chat")
    )
    return bool(texts.move(connection, [step]))
