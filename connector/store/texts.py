"""The store of texts: their states and transitions. Transactions and constraints enforce the guarantees.

Each function is one transaction, committed when it returns. All take many texts at once, so that a backlog is worked
off quickly. They raise psycopg.Error when the database does not answer; nothing has changed then.
"""

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg
import structlog
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from connector import late_answers, transitions
from connector.errors import RefusalCode
from connector.late_answers import Standing
from connector.model import Accepted, Channel, OutboundSms, State, Text, TextRequest
from connector.policy.opt_outs import OptOut, Source
from connector.store import daily_budget, jobs, postgres, pseudonyms, queries, recipients, record_fields
from connector.store.jobs import NewJob
from connector.store.rows import fields, jsonb
from connector.transitions import Trace, Transition

log = structlog.get_logger()
SQL = queries.load(__file__)
# States in which a text may end without a result that another ticket could report.
NOTHING_SAID = (State.CANCELLED, State.SKIPPED)
# States that are not final.
NOT_OVER = (State.RECEIVED, State.QUEUED, State.SENDING)


def request_of(row: dict[str, Any]) -> TextRequest:
    """Return a request as it was saved; JSON has no tuples."""
    overrides = row.get("overrides")
    return TextRequest(**row | {"overrides": None if overrides is None else tuple(overrides)})


def load(connection: psycopg.Connection, ids: Sequence[int]) -> dict[int, Text]:
    """The texts of these ids, by id."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return {row["id"]: _text(row) for row in cursor.execute(SQL["load"], {"ids": list(ids)})}


def _text(row: dict[str, Any]) -> Text:
    sms = OutboundSms(**row["sms"]) if row["sms"] else None
    request = request_of(row["request"]) if row["request"] else None
    accepted = Accepted(**row["accepted"]) if row["accepted"] else None
    arrived = time.monotonic() - row.pop("age")
    made = {
        "arrived": arrived,
        "channel": Channel(row["channel"]),
        "state": State(row["state"]),
        "sms": sms,
        "request": request,
        "accepted": accepted,
    }
    return Text(**row | made)


@dataclass(frozen=True, slots=True)
class Claim:
    """A text to queue: the decision, the message to send, and its claims on reason and number.

    `revision`: the text's revision when it was decided. `window`: how long its number stays reserved for it.
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
class ClaimResult:
    """The text that holds the reason, and whether the claiming text has its number.

    `revision`: the claiming text's revision, now.
    """

    holder: int
    number: bool
    revision: int


def admit(connection: psycopg.Connection, wanted: Sequence[Claim], now: datetime) -> dict[int, ClaimResult]:
    """Queue those of these texts that get both their reason and their number.

    A text that is missing from the result was cancelled, or has moved on since it was read; it claims nothing.
    """
    with connection.transaction():
        asked = {"ids": [one.text for one in wanted], "revisions": [one.revision for one in wanted]}
        live = {text for (text,) in connection.execute(SQL["lock_undecided"], asked, prepare=False)}
        wanted = [one for one in wanted if one.text in live]
        claims = [recipients.Claim(one.text, one.sms.end_user_number, one.window) for one in wanted]
        claimed = recipients.claim(connection, claims, now)
        rows = jsonb(
            [
                {
                    "id": one.text,
                    "rule": one.rule,
                    "reason": pseudonyms.of(connection, one.reason),
                    "sms": fields(one.sms),
                    "hash": pseudonyms.of_number(connection, one.sms.end_user_number),
                    "trace": one.trace,
                    "number": one.text in claimed,
                    "accepted": one.accepted and fields(one.accepted),
                }
                for one in wanted
            ]
        )
        connection.execute(SQL["claim_reasons"], {"decisions": rows})
        found = connection.execute(SQL["queue_decided"], {"decisions": rows}).fetchall()
    return {text: ClaimResult(holder, text in claimed, revision) for text, holder, revision in found}


def scheduled_without_number(connection: psycopg.Connection, crm: str, seconds: float, most: int) -> list[int]:
    """Up to `most` texts of this CRM scheduled for later that are not known to be meant for any number.

    First those whose tickets were never read, the next one to be sent first; then those that named no number, as
    `no_number_found` has recorded at least `seconds` ago. So no number of these keeps the others from being read.
    """
    asked = {"crm": crm, "seconds": seconds, "most": most}
    return [text for (text,) in connection.execute(SQL["scheduled_without_number"], asked)]


def no_number_found(connection: psycopg.Connection, ids: Collection[int]) -> None:
    """Record that the tickets of these scheduled texts were read just now and name no number that can be texted."""
    connection.execute(SQL["no_number_found"], {"ids": list(ids)})


def meant_for(connection: psycopg.Connection, numbers: Mapping[int, str]) -> None:
    """Record whom these scheduled texts are meant for, by text (E.164). One that has been decided knows it already."""
    rows = {text: pseudonyms.of_number(connection, number) for text, number in sorted(numbers.items())}
    asked = {"ids": list(rows), "hashes": list(rows.values())}
    connection.execute(SQL["meant_for"], asked)


