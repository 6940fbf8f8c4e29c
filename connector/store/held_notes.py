"""Notes of holds: what a ticket shows while its text waits. An outcome always wins over them.

A note begins only while its text is queued and no text of the ticket has an outcome to write, with all of them locked.
Outcomes of the ticket wait until it has ended. So a note is never written after an outcome.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Any

import psycopg
from psycopg.rows import dict_row

from connector.outcome import HeldNote, Hold
from connector.store import jobs, queries
from connector.store.pauses import Pause, Scope
from connector.store.rows import fields, jsonb

SQL = queries.load(__file__)


def pending(connection: psycopg.Connection, ids: Sequence[int]) -> list[HeldNote]:
    """The holds of these texts that their tickets do not show yet."""
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(SQL["pending"], {"ids": list(ids)}).fetchall()
    return [
        HeldNote(
            text=row["id"],
            version=row["held_version"],
            crm=row["crm"],
            ticket_id=row["ticket_id"],
            rule=row["rule"],
            at=row["changed_at"].astimezone(UTC),
            hold=Hold(**row["held"]),
        )
        for row in rows
        if row["held"]
    ]


def begin(connection: psycopg.Connection, notes: Mapping[HeldNote, Mapping[str, Any]]) -> set[int]:
    """Begin to write these notes; committed when it returns. The texts whose notes may be written now.

    The values are those to be written to fields that rules read, by the mapping's names.
    """
    rows = [{"id": note.text, "version": note.version, "wrote": wrote} for note, wrote in notes.items()]
    with connection.transaction():
        ids = [note.text for note in notes]
        locked = [text for (text,) in connection.execute(SQL["lock_tickets"], {"ids": ids})]
        return {text for (text,) in connection.execute(SQL["begin"], {"notes": jsonb(rows), "locked": locked})}


def end(connection: psycopg.Connection, notes: Sequence[HeldNote]) -> None:
    """Record that the tickets have these notes, or never will."""
    rows = [{"id": note.text, "version": note.version} for note in notes]
    with connection.transaction(), connection.cursor(row_factory=dict_row) as cursor:
        ended = cursor.execute(SQL["end"], {"notes": jsonb(rows)}).fetchall()
        jobs.add(connection, jobs.write_backs([row for row in ended if row["late"]]))


@dataclass(frozen=True, slots=True)
class PausedText:
    """A text that an operator's pause covers, and whose ticket does not show it. `accepted`: it may be noted now."""

    text: int
    accepted: bool
    hold: Hold


def paused(
    connection: psycopg.Connection, crm: str, in_force: Sequence[Pause], without: Collection[int], most: int
) -> list[PausedText]:
    """Return texts of this CRM that wait for the end of these pauses, the oldest first, and are otherwise due.

    Texts of `without`, and agents' texts that are not scheduled, are left out: those fail with the reason.
    """
    holds = {(pause.scope, pause.name): pause.error.hold for pause in in_force}
    rows = [{"scope": scope, "name": name, "held": fields(hold)} for (scope, name), hold in holds.items()]
    asked = {"crm": crm, "holds": jsonb(rows), "without": list(without), "most": most}
    return [
        PausedText(text, accepted, holds[Scope(scope), name])
        for text, accepted, scope, name in connection.execute(SQL["paused"], asked)
    ]


def pause(connection: psycopg.Connection, holds: Mapping[int, Hold]) -> None:
    """Record what these queued texts wait for. A note of each new hold is queued."""
    rows = [{"id": text, "held": fields(hold)} for text, hold in holds.items()]
    with connection.transaction(), connection.cursor(row_factory=dict_row) as cursor:
        jobs.add(connection, jobs.write_backs(cursor.execute(SQL["pause"], {"holds": jsonb(rows)}).fetchall()))
