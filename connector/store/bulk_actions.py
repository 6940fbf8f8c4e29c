"""Bulk actions: one action of a person on many texts, which is a record of its own.

Its items are fixed when it starts. A worker does them in small transactions that lock the bulk action: the action on a
text and the note that it was done are committed together, so a worker that dies does nothing twice. For the same reason
no item is begun once a stop is committed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import psycopg
from psycopg.rows import class_row

from connector.errors import ActionRefused, MoreThanConfirmed
from connector.store import audit, queries, text_search
from connector.store.audit import Action, Actor, Source
from connector.store.rows import jsonb
from connector.store.text_search import Search

SQL = queries.load(__file__)
# Texts of one bulk action.
MAX_TEXTS = 100_000
# Reasons for refusals that are shown.
MAX_REFUSALS = 50


class BulkKind(StrEnum):
    """What is done to each text. An unknown text is not settled in bulk: each needs its own evidence."""

    CANCEL = "cancel"
    WRITE_BACK = "write_back"
    SEND_AGAIN = "send_again"
    SUPPRESS = "suppress"


class BulkState(StrEnum):
    RUNNING = "running"
    STOPPED = "stopped"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class BulkRequest:
    """A bulk action to start: on the texts with these `ids`, or (None) on all that fit the search.

    `query`: the words of the search, for people; empty and `search` None: the ids were selected without one. Texts with
    ids must fit the search as well when their turn comes.
    """

    action: BulkKind
    why: str
    query: str = ""
    search: Search | None = None
    ids: Sequence[int] | None = None


@dataclass(frozen=True, slots=True)
class BulkAction:
    """A bulk action, as stored. Times are in UTC. Items that are neither `done` nor `refused` wait, or were stopped."""

    id: int
    action: str
    query: str
    why: str
    who: str
    requested: int
    done: int
    refused: int
    state: str
    stopped_by: str
    started_at: datetime
    ended_at: datetime | None

    @property
    def left(self) -> int:
        """Items whose turn has not come."""
        return self.requested - self.done - self.refused


def start(connection: psycopg.Connection, request: BulkRequest, actor: Actor, confirmed: int) -> int:
    """Start a bulk action; committed when it returns. The bulk action's id.

    `confirmed`: the number of texts that the person has seen. Raises MoreThanConfirmed when there are more by now, and
    ActionRefused when there is none.
    """
    most = min(confirmed, MAX_TEXTS)
    values = {
        "action": request.action,
        "query": request.query,
        "search": request.search and text_search.stored(connection, request.search),
        "why": request.why,
        "who": actor.who,
        "source": actor.source,
        "origin": actor.origin,
    }
    with connection.transaction():
        [(bulk,)] = connection.execute(SQL["start"], values).fetchall()
        requested = _add_items(connection, bulk, request, most + 1)
        if requested > most:
            raise MoreThanConfirmed(most)
        if not requested:
            raise ActionRefused("the search", "finds no text any more")
        connection.execute(SQL["requested"], {"bulk": bulk, "requested": requested})
        after = {"action": request.action, "texts": requested, "search": request.query}
        audit.record(connection, actor, Action.BULK_START, audit.bulk(bulk), after=after, why=request.why)
    return int(bulk)


def _add_items(connection: psycopg.Connection, bulk: int, request: BulkRequest, most: int) -> int:
    if request.ids is None:
        return text_search.freeze(connection, request.search or Search(), most, bulk)
    return connection.execute(SQL["add_selected"], {"bulk": bulk, "ids": list(request.ids)[:most]}).rowcount


def find(connection: psycopg.Connection, most: int, before: int | None = None) -> list[BulkAction]:
    """Bulk actions, newest first. `before`: only older ones than this."""
    with connection.cursor(row_factory=class_row(BulkAction)) as cursor:
        return cursor.execute(SQL["find"], {"most": most, "before": before}).fetchall()


def one(connection: psycopg.Connection, bulk: int) -> BulkAction | None:
    """One bulk action. None: there is none with this id."""
    with connection.cursor(row_factory=class_row(BulkAction)) as cursor:
        return cursor.execute(SQL["one"], {"bulk": bulk}).fetchone()


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why items were refused: how many `texts`, and the ids of the first of them."""

    why: str
    texts: int
    examples: Sequence[int]


def refusals(connection: psycopg.Connection, bulk: int) -> list[Refusal]:
    """Why items of a bulk action were refused, the most frequent reason first."""
    with connection.cursor(row_factory=class_row(Refusal)) as cursor:
        return cursor.execute(SQL["refusals"], {"bulk": bulk, "most": MAX_REFUSALS}).fetchall()


def stop(connection: psycopg.Connection, bulk: int, actor: Actor) -> None:
    """Stop a bulk action; no item is begun once this returns. Raises ActionRefused when it is not running."""
    with connection.transaction():
        if not _stop(connection, bulk, actor):
            raise ActionRefused(audit.bulk(bulk), "is not running")


def stop_all_of(connection: psycopg.Connection, starter: str, actor: Actor) -> None:
    """Stop the running bulk actions that `starter` began on the console, in the caller's transaction."""
    asked = {"who": starter, "source": Source.CONSOLE}
    for (bulk,) in connection.execute(SQL["running_of"], asked).fetchall():
        _stop(connection, bulk, actor)


def _stop(connection: psycopg.Connection, bulk: int, actor: Actor) -> bool:
    row = connection.execute(SQL["stop"], {"bulk": bulk, "who": actor.who}).fetchone()
    if row:
        after = dict(zip(("requested", "done", "refused"), row, strict=True))
        audit.record(connection, actor, Action.BULK_STOP, audit.bulk(bulk), after=after)
    return row is not None


@dataclass(frozen=True, slots=True)
class TakenBulk:
    """A running bulk action that this worker has locked, and its next texts. `search`: as text_search stores it.

    `actor` is the person who started it; its origin names the bulk action.
    """

    id: int
    action: BulkKind
    search: Mapping[str, Any] | None
    why: str
    actor: Actor
    texts: Sequence[int]


def take(connection: psycopg.Connection, most: int) -> TakenBulk | None:
    """Lock the oldest running bulk action that no other worker is at, in the caller's transaction. None: there is none.

    At most `most` texts; none: all are done.
    """
    row = connection.execute(SQL["take"]).fetchone()
    if row is None:
        return None
    bulk, action, search, why, who, source, origin = row
    texts = [text for (text,) in connection.execute(SQL["next_items"], {"bulk": bulk, "most": most})]
    actor = Actor(who, Source(source), f"{audit.bulk(bulk)}, {origin}")
    return TakenBulk(bulk, BulkKind(action), search, why, actor, texts)


def end_items(connection: psycopg.Connection, bulk: int, results: Mapping[int, str | None]) -> None:
    """Note what became of these texts, in the caller's transaction: why each was refused; None: it was done."""
    rows = [{"text": text, "refused": refused} for text, refused in results.items()]
    connection.execute(SQL["end_items"], {"bulk": bulk, "results": jsonb(rows)})


def finish(connection: psycopg.Connection, bulk: int) -> None:
    """End a bulk action whose items are all done, in the caller's transaction."""
    connection.execute(SQL["finish"], {"bulk": bulk})
