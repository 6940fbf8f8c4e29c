"""Texts for people: which there are, how each came to where it is, and what became of those that are unknown."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import psycopg
from psycopg.rows import class_row, dict_row

from connector import transitions
from connector.model import Chat, State
from connector.store import queries, texts

SQL = queries.load(__file__)


def story(connection: psycopg.Connection[Any], text: int) -> dict[str, Any] | None:
    """One text with all that is known of it, and its `history`, for people. None: there is no such text."""
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(SQL["story"], {"id": text}).fetchone()
        if row:
            row["history"] = cursor.execute(SQL["history"], {"id": text}).fetchall()
        return row


@dataclass(frozen=True, slots=True)
class Unknown:
    """A text whose outcome is not known. It was called at, and given up at (UTC)."""

    id: int
    crm: str
    ticket_id: str
    outbound_number: str | None
    called_at: datetime | None
    given_up_at: datetime


def unknown_since(connection: psycopg.Connection, since: datetime) -> list[Unknown]:
    """The texts that are unknown and became so after this moment, oldest first."""
    with connection.cursor(row_factory=class_row(Unknown)) as cursor:
        return cursor.execute(SQL["unknown"], {"since": since}).fetchall()


def known_chats(connection: psycopg.Connection, chats: Iterable[int]) -> set[int]:
    """Those of these chats that belong to a text already."""
    rows = connection.execute(SQL["known_chats"], {"chats": [str(chat) for chat in chats]})
    return {chat for (chat,) in rows}


class Only(StrEnum):
    """Texts queued for later; whose outcome the CRM refuses; whose answer contradicts how a person settled them."""

    HELD = "held"
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
    """Texts for people, newest first."""
    with connection.cursor(row_factory=dict_row) as cursor:
        wanted = {"state": state, "ticket": ticket, "crm": crm, "most": most, "only": only}
        return cursor.execute(SQL["listed"], wanted).fetchall()


def seen(connection: psycopg.Connection, text: int) -> dict[str, Any] | None:
    """One text as its asker sees it. None: there is no such text."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(SQL["seen"], {"id": text}).fetchone()


def seen_of_ticket(connection: psycopg.Connection, crm: str, ticket: str, most: int) -> list[dict[str, Any]]:
    """The same for all of a ticket's texts, newest first."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(SQL["seen_of_ticket"], {"crm": crm, "ticket": ticket, "most": most}).fetchall()


def cancel(connection: psycopg.Connection, text: int, by: str) -> bool:
    """Take back what was not sent yet; its ticket is told. False: it is too late, or there is no such text."""
    return bool(texts.move(connection, [transitions.cancelled(text, f"cancelled by {by}")]))


def counts(connection: psycopg.Connection) -> list[dict[str, Any]]:
    """For each state: how many `texts`, how many are `untold`, `refused` by the CRM or `contradicted`, how many are
    `held`, and when the next `leaves_at`.
    """
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(SQL["counts"]).fetchall()


def resolve(connection: psycopg.Connection, text: int, chat: int | None) -> bool:
    """A person has found out about an unknown text: its chat, or None: it was not sent. False: it is not unknown."""
    step = (
        transitions.not_sent(text, "a person found that it was not sent")
        if chat is None
        else transitions.found(text, Chat(id=chat), "a person found its chat")
    )
    return bool(texts.move(connection, [step]))