def to_be_sent(connection: psycopg.Connection, ids: Sequence[int]) -> set[int]:
    """Those of these texts that are still waiting to be sent."""
    return {text for (text,) in connection.execute(SQL["to_be_sent"], {"ids": list(ids)})}


def move(connection: psycopg.Connection, moves: Sequence[Transition]) -> set[int]:
    """Apply these transitions; the ids of the texts that changed. Write-backs and further attempts are queued.

    The result of a call is never dropped: see late_answers.py. Tickets whose texts were skipped for the same
    reason are written back again.
    """
    with connection.transaction():
        if holders := sorted({move.same_as for move in moves if move.same_as is not None}):
            there = {text for (text,) in connection.execute(SQL["lock_holders"], {"ids": holders})}
            moves = [move if move.same_as in {None, *there} else transitions.anew(move) for move in moves]
        moved = _move(connection, moves, late=False)
        for answer in moves:
            if answer.answers and answer.id not in moved:
                moved |= _late(connection, answer)
        opted_out = [answer.id for answer in moves if answer.code is RefusalCode.OPTED_OUT]
        _opted_out(connection, opted_out)
    _cancel_beside(connection, opted_out)
    return moved


def _opted_out(connection: psycopg.Connection, refused: Sequence[int]) -> None:
    """Suppress the numbers of these texts, and have the CRM's fields set: the customers have opted out.

    CCAI Platform has said so, whatever becomes of the texts.
    """
    if refused:
        connection.execute(SQL["suppress_numbers_of"], {"ids": list(refused)})
        record_fields.opted_out(connection, refused)


def _cancel_beside(connection: psycopg.Connection, refused: Sequence[int]) -> None:
    """Cancel the waiting texts to the numbers of these texts. In a transaction of its own, so that no locks cross.

    If it is lost, the policy skips them when their time comes.
    """
    asked = {"ids": list(refused)}
    if refused and (waiting := connection.execute(SQL["waiting_beside"], asked, prepare=False).fetchall()):
        why = OptOut(Source.PLATFORM, postgres.now(connection)).why
        move(connection, [transitions.cancelled(text, why) for (text,) in waiting])


def _move(connection: psycopg.Connection, moves: Sequence[Transition], late: bool) -> set[int]:
    with connection.cursor(row_factory=dict_row) as cursor:
        asked = {"moves": jsonb([_step(connection, move) for move in moves]), "late": late}
        rows = cursor.execute(SQL["move"], asked).fetchall()
        to_write = [row for row in rows if row["tell"] or row["note"]]
        none = [
            row["id"]
            for row in rows
            if row["to_state"] in NOTHING_SAID and (row["quiet"] or row["same_as"] is not None)
        ]
        if holders := [row["same_as"] for row in rows if row["same_as"] is not None]:
            none += [text for (text,) in connection.execute(SQL["ended_quietly"], {"ids": holders}, prepare=False)]
        revived = cursor.execute(SQL["revive_followers"], {"ids": none}, prepare=False).fetchall() if none else []
        ended = [row["id"] for row in to_write if row["id"] not in none and not row["note"]]
        to_write += cursor.execute(SQL["notify_followers"], {"ids": ended}, prepare=False).fetchall() if ended else []
        over = [row["id"] for row in rows if row["to_state"] not in NOT_OVER]
        to_write += cursor.execute(SQL["not_written_beside"], {"ids": over}).fetchall() if over else []
        jobs.add(
            connection,
            jobs.write_backs(to_write)
            + [
                NewJob(jobs.DELIVER[channel := Channel(row["channel"])], row["id"], channel, row["after"])
                for row in [*rows, *revived]
                if row["after"] is not None
            ],
        )
    return {row["id"] for row in rows}


def _step(connection: psycopg.Connection, move: Transition) -> dict[str, Any]:
    return fields(move) | {
        "accepted": move.accepted and fields(move.accepted),
        "hold": move.hold and fields(move.hold),
        "number": move.number and pseudonyms.of_number(connection, move.number),
    }


def _late(connection: psycopg.Connection, answer: Transition) -> set[int]:
    """Apply the answer to a call whose text has changed since."""
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(SQL["standing"], {"id": answer.id}).fetchone()
    if row is None:
        return set()
    standing = Standing(**row | {"state": State(row["state"])})
    late = late_answers.decide(standing, answer)
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
    """Claim reason and number again for a text that was sent after all, unless another text has them now."""
    connection.execute(SQL["claim_reason_back"], {"id": text})
    daily_budget.charge_again(connection, text)
    row = connection.execute(SQL["number_of"], {"id": text}).fetchone()
    if row and row[0]:
        recipients.texted(connection, row[0], text)


def give_up_overdue(connection: psycopg.Connection, why: str) -> set[int]:
    """Move texts with an expired claim to `unknown`; their ids. Their workers have not reported a result."""
    with connection.transaction():
        rows = connection.execute(SQL["overdue"]).fetchall()
        return move(connection, [transitions.unknown(text, claim, why) for text, claim in rows])
