"""Checkboxes in the CRM beside the write-back: that a customer opted out, that a number cannot be texted.

A checkbox may belong to a record that the ticket refers to, such as its contact. The values to be written are kept by
ticket. A row stays until the CRM has its value, and longer, so that only what the connector has set is cleared later.
A claim gives a row to one worker for CLAIM_SECONDS. A worker that is killed loses it then, and another writes the row.
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import psycopg
from psycopg.rows import class_row, dict_row

from connector.model import FieldKind, FieldState
from connector.store import pseudonyms, queries
from connector.store.rows import fields, jsonb

SQL = queries.load(__file__)
# Longer than the calls of one batch take. A worker that is slower than that has its rows written once more.
CLAIM_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class FieldWrite:
    """A value to be written. `before`: the field's value before the first write; None: it has to be read first."""

    ticket_id: str
    value: bool
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


@dataclass(frozen=True, slots=True)
class FieldRefusal:
    """A value that a CRM refuses, and `why`. `record`: the record with the field; None: the CRM was not asked yet.

    `attempts`: failed ones in a row. `next_at`: the next one (UTC).
    """

    crm: str
    ticket_id: str
    record: str | None
    kind: FieldKind
    value: bool
    why: str
    attempts: int
    next_at: datetime


def opt_out(connection: psycopg.Connection, crm: str, ticket_id: str, number: str) -> None:
    """Have the ticket's opt-out field set for this number (E.164), in the caller's transaction."""
    asked = {"crm": crm, "ticket": ticket_id, "number": pseudonyms.of_number(connection, number)}
    connection.execute(SQL["opt_out"], asked)


def opted_out(connection: psycopg.Connection, texts: Sequence[int]) -> None:
    """Have the opt-out field set for the tickets of these texts, in the caller's transaction."""
    connection.execute(SQL["opted_out"], {"texts": list(texts)})


def opt_in(connection: psycopg.Connection, number: str) -> None:
    """Have the fields cleared that an opt-out of this number (E.164) has set. One that was set before stays."""
    connection.execute(SQL["opt_in"], {"number": pseudonyms.of_number(connection, number)})


def number_invalid(connection: psycopg.Connection, texts: Sequence[int]) -> None:
    """Have the field set that marks invalid numbers, for the tickets of these texts, in the caller's transaction."""
    connection.execute(SQL["number_invalid"], {"texts": list(texts)})


def number_valid(connection: psycopg.Connection, texts: Sequence[int]) -> None:
    """Have the marks cleared that these sent texts disprove, in the caller's transaction. Others' marks stay."""
    connection.execute(SQL["number_valid"], {"texts": list(texts)})


def found_set(connection: psycopg.Connection, tickets: Sequence[tuple[str, str]]) -> None:
    """Record that these tickets (CRM, id) show a mark of an invalid number, although their number can be texted."""
    asked = sorted(set(tickets))
    columns = {"crms": [crm for crm, _ in asked], "tickets": [ticket for _, ticket in asked]}
    connection.execute(SQL["found_set"], columns)


def claim(connection: psycopg.Connection, crm: str, kind: FieldKind, most: int) -> tuple[int, list[FieldWrite]]:
    """Claim values of this CRM that are due: the claim's token, and the values."""
    token = secrets.randbits(63)
    asked = {"crm": crm, "kind": kind, "most": most, "token": token, "seconds": CLAIM_SECONDS}
    with connection.cursor(row_factory=class_row(FieldWrite)) as cursor:
        return token, cursor.execute(SQL["claim"], asked).fetchall()


def keep_before(
    connection: psycopg.Connection, crm: str, kind: FieldKind, states: Mapping[str, FieldState]
) -> dict[str, bool]:
    """Keep the fields' values before the first write, by ticket. Committed before that write.

    Returns them. A field that the connector has set for another ticket of the record counts as not set before.
    """
    rows = jsonb([{"ticket_id": ticket} | fields(state) for ticket, state in states.items()])
    return dict(connection.execute(SQL["keep_before"], {"crm": crm, "kind": kind, "states": rows}).fetchall())


def record(
    connection: psycopg.Connection, crm: str, kind: FieldKind, token: int, results: Sequence[FieldResult]
) -> None:
    """Record what became of claimed values. A value that another worker has claimed since is written once more."""
    rows = jsonb([fields(result) for result in results])
    connection.execute(SQL["record"], {"crm": crm, "kind": kind, "token": token, "results": rows})
    if kind is FieldKind.PHONE_INVALID:
        connection.execute(SQL["cleared"], {"crm": crm, "tickets": [result.ticket_id for result in results]})


def refused(connection: psycopg.Connection) -> dict[FieldKind, int]:
    """Count the values that a CRM refuses, and that are tried again."""
    counts = {FieldKind(kind): count for kind, count in connection.execute(SQL["refused"])}
    return {kind: counts.get(kind, 0) for kind in FieldKind}


def refusals(connection: psycopg.Connection, most: int) -> list[FieldRefusal]:
    """Return the values that `refused` counts, those with the most attempts first."""
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(SQL["refusals"], {"most": most}).fetchall()
    return [FieldRefusal(**row | {"kind": FieldKind(row["kind"])}) for row in rows]


def forget(connection: psycopg.Connection, number: str, tickets: Sequence[str]) -> None:
    """Erase this number (E.164) and its tickets. A value that is not written yet is still written."""
    asked = {"number": pseudonyms.of_number(connection, number), "tickets": list(tickets)}
    connection.execute(SQL["forget_written"], asked)
    connection.execute(SQL["forget_number"], asked)
