"""The status fields of tickets that show a chat, and the writes that keep them current.

A row belongs to the text whose outcome showed the chat on its ticket. A status never hides an outcome: it is written
only while the ticket shows this text, and a newer text's outcome that it may have followed is written again.

Each function is one transaction. All raise psycopg.Error when the database does not answer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import dict_row

from connector.outcome import Outcome
from connector.store import chats, jobs, outcomes, queries
from connector.store.rows import fields, jsonb

SQL = queries.load(__file__)

# Seconds after which a claim expires, because its worker has died. Longer than a call takes.
CLAIM_SECONDS = 120.0
# Seconds that a status waits for an outcome of its ticket, or for a note of a hold.
OUTCOME_SECONDS = 5.0
# Seconds after which a status is written once more, because an earlier write had no clear result.
AGAIN_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Shown:
    """The chat fields, by the CRM's names, that the outcome of a text has just written, and the status in them."""

    text: int
    status: str
    written: Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class Claim:
    """A status to write. `attempts`: failed writes in a row. `written`: the fields last written; None: not certain."""

    text: int
    claim: int
    changes: int
    written: Mapping[str, str | None] | None
    attempts: int
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Written:
    """A status that the ticket has."""

    text: int
    claim: int
    changes: int
    written: Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class Later:
    """A status to write in `pause` seconds. `refused`: why the CRM refused it; None: the result is not clear."""

    text: int
    claim: int
    pause: float
    refused: str | None = None


def follow(connection: psycopg.Connection, shown: Sequence[Shown]) -> None:
    """Begin to keep the tickets of these texts current. Call in the transaction that records their outcomes."""
    with connection.transaction():
        ids = [chat for (chat,) in connection.execute(SQL["chats_of"], {"ids": [one.text for one in shown]})]
        chats.begin(connection, ids)
        # A report waits for this transaction, or is seen by the next query.
        connection.execute(chats.SQL["lock"], {"chats": ids})
        connection.execute(SQL["follow"], {"rows": jsonb([fields(one) for one in shown])})


def is_due(connection: psycopg.Connection, crm: str) -> bool:
    """Return whether a ticket of this CRM has a status to write."""
    return connection.execute(SQL["due"], {"crm": crm}).fetchone() is not None


def claim(connection: psycopg.Connection, crm: str, most: int) -> list[Claim]:
    """Claim at most so many statuses that are due, each of another ticket, for CLAIM_SECONDS."""
    wanted = {"crm": crm, "most": most, "wait": OUTCOME_SECONDS, "good_for": CLAIM_SECONDS}
    with connection.transaction(), connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(SQL["claim"], wanted).fetchall()
        over = [row for row in rows if row["over"]]
        _newer_again(connection, [row["text"] for row in over if row["unclear"]])
        connection.execute(SQL["drop"], {"ids": [row["text"] for row in over]})
        claimed = {row["text"]: row for row in rows if not row["over"]}
        # A query of its own: it sees at least the statuses that the claims count.
        return [
            Claim(
                shown.text,
                row["claim"],
                row["changes"],
                None if row["unclear"] else row["written"],
                row["attempts"],
                shown,
            )
            for shown in outcomes.of(connection, list(claimed))
            if (row := claimed[shown.text])
        ]


def record(
    connection: psycopg.Connection, written: Sequence[Written], later: Sequence[Later], gone: Sequence[int]
) -> None:
    """Record the results of claimed writes. `gone`: texts whose tickets are gone."""
    with connection.transaction():
        _newer_again(connection, [one.text for one in written] + [one.text for one in later])
        connection.execute(SQL["written"], {"rows": _rows(written), "again": AGAIN_SECONDS})
        connection.execute(SQL["later"], {"rows": _rows(later)})
        connection.execute(SQL["drop"], {"ids": list(gone)})


def _rows(results: Sequence[Written | Later]) -> Any:
    return jsonb([fields(one) for one in results])


def _newer_again(connection: psycopg.Connection, ids: Sequence[int]) -> None:
    with connection.cursor(row_factory=dict_row) as cursor:
        again = cursor.execute(SQL["newer_again"], {"ids": list(ids)}).fetchall()
    jobs.add(connection, jobs.write_backs(again))


def refused(connection: psycopg.Connection, text: int) -> str | None:
    """Return why the CRM refuses the status of this text's chat; None: it does not."""
    row = connection.execute(SQL["refused"], {"id": text}).fetchone()
    return row[0] if row else None
