"""The audit trail: what an entry holds, that nobody changes it, and what its retention and a purge leave."""

import re
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo
from psycopg_pool import ConnectionPool

from connector.model import TicketEvent
from connector.store import audit, erasure, events, migrations, pseudonyms, setting_versions, suppressions
from connector.store.audit import Action, Actor, Filter, Source
from tests.conftest import created

NUMBER = "+14155550132"
ADA = Actor("ada", Source.CLI, "host")
OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"
CHANGES = ["update audit set who = 'nobody'", "delete from audit", "truncate audit cascade"]


@pytest.fixture
def connection(pool: ConnectionPool) -> Iterator[psycopg.Connection]:
    with pool.connection() as connection:
        yield connection


def test_an_entry_says_who_did_what_from_where_and_why(connection: psycopg.Connection) -> None:
    audit.record(connection, ADA, Action.TEXT_CANCEL, audit.text(17), before={"n": 1}, after={"n": 2}, why="by mistake")

    [entry] = audit.find(connection, Filter(), 10)

    assert (entry.who, entry.source, entry.origin, entry.what) == ("ada", "cli", "host", "text.cancel")
    assert (entry.about, entry.before, entry.after, entry.why) == ("text 17", {"n": 1}, {"n": 2}, "by mistake")


def test_an_entry_holds_no_number_and_is_bounded(connection: psycopg.Connection) -> None:
    values = {f"value {at}": "x" * 1000 for at in range(100)} | {"to": NUMBER}
    long = f"call {NUMBER} " + "y" * 2000
    named = Actor(f"ada {NUMBER}", Source.API)
    audit.record(connection, named, Action.KEY_ADD, audit.named("key", NUMBER), after=values, why=long)
    audit.record(connection, ADA, Action.NUMBER_LIFT, audit.number(connection, NUMBER), after={"to": NUMBER})

    rows = connection.execute("select audit::text, audit_notes::text from audit left join audit_notes on audit = id")
    said = [one or "" for row in rows for one in row]

    assert not [one for one in said if "4155550132" in one]
    assert max(map(len, said)) < 6000


def test_a_number_is_named_by_a_hash_that_no_other_table_has(connection: psycopg.Connection) -> None:
    assert pseudonyms.of_number(connection, NUMBER) not in audit.number(connection, NUMBER)
    assert audit.number(connection, NUMBER) == audit.number(connection, NUMBER)


def test_an_entry_and_its_action_are_one_commit(connection: psycopg.Connection) -> None:
    with connection.transaction() as transaction:
        suppressions.suppress(connection, NUMBER, "", "ada")
        audit.record(connection, ADA, Action.NUMBER_SUPPRESS, audit.number(connection, NUMBER))
        raise psycopg.Rollback(transaction)

    assert audit.find(connection, Filter(), 10) == []


@pytest.mark.parametrize("change", CHANGES)
def test_the_owner_too_is_refused_a_change(connection: psycopg.Connection, change: str) -> None:
    audit.record(connection, ADA, Action.TEXT_CANCEL, audit.text(1))

    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"):
        connection.execute(change)

    assert len(audit.find(connection, Filter(), 10)) == 1


def test_the_owner_trims_what_is_old_and_that_is_recorded(connection: psycopg.Connection) -> None:
    aged(connection, days=31)
    audit.record(connection, ADA, Action.TEXT_CANCEL, audit.text(2))

    audit.keep(connection, 30)
    audit.keep(connection, 30)

    assert [(entry.what, entry.about) for entry in audit.find(connection, Filter(), 10)] == [
        ("audit.trim", "audit"),
        ("text.cancel", "text 2"),
    ]
    assert connection.execute("select count(*) from audit_notes").fetchone() == (0,)
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"):
        connection.execute("delete from audit")


def test_nothing_is_trimmed_where_entries_are_kept_forever(connection: psycopg.Connection) -> None:
    aged(connection, days=10_000)

    audit.keep(connection, 0)

    assert [entry.why for entry in audit.find(connection, Filter(), 10)] == ["why"]


def aged(connection: psycopg.Connection, days: int) -> None:
    """An entry about text 1, with a reason, made so many days ago."""
    connection.execute(
        """with made as (
               insert into audit (who, source, origin, what, about, at)
               values ('ada', 'cli', 'host', 'text.cancel', 'text 1', now() - %s * interval '1 day') returning id)
           insert into audit_notes (audit, why) select id, 'why' from made""",
        [days],
    )


