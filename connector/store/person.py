"""Everything that is stored about one person, by number or by ticket, as one record.

A person's address in the console is the keyed hash of the number, so that no number stands in an address or a log.
"""

from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg.rows import dict_row

from connector.store import audit, pseudonyms, queries, text_views

SQL = queries.load(__file__)
# The newest texts that a record holds, and the most rows of anything else.
MAX_TEXTS, MAX_ROWS = 500, 500
# All parts of a record are read as of the same moment, so that its checksum is that of one state.
SNAPSHOT = "set transaction isolation level repeatable read, read only"


def find(connection: psycopg.Connection, number: str) -> str | None:
    """Return the hash of this number (E.164), which `record` takes. None: nothing is stored about it."""
    asked = {"hash": pseudonyms.of_number(connection, number), "number": number}
    [(known,)] = connection.execute(SQL["known"], asked).fetchall()
    if not known:
        return None
    if number_of(connection, asked["hash"]) is None:
        connection.execute(SQL["remember"], asked)
    return asked["hash"]


def number_of(connection: psycopg.Connection, hashed: str) -> str | None:
    """Return the number (E.164) behind a hash. None: nothing stored has it any more."""
    [(number,)] = connection.execute(SQL["number_of"], {"hash": hashed}).fetchall()
    return number if number is None else str(number)


def of_ticket(connection: psycopg.Connection, crm: str, ticket: str) -> list[str]:
    """Return the hashes of the numbers that texts of this ticket are for, the latest first."""
    return [number for (number,) in connection.execute(SQL["hashes_of_ticket"], {"crm": crm, "ticket": ticket})]


def has_texts(connection: psycopg.Connection, crm: str, ticket: str) -> bool:
    """Return whether there is a text about this ticket."""
    [(there,)] = connection.execute(SQL["has_texts"], {"crm": crm, "ticket": ticket}).fetchall()
    return bool(there)


def record(connection: psycopg.Connection, hashed: str) -> dict[str, Any]:
    """Return what is stored about the person with this number, in one snapshot.

    `number` None: it is not kept any more, and what is filed under it alone is not found.
    """
    with connection.transaction(), connection.cursor(row_factory=dict_row) as cursor:
        cursor.execute(SNAPSHOT)
        number = number_of(connection, hashed)
        tickets = cursor.execute(SQL["tickets_of"], {"hash": hashed}).fetchall()
        return _record(cursor, hashed, number, [(row["crm"], row["ticket_id"]) for row in tickets])


def ticket_record(connection: psycopg.Connection, crm: str, ticket: str) -> dict[str, Any]:
    """Return what is stored about a ticket. For tickets without a number: not decided yet, or erased."""
    with connection.transaction(), connection.cursor(row_factory=dict_row) as cursor:
        cursor.execute(SNAPSHOT)
        return _record(cursor, None, None, [(crm, ticket)])


def _record(
    cursor: psycopg.Cursor[dict[str, Any]], hashed: str | None, number: str | None, tickets: Sequence[tuple[str, str]]
) -> dict[str, Any]:
    asked = {
        "hash": hashed,
        "number": number,
        "crms": [crm for crm, _ in tickets],
        "tickets": [ticket for _, ticket in tickets],
        "most": MAX_ROWS,
    }
    texts = cursor.execute(SQL["texts"], asked | {"most": MAX_TEXTS + 1}).fetchall()
    more = len(texts) > MAX_TEXTS
    texts = _with_history(cursor, texts[:MAX_TEXTS])
    abouts = [audit.text(text["id"]) for text in texts]
    abouts += [audit.number(cursor.connection, number)] if number else []
    return {
        "number": number,
        "tickets": [f"{crm} {ticket}" for crm, ticket in tickets],
        "texts": texts,
        "more_texts": more,
        "opt_outs": cursor.execute(SQL["opt_outs"], asked).fetchall(),
        "last_word": cursor.execute(SQL["last_word"], asked).fetchone(),
        "reviews": cursor.execute(SQL["reviews"], asked).fetchall(),
        "record_fields": cursor.execute(SQL["record_fields"], asked).fetchall(),
        "actions": cursor.execute(SQL["actions"], asked | {"abouts": abouts}).fetchall(),
    }


def _with_history(cursor: psycopg.Cursor[dict[str, Any]], texts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Add `history` and `write_back` to these texts."""
    steps: dict[int, list[dict[str, Any]]] = {text["id"]: [] for text in texts}
    for step in cursor.execute(SQL["history"], {"ids": list(steps)}).fetchall():
        steps[step.pop("text")].append(step)
    for text in texts:
        outcome, written = text.pop("outcome"), text.pop("written")
        text["write_back"] = text_views.write_back_state(outcome, written, text["write_refused"]).value
        text["history"] = steps[text["id"]]
    return texts
