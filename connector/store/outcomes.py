"""Outcomes: those that are not written back to their tickets yet, and those that are.

Each function is one transaction. All raise psycopg.Error when the database does not answer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Any

import psycopg
from psycopg.rows import dict_row

from connector.model import Channel, PhoneProblem, State
from connector.outcome import Outcome
from connector.store import jobs, queries
from connector.store.jobs import Kind, NewJob
from connector.store.rows import fields, jsonb

SQL = queries.load(__file__)
SOON = 60


@dataclass(frozen=True, slots=True)
class PendingOutcomes:
    """Outcomes to write back. `overtaken`: (text: version) of outcomes that need not be written any more.

    Of several outcomes of one ticket, the one that became known last comes first. An outcome is overtaken once the CRM
    has accepted one of the same ticket that became known later. `soon`: texts to write back a little later, because
    another text of their ticket is about to be decided by what the ticket says now.
    """

    outcomes: Sequence[Outcome]
    overtaken: Mapping[int, int]
    soon: Sequence[int]


def pending(connection: psycopg.Connection, ids: Sequence[int]) -> PendingOutcomes:
    """The outcomes of these texts to write back. A text that sent nothing has to wait for others of its ticket."""
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(SQL["outcomes"], {"ids": list(ids), "soon": SOON}, prepare=False).fetchall()
    overtaken = {row["id"]: row["outcome"] for row in rows if row["overtaken"]}
    soon = [row["id"] for row in rows if row["soon"] and not row["overtaken"]]
    left = [row for row in rows if row["id"] not in overtaken and row["id"] not in soon]
    return PendingOutcomes([_outcome(row) for row in left], overtaken, soon)


def of(connection: psycopg.Connection, ids: Sequence[int]) -> list[Outcome]:
    """Return the present outcomes of these texts, whether or not their tickets have them."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return [_outcome(row) for row in cursor.execute(SQL["of"], {"ids": list(ids)})]


def _outcome(row: dict[str, Any]) -> Outcome:
    return Outcome(
        text=row["id"],
        version=row["outcome"],
        crm=row["crm"],
        ticket_id=row["ticket_id"],
        state=State(row["state"]),
        why=row["why"],
        rule=row["rule"],
        chat=row["chat"],
        at=row["changed_at"].astimezone(UTC),
        attempts=row["write_attempts"],
        refused_before=row["refused_before"],
        contradicted=row["contradicted"],
        reason_name=row["reason_name"],
        phone_problem=PhoneProblem(row["phone_problem"]) if row["phone_problem"] else None,
        age=row["age"] or 0.0,
        traceparent=row["traceparent"],
    )


def begin_write(connection: psycopg.Connection, writes: Mapping[int, Mapping[str, Any]]) -> None:
    """Record that a write to the CRM begins. If this worker dies or is late, the outcome is written again.

    Committed before the CRM is called. `writes`: by text, the values to be written to fields that rules read, by the
    mapping's names.
    """
    rows = [{"id": text, "wrote": wrote} for text, wrote in writes.items()]
    connection.execute(SQL["write_begins"], {"writes": jsonb(rows)})


def own_writes(connection: psycopg.Connection, ids: Sequence[int]) -> dict[int, list[Mapping[str, Any]]]:
    """The connector's writes to these texts' tickets, by text, newest first. Only fields that rules read."""
    writes: dict[int, list[Mapping[str, Any]]] = {text: [] for text in ids}
    for text, wrote in connection.execute(SQL["own_writes"], {"ids": list(ids)}):
        writes[text].append(wrote)
    return writes


def look_again(connection: psycopg.Connection, ids: Sequence[int], after: float) -> None:
    """Queue another write-back of these texts in so many seconds."""
    with connection.transaction():
        jobs.add(connection, [NewJob(Kind.WRITE_BACK, text, Channel.TRIGGER, after) for text in ids])


@dataclass(frozen=True, slots=True)
class WriteResult:
    """The end of a write-back: the ticket has the outcome, or a newer one (`overtaken`), or never will (`refused`)."""

    text: int
    version: int
    overtaken: bool = False
    refused: str | None = None


def record(connection: psycopg.Connection, results: Sequence[WriteResult]) -> None:
    """Record finished write-backs. A newer outcome that an older one may have overwritten is written again."""
    rows = [fields(one) for one in results]
    with connection.transaction(), connection.cursor(row_factory=dict_row) as cursor:
        anew = cursor.execute(SQL["notified"], {"results": jsonb(rows)}).fetchall()
        written = [one.text for one in results if not one.overtaken]
        anew += cursor.execute(SQL["waiting_beside"], {"ids": written}).fetchall() if written else []
        jobs.add(connection, jobs.write_backs(anew))


def retry_later(connection: psycopg.Connection, texts: Mapping[int, tuple[float, str | None]]) -> None:
    """Queue another attempt for outcomes that the CRM did not accept, by text.

    The values are the seconds until the attempt, and why the CRM refused the outcome (None: it did not).
    """
    rows = [{"id": text, "refused": refused} for text, (_, refused) in texts.items()]
    with connection.transaction():
        found = connection.execute(SQL["write_later"], {"results": jsonb(rows)}).fetchall()
        jobs.add(
            connection, [NewJob(Kind.WRITE_BACK, text, Channel(channel), texts[text][0]) for text, channel in found]
        )


def give_up(connection: psycopg.Connection, text: int, why: str) -> bool:
    """Give up writing back an outcome, on an operator's decision. False: no outcome is waiting."""
    return connection.execute(SQL["give_up_write_back"], {"id": text, "why": why}).fetchone() is not None