def test_an_export_has_all_entries_once(connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "ENTRIES_AT_ONCE", 2)
    for text in range(5):
        audit.record(connection, ADA, Action.TEXT_CANCEL, audit.text(text))

    assert [entry.about for entry in audit.export(connection, Filter())] == [f"text {text}" for text in (4, 3, 2, 1, 0)]


def test_a_purge_erases_the_reasons_about_a_person_and_no_others(connection: psycopg.Connection) -> None:
    events.save(connection, [TicketEvent("salesforce", f"e{at}", f"case{at}") for at in (1, 2)])
    connection.execute("update texts set number = %s where id = 1", [pseudonyms.of_number(connection, NUMBER)])
    audit.record(connection, ADA, Action.TEXT_CANCEL, audit.text(1), why="Zebulonia asked")
    audit.record(connection, ADA, Action.NUMBER_SUPPRESS, audit.number(connection, NUMBER), why="Zebulonia asked")
    audit.record(connection, ADA, Action.TEXT_CANCEL, audit.text(2), why="another")

    erasure.purge(connection, NUMBER)

    assert [entry.why for entry in audit.find(connection, Filter(), 10)] == ["another", "", ""]


def test_changed_settings_are_recorded_by_fingerprint(connection: psycopg.Connection) -> None:
    before = {"CONNECTOR_A": "old-secret-value", "CONNECTOR_B": "same"}
    setting_versions.register(connection, "serve", before, {"salesforce.toml": "1"})
    setting_versions.register(connection, "worker", before, {"salesforce.toml": "1"})
    assert audit.find(connection, Filter(), 10) == [], "a first start changes nothing"

    for _ in range(2):
        after = before | {"CONNECTOR_A": "new-secret-value", "CONNECTOR_C": "new"}
        setting_versions.register(connection, "serve", after, {"salesforce.toml": "2"})

    entries = audit.find(connection, Filter(), 10)
    assert sorted((entry.what, entry.about) for entry in entries) == [
        ("mapping.change", "mapping salesforce.toml"),
        ("setting.change", "setting CONNECTOR_A"),
    ]
    for entry in entries:
        assert entry.before
        assert entry.after
        assert entry.before["fingerprint"] != entry.after["fingerprint"]
    for query in ("select audit::text from audit", "select v::text from setting_versions v"):
        assert "secret-value" not in str(connection.execute(query).fetchall())


@pytest.fixture
def roles(server: str) -> Iterator[tuple[str, str]]:
    """The URLs of the owner and of the application, set up as docs/operations.md says."""
    section = OPERATIONS.read_text(encoding="utf-8").split("\n## Two database roles\n")[1].split("\n## ")[0]
    as_superuser, as_owner = re.findall(r"```sql\n(.*?)```", section, re.DOTALL)
    with created(server, "connector_test_roles", "template0") as url:
        owner, application = (make_conninfo(url, user=f"connector_{name}") for name in ("owner", "app"))
        try:
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute(as_superuser)
            migrations.migrate(owner)
            with psycopg.connect(owner, autocommit=True) as connection:
                connection.execute(as_owner)
            yield owner, application
        finally:
            with psycopg.connect(url, autocommit=True) as connection:
                for role in ("connector_owner", "connector_app"):
                    connection.execute(sql.SQL("drop owned by {} cascade").format(sql.Identifier(role)))
                    connection.execute(sql.SQL("drop role {}").format(sql.Identifier(role)))


def test_the_application_role_can_do_all_but_change_the_audit_trail(roles: tuple[str, str]) -> None:
    owner, application = roles
    with psycopg.connect(application, autocommit=True) as connection:
        assert migrations.current(connection)
        events.save(connection, [TicketEvent("salesforce", "e", "case")])
        audit.record(connection, ADA, Action.TEXT_CANCEL, audit.text(1), why="why")
        aged(connection, days=31)
        erasure.purge(connection, NUMBER)
        for change in [*CHANGES, "alter table audit disable trigger audit_append_only", "drop table audit cascade"]:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(change)
        assert not audit.may_trim(connection)
        audit.keep(connection, 30)
        assert [entry.why for entry in audit.find(connection, Filter(), 10)] == ["", "why"]
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            audit.trim(connection, ADA, 30)

    with psycopg.connect(owner, autocommit=True) as connection:
        assert audit.may_trim(connection)
        assert audit.trim(connection, ADA, 30) == 1
        assert [entry.what for entry in audit.find(connection, Filter(), 10)] == ["audit.trim", "text.cancel"]
