"""What happened to each text. Every promise is kept here: by transactions and constraints, not by care.

Each function is one transaction: when it returns, it is committed. All take many texts at once, because that is what a
backlog needs. They raise psycopg.Error when the database does not answer; nothing has happened then.
"""

import json
import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import structlog
from psycopg.rows import class_row, dict_row
from psycopg.types.json import Jsonb

from connector import lane, pseudonyms, queue, recipients, sql, steps
from connector.model import Accepted, Ask, Door, OutboundSms, Outcome, State, Text, TicketEvent
from connector.steps import Move, Standing, Trace

log = structlog.get_logger()
SQL = sql.load("ledger")
# States in which a text may end without a result that another ticket could be told of.
NOTHING_SAID = (State.CANCELLED, State.SKIPPED)
# States in which more is to come, and the seconds for which an outcome waits for a text that is about to be decided.
NOT_OVER = (State.RECEIVED, State.QUEUED, State.SENDING)
SOON = 60
# What JSON can say and PostgreSQL cannot keep; an escaped backslash before it is no escape.
NUL = re.compile(r"(\\\\)|\\u0000")


def _jsonb(rows: object) -> Jsonb:
    """Rows for a query. One odd character of one text must not hold up all that are committed with it."""
    return Jsonb(rows, dumps=_storable)


def _fields(one: Any) -> dict[str, Any]:
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


def _ask(row: dict[str, Any]) -> Ask:
    """As it was taken in; JSON has no tuples."""
    overrides = row.get("overrides")
    return Ask(**row | {"overrides": None if overrides is None else tuple(overrides)})


