"""Rolling upgrades: a migration runs while the version before works, which then goes on beside this one.

So a migration may only add what that version need not know: its statements name their columns, and its rows lack ours.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from connector.errors import BadSettings
from connector.model import Decision, OutboundSms
from connector.store import jobs, migrations, postgres
from tests.conftest import created
from tests.support.remote import Remote

MIGRATIONS = sorted(migrations.MIGRATIONS.glob("*.sql"))

# What a column of a table that is there may say besides its type: the version before leaves it out.
COLUMN = r"add column \w+ (?!.*\b(?:unique|primary key|references|check|generated)\b)"
# All that a migration may do, a statement at a time; of `alter table`, an action at a time.
ALLOWED = {
    "a new table": r"create table \w+ \(.*\)",
    "an index, which refuses no row": r"create index \w+ on \w+ .*",
    "a column that may be null": rf"alter table \w+ {COLUMN}(?!.*\bnot null\b).*",
    "a column that has a default": rf"alter table \w+ {COLUMN}(?=.*\bdefault (?!null\b)).*",
    "how a table is stored": r"alter table \w+ (?:re)?set \([^()]*\)",
    "a reference that is no longer checked": r"alter table \w+ drop constraint \w+_fkey",
    "a sequence": r"create sequence \w+",
    "a trigger's function": r"create function \w+\(\) returns trigger .*",
    "a trigger": r"create trigger \w+ (?:before|after) .*",
    "locks, until it is done": r"lock table \w+(, \w+)* in access exclusive mode",
}

REFUSED = [
    "drop table reason",
    "drop index text_ticket",
    "alter table texts rename to message",
    "alter table texts rename column why to cause",
    "alter table texts drop column why",
    "alter table texts drop why",
    "alter table texts alter column attempts type bigint",
    "alter table texts alter column why drop default",
    "alter table texts alter column rule set not null",
    "alter table texts add column tries int not null",
    "alter table texts add column tries int not null default null",
    "alter table texts add column door_again text not null check (door_again = 'agent') default 'agent'",
    "alter table texts add column chat_id bigint unique",
    "alter table texts add column other bigint references texts",
    "alter table texts add column a int, drop column why",
    "alter table texts add constraint text_why_check check (why <> '')",
    "alter table texts drop constraint text_state_check",
    "alter table texts drop constraint text_pkey",
    "create unique index text_one on texts (ticket_id)",
    "create table if not exists texts (id int)",
    "update texts set why = ''",
    "truncate history",
]

# How 0001's version takes in, word for word.
TAKE_IN = """
with incoming as (
    select * from jsonb_to_recordset(%(events)s) as e (
        crm text, event_id text, channel text, ticket_id text, changed_by text, body jsonb, problem text)
    order by crm, event_id
), fresh as (
    insert into events (crm, event_id, channel, ticket_id, changed_by, body, problem)
    select crm, event_id, channel, ticket_id, changed_by, body, problem from incoming
    on conflict (crm, event_id) do nothing
    returning id, crm, event_id, channel, ticket_id
), made as (
    insert into texts (event, crm, ticket_id, channel)
    select id, crm, ticket_id, channel from fresh where ticket_id is not null
    returning id, event
)
select fresh.event_id, made.id as text, false as duplicate from fresh left join made on made.event = fresh.id
"""
EVENT = {
    "crm": "salesforce",
    "channel": "trigger",
    "ticket_id": "500000000000001AAA",
    "changed_by": "005000000000001AAA",
    "body": {"Id": "500000000000001AAA"},
    "problem": None,
}


def actions(script: str) -> Iterator[str]:
    """The statements of a migration, each in one line; an `alter table` once for each thing that it does."""
    plain = re.sub(r"--[^\n]*", "", script)
    whole = re.sub(r"\$\$.*?\$\$", "$$ $$", plain, flags=re.DOTALL)  # a function's body is one statement's
    for statement in (" ".join(part.split()) for part in whole.split(";")):
        if found := re.fullmatch(r"(alter table \w+) (.*)", statement):
            yield from (f"{found[1]} {action.strip()}" for action in _split(found[2]))
        elif statement:
            yield statement


def _split(listed: str) -> Iterator[str]:
    """At the commas that are in no parentheses."""
    depth, start = 0, 0
    for place, character in enumerate(listed):
        depth += (character == "(") - (character == ")")
        if character == "," and not depth:
            yield listed[start:place]
            start = place + 1
    yield listed[start:]


def allowed(action: str) -> bool:
    return any(re.fullmatch(pattern, action) for pattern in ALLOWED.values())


@pytest.mark.parametrize("path", MIGRATIONS, ids=lambda path: path.stem)
def test_a_migration_only_adds(path: Path) -> None:
    assert [action for action in actions(path.read_text(encoding="utf-8")) if not allowed(action)] == []


@pytest.mark.parametrize("statement", REFUSED)
def test_what_would_stop_the_version_before_is_seen(statement: str) -> None:
    assert not all(map(allowed, actions(f"-- it would be so handy\n{statement};")))


def take_in_as_before(connection: psycopg.Connection, *names: str) -> list[int]:
    events = Jsonb([EVENT | {"event_id": name} for name in names])
    return sorted(text for _, text, _ in connection.execute(TAKE_IN, {"events": events}))


def kept(connection: psycopg.Connection, table: str, columns: str = "*") -> list[dict[str, Any]]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(f"select {columns} from {table} order by id").fetchall()  # noqa: S608 - our own names


@pytest.mark.parametrize("at", range(1, len(MIGRATIONS) + 1), ids=[f"from_{path.stem}" for path in MIGRATIONS])
def test_what_a_version_before_took_in_is_there_and_delivered_and_it_goes_on(server: str, at: int) -> None:
    with created(server, f"connector_migrations_{at}") as url:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("create table migrations (name text primary key, at timestamptz not null default now())")
            jobs.install(connection)
            for path in MIGRATIONS[:at]:
                connection.execute(path.read_text(encoding="utf-8"))
                connection.execute("insert into migrations (name) values (%s)", [path.stem])
            taken = take_in_as_before(connection, "a", "b")
            before = {table: kept(connection, table) for table in ("events", "texts")}

            assert migrations.migrate(url) == [*(path.stem for path in MIGRATIONS[at:]), "pseudonyms"]
            assert migrations.current(connection)
            for table, rows in before.items():
                assert kept(connection, table, ", ".join(rows[0])) == rows
            taken += take_in_as_before(connection, "c", "a")
        assert len(taken) == 3

        with postgres.pool(url, 4) as pool:
            remote = Remote(pool)
            remote.deliver(*taken, decide=each_its_own())
            with pool.connection() as connection:
                states = [row["state"] for row in kept(connection, "texts")]
        assert states == ["sent"] * 3
        assert sorted(sms.message for sms in remote.sent) == ["text 1", "text 2", "text 3"]


def each_its_own() -> Callable[[object], Decision]:
    """Decides for a text with a reason and a number that no other has."""
    numbers = iter(range(1, 10))

    def decide(_: object) -> Decision:
        number = next(numbers)
        sms = OutboundSms(f"+1415555010{number}", "+16285550199", f"text {number}", str(EVENT["ticket_id"]))
        return Decision("requested", f"reason {number}", sms)

    return decide


# In which order statements lock the tables that are there: `claim` sending_state and texts, `take_in` events and texts,
# `move` texts, history, recipients and reasons. A migration that locks them in another order meets them in a deadlock.
ORDER = ("sending_state", "events", "texts", "history", "recipients", "reasons")


@pytest.mark.parametrize("path", MIGRATIONS, ids=lambda path: path.stem)
def test_a_migration_locks_tables_in_the_order_in_which_statements_do(path: Path) -> None:
    made: set[str] = set()
    locked: list[str] = []
    for action in actions(path.read_text(encoding="utf-8")):
        if action.startswith(("create sequence", "create function", "create trigger")):
            continue
        found = re.match(r"(create table|alter table|create index \w+ on|lock table) (\w+(?:, \w+)*)", action)
        assert found
        verb, tables = found[1], found[2].split(", ")
        if verb == "create table":
            made.update(tables)
        locked += [table for table in tables if table not in made and table not in locked]
    assert locked == sorted(locked, key=ORDER.index)


def test_a_database_of_another_program_is_refused_in_words(server: str) -> None:
    with created(server, "connector_migrations_other") as url:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("create table events (id int)")

        with pytest.raises(BadSettings, match="tables of another program"):
            migrations.migrate(url)

        with psycopg.connect(url, autocommit=True) as connection:
            assert connection.execute("select name from migrations").fetchall() == []
