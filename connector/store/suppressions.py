"""The suppression list: the numbers that must not be texted. It outlives all other data, at the person's own wish.

A number has an entry for each source: a person, a word of the customer, CCAI Platform, the CRM. Any entry blocks it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import psycopg
from psycopg.rows import class_row

from connector.policy.opt_outs import Source
from connector.store import queries
from connector.store.rows import fields, jsonb

SQL = queries.load(__file__)


@dataclass(frozen=True, slots=True)
class Suppressed:
    """An entry of the suppression list. Times are in UTC.

    `words`: the customer's word; `said_at`: when the customer asked; `to_enter`: an operator has to enter the number on
    CCAI Platform's own list, and has not recorded it yet.
    """

    number: str
    source: str
    why: str
    added_by: str
    added_at: datetime
    words: str
    said_at: datetime | None
    to_enter: bool
    entered_at: datetime | None


@dataclass(frozen=True, slots=True)
class Asked:
    """A customer's own wish, from a message: the word, if a word did it, the chat, and the time (UTC).

    `to_enter`: CCAI Platform does not act on the message by itself.
    """

    chat: str
    said_at: datetime
    words: str = ""
    to_enter: bool = True


def suppress(
    connection: psycopg.Connection,
    number: str,
    why: str,
    by: str,
    source: Source = Source.PERSON,
    asked: Asked | None = None,
) -> bool:
    """Add this number (E.164) to the suppression list. False: this source has it there already."""
    row = {
        "number": number,
        "source": source,
        "why": why,
        "by": by,
        "words": asked.words if asked else "",
        "chat": asked and asked.chat,
        "said_at": asked and asked.said_at,
        "to_enter": asked.to_enter if asked else source is Source.PERSON,
    }
    [(new,)] = connection.execute(SQL["suppress"], row).fetchall()
    return bool(new)


def allow(connection: psycopg.Connection, number: str) -> bool:
    """Remove this number from the suppression list, whatever its sources. False: it is not listed."""
    return bool(connection.execute(SQL["allow"], {"number": number}).rowcount)


def lift(connection: psycopg.Connection, number: str, source: Source) -> bool:
    """Remove the entry of this source. False: there is none."""
    return bool(connection.execute(SQL["lift"], {"number": number, "source": source}).rowcount)


def sources(connection: psycopg.Connection, number: str) -> list[Source]:
    """The sources that have this number on the suppression list."""
    return [Source.stored(source) for (source,) in connection.execute(SQL["sources"], {"number": number})]


def suppressed(connection: psycopg.Connection, most: int, to_enter: bool = False) -> list[Suppressed]:
    """The suppression list, newest first. `to_enter`: only numbers that still have to be entered on the platform."""
    with connection.cursor(row_factory=class_row(Suppressed)) as cursor:
        return cursor.execute(SQL["suppressed"], {"most": most, "to_enter": to_enter}).fetchall()


def record_entered(connection: psycopg.Connection, number: str) -> bool:
    """Record that an operator has entered the number on the platform's own list. False: it did not have to be."""
    return bool(connection.execute(SQL["entered"], {"number": number}).rowcount)


def forget_words(connection: psycopg.Connection, number: str) -> None:
    """Erase what the person said. The entries stay, at the person's own wish."""
    connection.execute(SQL["forget_words"], {"number": number})


@dataclass(frozen=True, slots=True)
class FieldSays:
    """The value of the CRM's opt-out field for a ticket's number (E.164), as just read."""

    number: str
    crm: str
    ticket: str
    opted_out: bool


def follow(connection: psycopg.Connection, values: Sequence[FieldSays]) -> None:
    """Add and lift the entries of these tickets. An entry of another source, or another ticket, is not changed."""
    if values:
        rows = jsonb([fields(value) for value in sorted(values, key=lambda value: value.number)])
        connection.execute(SQL["follow"], {"values": rows})


def take_unchecked(connection: psycopg.Connection, older_than: float, most: int) -> list[tuple[str, str, str]]:
    """The (number, crm, ticket)s of the CRM's entries whose ticket was not read for so many seconds; now it counts as
    read.
    """
    rows = connection.execute(SQL["take_unchecked"], {"seconds": older_than, "most": most}).fetchall()
    return [(number, *_parts(origin)) for number, origin in rows]


def _parts(origin: str) -> tuple[str, str]:
    crm, _, ticket = origin.partition("/")
    return crm, ticket
