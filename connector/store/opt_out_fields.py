"""The CRM's opt-out field of tickets: the values to be written. A row stays until the CRM has its value.

A claim gives a row to one worker for CLAIM_SECONDS. A worker that is killed loses it then, and another writes the row.
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import psycopg
from psycopg.rows import class_row

from connector.store import pseudonyms, queries
from connector.store.rows import fields, jsonb

SQL = queries.load(__file__)
# Longer than the calls of one batch take. A worker that is slower than that has its rows written once more.
CLAIM_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class FieldWrite:
    """A value to be written. `before`: the field's value before the first write; None: it has to be read first."""

    ticket_id: str
    opted_out: bool
    before: bool | None
    version: int
    attempts: int


@dataclass(frozen=True, slots=True)
class FieldResult:
    """The end of an attempt. `after`: seconds until the next one; None: none is needed. `refused`: the CRM's reason."""

    ticket_id: str
    version: int
    after: float | None = None
    refused: str | None = None


def opt_out(connection: psycopg.Connection, crm: str, ticket_id: str, number: str) -> None:
    """Have the ticket's opt-out field set for this number (E.164), in the caller's transaction."""
    asked = {"crm": crm, "ticket": ticket_id, "number": pseudonyms.of_number(connection, number)}
    connection.execute(SQL["opt_out"], asked)


def opt_in(connection: psycopg.Connection, number: str) -> None:
    """Have the fields cleared that an opt-out of this number (E.164) has set. One that was set before stays."""
    connection.execute(SQL["opt_in"], {"number": pseudonyms.of_number(connection, number)})


def claim(connection: psycopg.Connection, crm: str, most: int) -> tuple[int, list[FieldWrite]]:
    """Claim values of this CRM that are due: the claim's token, and the values."""
    token = secrets.randbits(63)
    asked = {"crm": crm, "most": most, "token": token, "seconds": CLAIM_SECONDS}
    with connection.cursor(row_factory=class_row(FieldWrite)) as cursor:
        return token, cursor.execute(SQL["claim"], asked).fetchall()


def keep_before(connection: psycopg.Connection, crm: str, values: Mapping[str, bool]) -> None:
    """Keep the fields' values before the first write, by ticket. Committed before that write."""
    rows = jsonb([{"ticket_id": ticket, "before": value} for ticket, value in values.items()])
    connection.execute(SQL["keep_before"], {"crm": crm, "values": rows})


def record(connection: psycopg.Connection, crm: str, token: int, results: Sequence[FieldResult]) -> None:
    """Record what became of claimed values. A value that another worker has claimed since is written once more."""
    rows = jsonb([fields(result) for result in results])
    connection.execute(SQL["record"], {"crm": crm, "token": token, "results": rows})


def refused(connection: psycopg.Connection) -> int:
    """Count the values that a CRM refuses, and that are tried again."""
    [(count,)] = connection.execute(SQL["refused"]).fetchall()
    return int(count)


def forget(connection: psycopg.Connection, number: str) -> None:
    """Erase this number (E.164). A value that is not written yet is still written."""
    asked = {"number": pseudonyms.of_number(connection, number)}
    connection.execute(SQL["forget_written"], asked)
    connection.execute(SQL["forget_number"], asked)
