"""What happened to each text. Every promise is kept here: by transactions and constraints, not by care.

Each function is one transaction: when it returns, it is committed. All take many texts at once, because that is what a
backlog needs. They raise psycopg.Error when the database does not answer; nothing has happened then.
"""

import json
import re
from base64 import b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from psycopg.rows import class_row, dict_row
from psycopg.types.json import Jsonb

from connector import lane, queue, recipients, sql
from connector.model import Ask, Door, OutboundSms, Outcome, State, Text, TicketEvent
from connector.steps import Move, Trace

SQL = sql.load("ledger")
# What JSON can say and PostgreSQL cannot keep; an escaped backslash before it is no escape.
NUL = re.compile(r"(\\\\)|\\u0000")


def _jsonb(rows: object) -> Jsonb:
    """Rows for a query. One odd character of one text must not hold up all that are committed with it."""
    return Jsonb(rows, dumps=_storable)


def _fields(one: TicketEvent | Ask | OutboundSms | Move) -> dict[str, Any]:
    """Its fields by their names. Not by `asdict`, which copies what they hold, however deep it is."""
    return {name: getattr(one, name) for name in one.__slots__}


def _storable(rows: object) -> bytes:
    text = json.dumps(rows, ensure_ascii=False)
    if "\\u0000" in text:
        text = NUL.sub(lambda found: found[1] or "�", text)
    return text.encode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class TakenIn:
    """What an event became. `text` None: there was nothing to text about. `duplicate`: it had been taken in before.

    `misused`: its id is that of an event about another ticket, so that this one was not taken in.
    """

    event_id: str
    text: int | None
    duplicate: bool
    misused: bool = False


def take_in(connection: psycopg.Connection, events: Sequence[TicketEvent]) -> list[TakenIn]:
    """Keep these events (of one CRM) and queue a text for each that is new. In the order given.

    An event id that comes twice, here or ever, is one event; all but its first are duplicates.
    """
    if not events:
        return []
    once: dict[str, TicketEvent] = {}
    for event in events:
        once.setdefault(event.event_id, event)
    with connection.transaction(), connection.cursor(row_factory=class_row(TakenIn)) as cursor:
        rows = cursor.execute(SQL["take_in"], {"events": _jsonb([_row(event) for event in once.values()])}).fetchall()
        taken = {row.event_id: row for row in rows}
        queue.add(connection, [
            queue.NewJob(queue.DELIVER[door := once[row.event_id].door], row.text, door)
            for row in rows if row.text is not None
        ])
        if known := [event for event_id, event in once.items() if event_id not in taken]:
            again = _jsonb([{"event_id": event.event_id, "ticket_id": event.ticket_id} for event in known])
            cursor.execute(SQL["known"], {"crm": events[0].crm, "events": again}, prepare=False)  # no plan is kept
            taken |= {row.event_id: row for row in cursor}
    return [_answer(event, taken[event.event_id], once[event.event_id]) for event in events]


def _answer(event: TicketEvent, taken: TakenIn, first: TicketEvent) -> TakenIn:
    """What this event became, where `first` of its id became `taken`."""
    if event is first:
        return taken
    return replace(taken, duplicate=True, misused=taken.misused or event.ticket_id != first.ticket_id)


def _row(event: TicketEvent) -> dict[str, Any]:
    raw = None if event.raw is None else b64encode(event.raw).decode()
    return _fields(event) | {"ask": event.ask and _fields(event.ask), "raw": raw}


def load(connection: psycopg.Connection, ids: Sequence[int]) -> dict[int, Text]:
    """The texts of these ids."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return {row["id"]: _text(row) for row in cursor.execute(SQL["load"], {"ids": list(ids)})}


def _text(row: dict[str, Any]) -> Text:
    sms = OutboundSms(**row["sms"]) if row["sms"] else None
    ask = Ask(**row["ask"]) if row["ask"] else None
    return Text(**row | {"door": Door(row["door"]), "state": State(row["state"]), "sms": sms, "ask": ask})


@dataclass(frozen=True, slots=True)
class Wanted:
    """One text to queue: what was decided, as it is to leave; its `trace`; and how long its number is to be its own."""

    text: int
    rule: str
    reason: str
    sms: OutboundSms
    trace: Trace
    window: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True)
class Held:
    """By which text a reason is held, mostly the one that asked; and whether the number is that one's."""

    holder: int
    number: bool


