"""Search for texts, for people who look something up. Filters can be combined."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from connector.errors import RefusalCode
from connector.model import Channel, State
from connector.store import pseudonyms, queries
from connector.store.rows import jsonb

SQL = queries.load(__file__)
# `rule` and `channel` have no index: they are looked for among so many of the newest texts that fit all other filters.
MAX_SCANNED = 100_000


class Only(StrEnum):
    """A filter: not sent yet; waiting for a later time; scheduled for one; outcome refused by the CRM; settled by an
    operator and contradicted by the answer.
    """

    WAITING = "waiting"
    HELD = "held"
    SCHEDULED = "scheduled"
    REFUSED = "refused"
    CONTRADICTED = "contradicted"


@dataclass(frozen=True, slots=True)
class Search:
    """Which texts. None matches all.

    `text`: this one. `before`: texts older than this one, for the next page. `chat`: CCAI Platform's id.
    `ticket` is a full id, of any of these `crms`. `number` (E.164): whom the text was meant for, until its retention
    ends. `since` and `until`: when the text was requested; `until` is excluded. `agent`: a name or e-mail address.
    `not_written`: the ticket does not have the outcome.
    """

    text: int | None = None
    before: int | None = None
    state: State | None = None
    rule: str | None = None
    channel: Channel | None = None
    chat: str | None = None
    crms: Sequence[str] = ()
    ticket: str | None = None
    number: str | None = None
    code: RefusalCode | None = None
    since: datetime | None = None
    until: datetime | None = None
    agent: str | None = None
    not_written: bool = False
    only: Only | None = None


@dataclass(frozen=True, slots=True)
class FoundText:
    """A text in a list. Times are in UTC; `chat` is {"id", "status", "ended"} or None.

    `busy_since`: when its customer was first found in another session. `agent`: who asked for it, by name or e-mail
    address. `leaves_at`: the time until which it waits.
    """

    id: int
    crm: str
    ticket_id: str
    channel: Channel
    state: State
    rule: str | None
    why: str
    code: RefusalCode | None
    chat: Mapping[str, Any] | None
    chat_id: int | None
    outcome: int
    written: int
    write_refused: str | None
    contradicted: str | None
    busy_since: datetime | None
    received_at: datetime
    changed_at: datetime
    agent: str | None
    leaves_at: datetime | None


def find(connection: psycopg.Connection, search: Search, most: int) -> list[FoundText]:
    """Return at most `most` texts, newest first."""
    with connection.cursor(row_factory=dict_row) as cursor:
        # Not prepared: one plan for all filters would use no index.
        rows = cursor.execute(SQL["find"], parameters(connection, search, most), prepare=False).fetchall()
    return [_found(row) for row in rows]


def _found(row: dict[str, Any]) -> FoundText:
    code = RefusalCode.stored(row["code"])
    return FoundText(**row | {"channel": Channel(row["channel"]), "state": State(row["state"]), "code": code})


def parameters(connection: psycopg.Connection, search: Search, most: int) -> dict[str, Any]:
    """Return the parameters of the query `find`."""
    number = search.number and pseudonyms.of_number(connection, search.number)
    return asdict(search) | {"crms": list(search.crms), "number": number, "most": most, "scanned": MAX_SCANNED}


def of(connection: psycopg.Connection, ids: Sequence[int], most: int) -> list[FoundText]:
    """Return at most `most` of these texts, newest first."""
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(SQL["of"], {"ids": list(ids), "most": most}).fetchall()
    return [_found(row) for row in rows]


def count(connection: psycopg.Connection, search: Search, most: int) -> int:
    """Return how many texts fit, at most `most`."""
    [(texts,)] = connection.execute(SQL["count"], parameters(connection, search, most), prepare=False).fetchall()
    return int(texts)


def freeze(connection: psycopg.Connection, search: Search, most: int, bulk: int) -> int:
    """Make the texts that fit, at most `most`, the items of this bulk action. Return how many."""
    asked = parameters(connection, search, most) | {"bulk": bulk}
    return connection.execute(SQL["freeze"], asked, prepare=False).rowcount


def stored(connection: psycopg.Connection, search: Search) -> Jsonb:
    """Return a search in the form that `fitting` takes. Instead of a number it has its keyed hash."""
    found = parameters(connection, search, 0)
    return jsonb({name: value.isoformat() if isinstance(value, datetime) else value for name, value in found.items()})


def fitting(connection: psycopg.Connection, search: Mapping[str, Any], ids: Sequence[int]) -> set[int]:
    """Return those of these texts that fit a stored search now."""
    rows = connection.execute(SQL["fitting"], {**search, "ids": list(ids)}, prepare=False)
    return {text for (text,) in rows}