def load(connection: psycopg.Connection, ids: Sequence[int]) -> dict[int, Text]:
    """The texts of these ids."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return {row["id"]: _text(row) for row in cursor.execute(SQL["load"], {"ids": list(ids)})}


def _text(row: dict[str, Any]) -> Text:
    sms = OutboundSms(**row["sms"]) if row["sms"] else None
    ask = _ask(row["ask"]) if row["ask"] else None
    accepted = Accepted(**row["accepted"]) if row["accepted"] else None
    made = {"door": Door(row["door"]), "state": State(row["state"]), "sms": sms, "ask": ask, "accepted": accepted}
    return Text(**row | made)


@dataclass(frozen=True, slots=True)
class Wanted:
    """One text to queue: what was decided, as it is to leave; its `trace`; and how long its number is to be its own.

    `revision`: the one that it was decided for.
    """

    text: int
    revision: int
    rule: str
    reason: str
    sms: OutboundSms
    trace: Trace
    window: timedelta = timedelta(0)
    accepted: Accepted | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """By which text a reason is held, mostly the one that asked; and whether the number is that one's.

    `revision`: the text's, now.
    """

    holder: int
    number: bool
    revision: int


def decide(connection: psycopg.Connection, wanted: Sequence[Wanted], now: datetime) -> dict[int, Held]:
    """Queue these texts with what was decided: those that hold both their reason and, for its window, their number.

    A text that is missing from the answer is past this step already, or was taken back: it claims nothing.
    """
    with connection.transaction():
        asked = {"ids": [one.text for one in wanted], "revisions": [one.revision for one in wanted]}
        live = {text for (text,) in connection.execute(SQL["lock_undecided"], asked)}
        wanted = [one for one in wanted if one.text in live]
        claims = [recipients.Claim(one.text, one.sms.end_user_number, one.window) for one in wanted]
        claimed = recipients.claim(connection, claims, now)
        rows = _jsonb([
            {
                "id": one.text, "rule": one.rule, "reason": pseudonyms.of(connection, one.reason),
                "sms": _fields(one.sms), "trace": one.trace, "number": one.text in claimed,
                "accepted": one.accepted and _fields(one.accepted),
            }
            for one in wanted
        ])
        connection.execute(SQL["claim_reasons"], {"decisions": rows})
        found = connection.execute(SQL["queue_decided"], {"decisions": rows}).fetchall()
    return {text: Held(holder, text in claimed, revision) for text, holder, revision in found}


def to_be_sent(connection: psycopg.Connection, ids: Sequence[int]) -> set[int]:
    """Those of these texts that still wait to be sent."""
    return {text for (text,) in connection.execute(SQL["to_be_sent"], {"ids": list(ids)})}


@dataclass(frozen=True, slots=True)
class Try:
    """A try to claim a text in the revision that was read. `token`: which try it is, of all that there are."""

    text: int
    revision: int
    token: int


def claim(connection: psycopg.Connection, tries: Sequence[Try], good_for: float) -> dict[int, int | lane.Closed]:
    """The step before the call: `sending`, committed first, so that a crash in the middle of the call is seen.

    By the tries' tokens: the claim's number where the text may be sent now; why not where it has to wait because the
    lane is closed. A try that is missing has come too late: the text is somebody else's, or was taken back, or decided
    anew. After `good_for` seconds, by the database's clock, its worker is given up.
    """
    asked = _columns(tries) | {"revisions": [one.revision for one in tries]}
    rows = connection.execute(SQL["claim"], {"lane": lane.PLATFORM, "good_for": good_for} | asked)
    return {
        token: closed if (closed := lane.closed(lane.PLATFORM, *why_not)) else claim for token, claim, *why_not in rows
    }


def unclaim(connection: psycopg.Connection, tries: Sequence[Try]) -> None:
    """Undo these claims, if they were made: the database was lost in the middle of it, and nobody was called."""
    with connection.transaction(), connection.cursor(row_factory=dict_row) as cursor:
        told = cursor.execute(SQL["unclaim"], _columns(tries)).fetchall()
        told += cursor.execute(SQL["tell_followers"], {"ids": [row["id"] for row in told]}).fetchall()
        queue.add(connection, [queue.NewJob(queue.Kind.WRITE_BACK, row["id"], Door(row["door"])) for row in told])


def _columns(tries: Sequence[Try]) -> dict[str, list[int]]:
    return {"ids": [one.text for one in tries], "tokens": [one.token for one in tries]}


def move(connection: psycopg.Connection, moves: Sequence[Move]) -> set[int]:
    """Take these steps; the ids of the texts that did. An outcome to tell queues its write-back, `after` a new try.

    What became of a call is never dropped: see steps.on_late_answer. Tickets that were told of a text because theirs
    has the same reason are told of it anew.
    """
    with connection.transaction():
        if holders := sorted({move.same_as for move in moves if move.same_as is not None}):
            there = {text for (text,) in connection.execute(SQL["lock_holders"], {"ids": holders})}
            moves = [move if move.same_as in {None, *there} else steps.anew(move) for move in moves]
        moved = _move(connection, moves, late=False)
        for answer in moves:
            if answer.answers and answer.id not in moved:
                moved |= _late(connection, answer)
    return moved


def _move(connection: psycopg.Connection, moves: Sequence[Move], late: bool) -> set[int]:
    with connection.cursor(row_factory=dict_row) as cursor:
        asked = {"moves": _jsonb([_step(move) for move in moves]), "late": late}
        rows = cursor.execute(SQL["move"], asked).fetchall()
        told = [row for row in rows if row["tell"]]
        none = [
            row["id"] for row in rows
            if row["to_state"] in NOTHING_SAID and (row["quiet"] or row["same_as"] is not None)
        ]
        if holders := [row["same_as"] for row in rows if row["same_as"] is not None]:
            none += [text for text, in connection.execute(SQL["ended_quietly"], {"ids": holders})]
        revived = cursor.execute(SQL["revive_followers"], {"ids": none}).fetchall() if none else []
        ended = [row["id"] for row in told if row["id"] not in none]
        told += cursor.execute(SQL["tell_followers"], {"ids": ended}).fetchall() if ended else []
        over = [row["id"] for row in rows if row["to_state"] not in NOT_OVER]
        told += cursor.execute(SQL["untold_beside"], {"ids": over}).fetchall() if over else []
        queue.add(connection, [
            queue.NewJob(queue.Kind.WRITE_BACK, row["id"], Door(row["door"]))
            for row in {row["id"]: row for row in told}.values()
        ] + [
            queue.NewJob(queue.DELIVER[door := Door(row["door"])], row["id"], door, row["after"])
            for row in [*rows, *revived] if row["after"] is not None
        ])
    return {row["id"] for row in rows}


def _step(move: Move) -> dict[str, Any]:
    return _fields(move) | {"accepted": move.accepted and _fields(move.accepted)}


def _late(connection: psycopg.Connection, answer: Move) -> set[int]:
    """An answer whose text is not simply waiting for it."""
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(SQL["standing"], {"id": answer.id}).fetchone()
    if row is None:
        return set()
    standing = Standing(**row | {"state": State(row["state"])})
    late = steps.on_late_answer(standing, answer)
    note = {"id": answer.id, "unclear": list(late.unclear), "note": late.note, "state": standing.state}
    connection.execute(SQL["note_late"], note | {"chat": Jsonb(late.chat) if late.chat else None})
    if late.note:
        log.warning("an earlier call of a text was answered", text=answer.id, why=late.note)
    if late.move is None:
        return set()
    if late.move.contradicted:
        log.error("an answer contradicts what a text was settled as", text=answer.id, why=late.move.contradicted)
    moved = _move(connection, [late.move], late=True)
    if moved and late.move.to_state is State.SENT:
        _claim_back(connection, answer.id)
    return moved


def _claim_back(connection: psycopg.Connection, text: int) -> None:
    """A text that was sent after all has its reason and its number again, unless another has them by now."""
    connection.execute(SQL["claim_reason_back"], {"id": text})
    row = connection.execute(SQL["number_of"], {"id": text}).fetchone()
    if row and row[0]:
        recipients.texted(connection, row[0], text)


def give_up_overdue(connection: psycopg.Connection, why: str) -> set[int]:
    """Texts whose workers have had the longest call's time and not said what became of it are unknown now."""
    with connection.transaction():
        rows = connection.execute(SQL["overdue"]).fetchall()
        return move(connection, [steps.unknown(text, claim, why) for text, claim in rows])


