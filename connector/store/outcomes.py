"""What tickets have still to be told, and what they were told.

Each function is one transaction. They raise psycopg.Error when the database does not answer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Any

import psycopg
import structlog
from psycopg.rows import dict_row

from connector.model import Channel, Outcome, State
from connector.store import jobs, queries
from connector.store.jobs import Kind, NewJob
from connector.store.rows import fields, jsonb

log = structlog.get_logger()
SQL = queries.load(__file__)
SOON = 60


@dataclass(frozen=True, slots=True)
class PendingOutcomes:
    """What tickets have to learn. `overtaken`: (text: version) of what they need not learn any more.

    Of several outcomes of one ticket, the one that became known last comes first. An outcome is overtaken once its
    ticket was really told of one that became known later. `soon`: texts whose tickets another text is about to be
    decided by.
    """

    outcomes: Sequence[Outcome]
    overtaken: Mapping[int, int]
    soon: Sequence[int]


def pending(connection: psycopg.Connection, ids: Sequence[int]) -> PendingOutcomes:
    """What the tickets of these texts have to learn. Where nothing was sent, nothing while another text waits."""
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(SQL["outcomes"], {"ids": list(ids), "soon": SOON}).fetchall()
    overtaken = {row["id"]: row["outcome"] for row in rows if row["overtaken"]}
    soon = [row["id"] for row in rows if row["soon"] and not row["overtaken"]]
    left = [row for row in rows if row["id"] not in overtaken and row["id"] not in soon]
    return PendingOutcomes([_outcome(row) for row in left], overtaken, soon)


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
    )


def begin_write(connection: psycopg.Connection, writes: Mapping[int, Mapping[str, Any]]) -> None:
    """Committed before the CRM is called: if this worker dies, or is late, the ticket is told anew.

    `writes`: by text, what is written of the fields that rules ask about, by the mapping's names.
    """
    rows = [{"id": text, "wrote": wrote} for text, wrote in writes.items()]
    connection.execute(SQL["write_begins"], {"writes": jsonb(rows)})


def own_writes(connection: psycopg.Connection, ids: Sequence[int]) -> dict[int, list[Mapping[str, Any]]]:
    """What the connector has written to these texts' tickets, as far as rules ask about it; the newest first."""
    writes: dict[int, list[Mapping[str, Any]]] = {text: [] for text in ids}
    for text, wrote in connection.execute(SQL["own_writes"], {"ids": list(ids)}):
        writes[text].append(wrote)
    return writes


def look_again(connection: psycopg.Connection, ids: Sequence[int], after: float) -> None:
    """Look again in so many seconds what there is to tell of these texts."""
    with connection.transaction():
        jobs.add(connection, [NewJob(Kind.WRITE_BACK, text, Channel.TRIGGER, after) for text in ids])


@dataclass(frozen=True, slots=True)
class WriteResult:
    """The ticket has this outcome of a text; or never will: `overtaken` by a newer one, or `refused` for good."""

    text: int
    version: int
    overtaken: bool = False
    refused: str | None = None


def record(connection: psycopg.Connection, results: Sequence[WriteResult]) -> None:
    """Where a newer outcome was told while an older one was on its way, the ticket is told of the newer one anew."""
    rows = [fields(one) for one in results]
    with connection.transaction(), connection.cursor(row_factory=dict_row) as cursor:
        anew = cursor.execute(SQL["told"], {"results": jsonb(rows)}).fetchall()
        jobs.add(connection, [NewJob(Kind.WRITE_BACK, row["id"], Channel(row["channel"])) for row in anew])


def retry_later(connection: psycopg.Connection, texts: Mapping[int, tuple[float, str | None]]) -> None:
    """The CRM did not take these outcomes: (text: (seconds from now for the next try, why it was refused or None))."""
    rows = [{"id": text, "refused": refused} for text, (_, refused) in texts.items()]
    with connection.transaction():
        found = connection.execute(SQL["write_later"], {"results": jsonb(rows)}).fetchall()
        jobs.add(
            connection, [NewJob(Kind.WRITE_BACK, text, Channel(channel), texts[text][0]) for text, channel in found]
        )


def give_up(connection: psycopg.Connection, text: int, why: str) -> bool:
    """A person has decided that the ticket need not be told. False: there is nothing to tell."""
    return connection.execute(SQL["give_up_telling"], {"id": text, "why": why}).fetchone() is not None
