"""Unknown texts for the people who settle them: each with its evidence, and the time that it takes to resolve them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

import psycopg
from psycopg.rows import class_row

from connector.model import Channel, State
from connector.store import audit, queries, text_views
from connector.store.audit import Action, Actor

SQL = queries.load(__file__)
# The most rows of each kind of evidence, and the most chat events that are searched for it.
MAX_ROWS, MAX_EVENTS = 20, 2_000
# How far around the call chats of the same number or ticket count as evidence, in hours.
NEAR_HOURS = 24.0
# How long after the text was given up a chat of no text counts as evidence, in hours; and the allowed difference
# between the platform's clock and the database's, in seconds.
UNCLAIMED_HOURS, SKEW_SECONDS = 1.0, 30.0


@dataclass(frozen=True, slots=True)
class OpenUnknown:
    """A text that may have been sent. Times are in UTC; `age`: seconds since it was given up.

    `unclear`: its claims whose call had no clear answer, oldest first. `number`: the keyed hash of the customer's.
    `tries_again_at`: when it is sent once more, if that is enabled. `followers`: texts that were skipped for it.
    """

    id: int
    crm: str
    ticket_id: str
    channel: Channel
    rule: str | None
    why: str
    number: str | None
    unclear: Sequence[int]
    called_at: datetime | None
    given_up_at: datetime
    age: float
    tries_again_at: datetime | None
    end_user_number: str | None
    outbound_number: str | None
    message: str | None
    followers: int


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the text, and how it ended. `claim`: its number, where it is one of the calls without an answer."""

    at: datetime
    ended_at: datetime | None
    ended_as: State | None
    why: str
    claim: int | None = None


@dataclass(frozen=True, slots=True)
class NearChat:
    """A chat of another text to the same number, or about the same ticket. `sent_at`: when that text was sent."""

    chat: int
    text: int
    ticket_id: str
    same_number: bool
    status: str
    ended: bool
    at: datetime
    sent_at: datetime


@dataclass(frozen=True, slots=True)
class UnclaimedChat:
    """A chat that belongs to no text and posted its first event after the call. It may be this text's."""

    chat: str
    first_at: datetime
    last_at: datetime
    events: Sequence[str] | None


@dataclass(frozen=True, slots=True)
class BusyRefusal:
    """A later text to the same number that was refused because the customer was in a session."""

    text: int
    ticket_id: str
    state: State
    since: datetime


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of an unknown text. None of it proves alone that the text was sent, or that it was not."""

    text: OpenUnknown
    calls: Sequence[Call] = ()
    chats: Sequence[NearChat] = ()
    unclaimed: Sequence[UnclaimedChat] = ()
    busy: Sequence[BusyRefusal] = ()


@dataclass(frozen=True, slots=True)
class TimeToSettle:
    """Unknown texts that were settled within 7 days, by whomever, and the seconds that it took. None: none was."""

    settled: int = 0
    median: float | None = None
    p95: float | None = None


class Settled(StrEnum):
    """The result of settling a text. CHAT_TAKEN: the chat belongs to another text."""

    DONE = "done"
    NOT_UNKNOWN = "not_unknown"
    CHAT_TAKEN = "chat_taken"


def count(connection: psycopg.Connection) -> int:
    """The number of unknown texts."""
    [(unknown,)] = connection.execute(SQL["count"]).fetchall()
    return int(unknown)


def open_unknowns(
    connection: psycopg.Connection, most: int, after: tuple[datetime, int] | None = None
) -> list[OpenUnknown]:
    """Unknown texts, oldest first. `after`: `given_up_at` and id of the last one of the page before."""
    at, text = after or (None, None)
    with connection.cursor(row_factory=class_row(OpenUnknown)) as cursor:
        return cursor.execute(SQL["open"], {"after": at, "after_id": text, "most": most}).fetchall()


def evidence(connection: psycopg.Connection, text: int) -> Evidence | None:
    """Return what is known of this unknown text. None: it is not unknown."""
    with connection.cursor(row_factory=class_row(OpenUnknown)) as cursor:
        unknown = cursor.execute(SQL["one"], {"id": text}).fetchone()
    if unknown is None:
        return None
    asked = {
        "id": text,
        "crm": unknown.crm,
        "ticket": unknown.ticket_id,
        "number": unknown.number,
        "called": unknown.called_at or unknown.given_up_at,
        "given_up": unknown.given_up_at,
        "most": MAX_ROWS,
    }
    return Evidence(
        unknown,
        _calls(connection, unknown),
        _chats(connection, asked | {"hours": NEAR_HOURS}),
        _unclaimed(connection, asked | {"hours": UNCLAIMED_HOURS, "skew": SKEW_SECONDS, "most_events": MAX_EVENTS}),
        _busy(connection, asked),
    )


def _calls(connection: psycopg.Connection, unknown: OpenUnknown) -> list[Call]:
    """The calls; those without an answer get the numbers of their claims, if each of them has one."""
    with connection.cursor(row_factory=class_row(Call)) as cursor:
        calls = cursor.execute(SQL["calls"], {"id": unknown.id}).fetchall()
    unanswered = [call for call in calls if call.ended_as == State.UNKNOWN]
    if len(unanswered) != len(unknown.unclear):
        return calls
    claims = iter(unknown.unclear)
    return [replace(call, claim=next(claims)) if call.ended_as == State.UNKNOWN else call for call in calls]


def _chats(connection: psycopg.Connection, asked: dict[str, Any]) -> list[NearChat]:
    with connection.cursor(row_factory=class_row(NearChat)) as cursor:
        return cursor.execute(SQL["chats"], asked).fetchall()


def _unclaimed(connection: psycopg.Connection, asked: dict[str, Any]) -> list[UnclaimedChat]:
    with connection.cursor(row_factory=class_row(UnclaimedChat)) as cursor:
        return cursor.execute(SQL["unclaimed"], asked).fetchall()


def _busy(connection: psycopg.Connection, asked: dict[str, Any]) -> list[BusyRefusal]:
    with connection.cursor(row_factory=class_row(BusyRefusal)) as cursor:
        return cursor.execute(SQL["busy"], asked).fetchall()


def text_of_chat(connection: psycopg.Connection, chat: int) -> int | None:
    """The text that this chat belongs to. None: to none."""
    row = connection.execute(SQL["text_of_chat"], {"chat": str(chat)}).fetchone()
    return row[0] if row else None


def settle(connection: psycopg.Connection, actor: Actor, text: int, chat: int | None, why: str = "") -> Settled:
    """Settle an unknown text on a person's word, and record who did. The ticket is notified; nothing is sent.

    `chat` None: it was not sent, and its reason may be used again.
    """
    with connection.transaction():
        if chat is not None:
            connection.execute(SQL["lock_chat"], {"chat": str(chat)})
            if text_of_chat(connection, chat) not in (None, text):
                return Settled.CHAT_TAKEN
        if not text_views.resolve(connection, text, chat):
            return Settled.NOT_UNKNOWN
        before, after = {"state": State.UNKNOWN}, {"state": State.FAILED if chat is None else State.SENT, "chat": chat}
        audit.record(connection, actor, Action.TEXT_RESOLVE, audit.text(text), before=before, after=after, why=why)
    return Settled.DONE


def time_to_settle(connection: psycopg.Connection) -> TimeToSettle:
    """How long it took to settle the unknown texts that were settled within 7 days."""
    with connection.cursor(row_factory=class_row(TimeToSettle)) as cursor:
        return cursor.execute(SQL["time_to_settle"]).fetchone() or TimeToSettle()