def decide(connection: psycopg.Connection, wanted: Sequence[Wanted], now: datetime) -> dict[int, Held]:
    """Queue these texts with what was decided: those that hold both their reason and, for its window, their number.

    A text that is missing from the answer is past this step already.
    """
    with connection.transaction():
        claims = [recipients.Claim(one.text, one.sms.end_user_number, one.window) for one in wanted]
        claimed = recipients.claim(connection, claims, now)
        rows = _jsonb([
            {
                "id": one.text, "rule": one.rule, "reason": one.reason, "sms": _fields(one.sms), "trace": one.trace,
                "number": one.text in claimed,
            }
            for one in wanted
        ])
        connection.execute(SQL["claim_reasons"], {"decisions": rows})
        found = connection.execute(SQL["queue_decided"], {"decisions": rows}).fetchall()
    return {text: Held(holder, text in claimed) for text, holder in found}


def to_be_sent(connection: psycopg.Connection, ids: Sequence[int]) -> set[int]:
    """Those of these texts that still wait to be sent."""
    return {text for (text,) in connection.execute(SQL["to_be_sent"], {"ids": list(ids)})}


def claim(connection: psycopg.Connection, ids: Sequence[int]) -> dict[int, lane.Closed | None]:
    """The step before the call: `sending`, committed first, so that a crash in the middle of the call is seen.

    None for a text that may be sent now; why not for one that has to wait because the lane is closed. One that is
    missing from the answer has been sent by somebody else, or taken back.
    """
    rows = connection.execute(SQL["claim"], lane.LANE | {"ids": list(ids)})
    return {text: lane.closed(stopped_why, held_for) for text, stopped_why, held_for in rows}


def move(connection: psycopg.Connection, moves: Sequence[Move]) -> set[int]:
    """Take these steps; the ids of the texts that did. An outcome to tell queues its write-back, `after` a new try."""
    with connection.transaction(), connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(SQL["move"], {"moves": _jsonb([_fields(move) for move in moves])}).fetchall()
        queue.add(connection, [
            queue.NewJob(queue.Kind.WRITE_BACK, row["id"], Door(row["door"])) for row in rows if row["tell"]
        ] + [
            queue.NewJob(queue.DELIVER[door := Door(row["door"])], row["id"], door, row["after"])
            for row in rows if row["after"] is not None
        ])
    return {row["id"] for row in rows}


def outcomes(connection: psycopg.Connection, ids: Sequence[int]) -> tuple[list[Outcome], dict[int, int]]:
    """What the tickets of these texts have to learn; and (text: version) of what newer texts have overtaken."""
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(SQL["outcomes"], {"ids": list(ids)}).fetchall()
    newest = {(row["crm"], row["ticket_id"]): row["id"] for row in rows}
    overtaken = {
        row["id"]: row["outcome"] for row in rows
        if row["overtaken"] or newest[row["crm"], row["ticket_id"]] != row["id"]
    }
    return [_outcome(row) for row in rows if row["id"] not in overtaken], overtaken


def _outcome(row: dict[str, Any]) -> Outcome:
    return Outcome(
        text=row["id"], version=row["outcome"], crm=row["crm"], ticket_id=row["ticket_id"], state=State(row["state"]),
        why=row["why"], rule=row["rule"], chat=row["chat"], at=row["changed_at"].astimezone(UTC),
        attempts=row["write_attempts"],
    )


def written(connection: psycopg.Connection, results: Iterable[tuple[int, int, str | None]]) -> None:
    """(text, version, refused): the ticket has this outcome, or the CRM will never take it and `refused` says why."""
    rows = [{"id": text, "version": version, "refused": refused} for text, version, refused in results]
    connection.execute(SQL["written"], {"results": _jsonb(rows)})


def write_later(connection: psycopg.Connection, texts: dict[int, float]) -> None:
    """The CRM did not take these outcomes: (text: seconds from now) for the next try."""
    with connection.transaction():
        rows = connection.execute(SQL["write_later"], {"ids": list(texts)}).fetchall()
        queue.add(connection, [
            queue.NewJob(queue.Kind.WRITE_BACK, text, Door(door), texts[text]) for text, door in rows
        ])