@dataclass(frozen=True, slots=True)
class ToTell:
    """What tickets have to learn. `overtaken`: (text: version) of what they need not learn any more.

    Of several outcomes of one ticket, the one that became known last comes first. An outcome is overtaken once its
    ticket was really told of one that became known later. `soon`: texts whose tickets another text is about to be
    decided by.
    """

    outcomes: Sequence[Outcome]
    overtaken: Mapping[int, int]
    soon: Sequence[int]


def outcomes(connection: psycopg.Connection, ids: Sequence[int]) -> ToTell:
    """What the tickets of these texts have to learn. Where nothing was sent, nothing while another text waits."""
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(SQL["outcomes"], {"ids": list(ids), "soon": SOON}).fetchall()
    overtaken = {row["id"]: row["outcome"] for row in rows if row["overtaken"]}
    soon = [row["id"] for row in rows if row["soon"] and not row["overtaken"]]
    left = [row for row in rows if row["id"] not in overtaken and row["id"] not in soon]
    return ToTell([_outcome(row) for row in left], overtaken, soon)


def _outcome(row: dict[str, Any]) -> Outcome:
    return Outcome(
        text=row["id"], version=row["outcome"], crm=row["crm"], ticket_id=row["ticket_id"], state=State(row["state"]),
        why=row["why"], rule=row["rule"], chat=row["chat"], at=row["changed_at"].astimezone(UTC),
        attempts=row["write_attempts"], refused_before=row["refused_before"], contradicted=row["contradicted"],
    )


def write_begins(connection: psycopg.Connection, writes: Mapping[int, Mapping[str, Any]]) -> None:
    """Committed before the CRM is called: if this worker dies, or is late, the ticket is told anew.

    `writes`: by text, what is written of the fields that rules ask about, by the mapping's names.
    """
    rows = [{"id": text, "wrote": wrote} for text, wrote in writes.items()]
    connection.execute(SQL["write_begins"], {"writes": _jsonb(rows)})


def own_writes(connection: psycopg.Connection, ids: Sequence[int]) -> dict[int, list[Mapping[str, Any]]]:
    """What the connector has written to these texts' tickets, as far as rules ask about it; the newest first."""
    writes: dict[int, list[Mapping[str, Any]]] = {text: [] for text in ids}
    for text, wrote in connection.execute(SQL["own_writes"], {"ids": list(ids)}):
        writes[text].append(wrote)
    return writes


def tell_again(connection: psycopg.Connection, ids: Sequence[int], after: float) -> None:
    """Look again in so many seconds what there is to tell of these texts."""
    with connection.transaction():
        queue.add(connection, [queue.NewJob(queue.Kind.WRITE_BACK, text, Door.TRIGGER, after) for text in ids])


@dataclass(frozen=True, slots=True)
class Told:
    """The ticket has this outcome of a text; or never will: `overtaken` by a newer one, or `refused` for good."""

    text: int
    version: int
    overtaken: bool = False
    refused: str | None = None


def told(connection: psycopg.Connection, results: Sequence[Told]) -> None:
    """Where a newer outcome was told while an older one was on its way, the ticket is told of the newer one anew."""
    rows = [_fields(one) for one in results]
    with connection.transaction(), connection.cursor(row_factory=dict_row) as cursor:
        anew = cursor.execute(SQL["told"], {"results": _jsonb(rows)}).fetchall()
        queue.add(connection, [queue.NewJob(queue.Kind.WRITE_BACK, row["id"], Door(row["door"])) for row in anew])


def write_later(connection: psycopg.Connection, texts: Mapping[int, tuple[float, str | None]]) -> None:
    """The CRM did not take these outcomes: (text: (seconds from now for the next try, why it was refused or None))."""
    rows = [{"id": text, "refused": refused} for text, (_, refused) in texts.items()]
    with connection.transaction():
        found = connection.execute(SQL["write_later"], {"results": _jsonb(rows)}).fetchall()
        queue.add(connection, [
            queue.NewJob(queue.Kind.WRITE_BACK, text, Door(door), texts[text][0]) for text, door in found
        ])


def give_up_telling(connection: psycopg.Connection, text: int, why: str) -> bool:
    """A person has decided that the ticket need not be told. False: there is nothing to tell."""
    return connection.execute(SQL["give_up_telling"], {"id": text, "why": why}).fetchone() is not None
