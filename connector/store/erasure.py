"""Erase one person's data from every table except the suppression list.

The person's rows are found by the number and by the tickets that it belongs to. Then every column of every table is
searched for the number in all its spellings, so that no copy is missed.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.sql import SQL as Query
from psycopg.sql import Composed, Identifier, Placeholder
from psycopg.types.json import Jsonb

from connector import transitions
from connector.masking import Spellings
from connector.model import State
from connector.store import audit, opt_outs, pseudonyms, queries, recipients, suppressions
from connector.store import texts as text_store
from connector.store.audit import Action, Actor

SQL = queries.load(__file__)
WAITING = (State.RECEIVED, State.QUEUED)
# Rows in progress are skipped: their contents are rendered again, or are being sent by a worker.
LEFT_ALONE = {"texts": "state not in ('received', 'queued', 'sending')"}
ROWS_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class Erased:
    """The numbers of events and texts that were emptied."""

    events: int
    texts: int


@dataclass(frozen=True, slots=True)
class Table:
    """A table with columns of text. `bytes`: its columns that hold bytes."""

    name: str
    columns: Sequence[str]
    json: Sequence[bool]
    bytes: Sequence[str]


def purge(connection: psycopg.Connection, number: str, suppress: bool = False) -> Erased:
    """Erase one person's number (E.164), messages and events. Waiting texts are cancelled and their tickets notified.

    One transaction. A text that is being sent right now keeps its row until its outcome is known: purge again then.
    A number with a chat event that is not processed yet is suppressed: the customer may have opted out in it.
    `suppress`: also add the number to the suppression list, so that texts not yet known to be for it are blocked too.
    """
    spellings = Spellings(number)
    who: dict[str, Any] = {"number": number, "hash": pseudonyms.of_number(connection, number)}
    with connection.transaction():
        if suppress:
            suppressions.suppress(connection, number, "erased", "an operator")
        tables = {table.name: table for table in _tables(connection)}
        who["events"] = [row["id"] for _, row in _mentions(connection, tables["events"], spellings, "id")]
        who["chat_events"] = [row["id"] for _, row in _mentions(connection, tables["chat_events"], spellings, "id")]
        who["tickets"] = [ticket for (ticket,) in connection.execute(SQL["tickets"], who)]
        connection.execute(SQL["lock_plans"], who)
        who["ids"] = _cancelled(connection, who)
        if connection.execute(SQL["unheard"], who).fetchone() is not None:
            suppressions.suppress(connection, number, "erased before a message was read", "the connector")
        connection.execute(SQL["forget_chat_events"], who)
        connection.execute(SQL["forget_texts"], who)
        connection.execute(SQL["forget_chats"], who)
        connection.execute(SQL["forget_number"], who)
        bulks = [audit.bulk(bulk) for (bulk,) in connection.execute(SQL["forget_bulk_actions"], who)]
        about = [audit.number(connection, number), *map(audit.text, who["ids"]), *bulks]
        audit.forget_notes(connection, about)
        recipients.forget(connection, number)
        opt_outs.forget(connection, number, who["tickets"])
        events = connection.execute(SQL["forget_events"], who).rowcount
        _forget_cases(connection, who)
        for table in tables.values():
            _sweep(connection, table, spellings)
    return Erased(events, len(who["ids"]))


def erase(connection: psycopg.Connection, actor: Actor, number: str, suppress: bool = False) -> Erased:
    """Purge this number, and record who did, in one transaction. See `purge`."""
    with connection.transaction():
        erased = purge(connection, number, suppress)
        after = {"texts": erased.texts, "events": erased.events, "suppressed": suppress}
        audit.record(connection, actor, Action.NUMBER_PURGE, audit.number(connection, number), after=after)
    return erased


def _cancelled(connection: psycopg.Connection, who: Mapping[str, Any]) -> list[int]:
    """Cancel the person's waiting texts, and those that take their place; the ids of all that have ended."""
    while True:
        found = [(text, State(state)) for text, state in connection.execute(SQL["texts"], who)]
        waiting = [text for text, state in found if state in WAITING]
        if not text_store.move(connection, [transitions.cancelled(text, "erased") for text in waiting]):
            return [text for text, state in found if state not in (*WAITING, State.SENDING)]


def _forget_cases(connection: psycopg.Connection, who: Mapping[str, Any]) -> None:
    gone: dict[str, set[str]] = {}
    for plan, ticket in connection.execute(SQL["forget_cases"], who):
        gone.setdefault(plan, set()).add(ticket)
    for plan, tickets in gone.items():
        [(report,)] = connection.execute(SQL["report"], {"plan": plan})
        if report:
            without = Jsonb(_report_without(report, tickets))
            connection.execute(SQL["write_report"], {"plan": plan, "report": without})


def _report_without(report: Mapping[str, Any], tickets: set[str]) -> dict[str, Any]:
    """A plan's report without these tickets' messages, and without reasons that concern only one of them."""
    return {
        **report,
        "first": [one for one in report.get("first", []) if one["ticket"] not in tickets],
        "skipped": [
            one | {"why": "erased"} if one["cases"] == 1 and tickets & set(one["examples"]) else one
            for one in report.get("skipped", [])
        ],
    }


def _tables(connection: psycopg.Connection) -> Iterator[Table]:
    yield from (Table(*row) for row in connection.execute(SQL["columns"]).fetchall())


def _sweep(connection: psycopg.Connection, table: Table, spellings: Spellings) -> None:
    """Mask the number in every row of this table."""
    json = dict(zip(table.columns, table.json, strict=True))
    for place, row in _mentions(connection, table, spellings):
        changed = {
            name: Jsonb(without) if json[name] and without is not None else without
            for name, value in row.items()
            if (without := spellings.without(value)) != value
        }
        values = [Query("{} = {}").format(Identifier(name), Placeholder(name)) for name in changed]
        connection.execute(
            Query("update {} set {} where ctid = {}::tid").format(
                Identifier(table.name), Query(", ").join(values), Placeholder("place")
            ),
            changed | {"place": place},
        )


def _mentions(
    connection: psycopg.Connection, table: Table, spellings: Spellings, *more: str
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The rows that hold the number, streamed: their ctid, and their columns by name, including the `more` columns."""
    names = [*table.columns, *more]
    with connection.cursor(name="sweep") as cursor:
        cursor.itersize = ROWS_AT_ONCE
        cursor.execute(_candidates(table, names), {"digits": spellings.digits})
        for place, *values in cursor:
            row = dict(zip(names, values, strict=True))
            if any(spellings.without(row[name]) != row[name] for name in table.columns):
                yield place, row


def _candidates(table: Table, names: Sequence[str]) -> Composed:
    """The query for rows that may hold the number: by their digits, or because they hold bytes or non-ASCII text."""
    holds_bytes = [Query("{} is not null").format(Identifier(name)) for name in table.bytes]
    return Query(
        """select ctid::text, {names} from {table} as t where ({or_bytes}
        strpos(regexp_replace(t::text, '[^0-9]+', '', 'g'), %(digits)s) > 0
        or octet_length(t::text) <> char_length(t::text)) and {left_alone}"""
    ).format(
        names=Query(", ").join(map(Identifier, names)),
        table=Identifier(table.name),
        or_bytes=Query("").join(Query("{} or ").format(one) for one in holds_bytes),
        left_alone=Query(LEFT_ALONE.get(table.name, "true")),
    )
