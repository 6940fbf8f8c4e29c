"""What stands for a number in the database: nobody who has its tables, and not its key, learns the number."""

import hashlib
import hmac
from collections.abc import Iterator

import psycopg
import pytest
from psycopg_pool import ConnectionPool
from pydantic import SecretStr

from connector import settings
from connector.errors import BadSettings
from connector.model import Decision, OutboundSms, TicketEvent
from connector.store import events, migrations, postgres, pseudonyms
from tests.conftest import created
from tests.support.remote import queued

NUMBER, CASE = "+14155550132", "500000000000001AAA"
DECISION = Decision("requested", "a" * 64, OutboundSms(NUMBER, "+16285550199", "Hi", CASE))
PLAIN = hashlib.sha256(NUMBER.encode()).hexdigest()[:32]
SETTING = "a-secret-of-this-installation"
# Where a pseudonym stands.
KEPT = {
    "recipient": "select number from recipients",
    "reason": "select reason from reasons",
    "text": "select reason from texts where reason is not null",
}


@pytest.fixture
def connection(pool: ConnectionPool) -> Iterator[psycopg.Connection]:
    with pool.connection() as connection:
        yield connection
    pseudonyms.configure(None)


def texted(connection: psycopg.Connection) -> int:
    [one] = events.save(connection, [TicketEvent("salesforce", "e1", CASE)])
    assert one.text
    queued(connection, {one.text: DECISION})
    return one.text


def wanted(url: str, key: str | None) -> settings.Settings:
    return settings.load(database_url=SecretStr(url), pseudonym_key=SecretStr(key) if key else None, _env_file=None)


def test_no_plain_hash_of_a_number_or_a_reason_is_kept(connection: psycopg.Connection) -> None:
    texted(connection)
    kept = {table: connection.execute(query).fetchall() for table, query in KEPT.items()}
    assert all(len(rows) == 1 for rows in kept.values())
    assert not {PLAIN, DECISION.reason} & {row[0] for rows in kept.values() for row in rows}


def test_each_database_has_a_key_of_its_own(server: str, connection: psycopg.Connection) -> None:
    with created(server, "connector_test_pseudonyms") as url:
        migrations.migrate(url)
        with psycopg.connect(url) as other:
            assert pseudonyms.of_number(other, NUMBER) != pseudonyms.of_number(connection, NUMBER)


def test_a_copy_of_the_tables_does_not_tell_the_key_where_the_setting_is_given(
    connection: psycopg.Connection,
) -> None:
    pseudonyms.configure(SecretStr(SETTING))
    rows = [bytes(value) for (value,) in connection.execute("select value from secrets")]
    assert pseudonyms.of_number(connection, NUMBER) not in {
        hmac.digest(key, PLAIN.encode(), "sha256").hex()[:32] for key in rows
    }


@pytest.mark.parametrize(("first", "then"), [(SETTING, None), (None, SETTING), (SETTING, "b" * 30)])
def test_another_setting_than_before_is_refused(server: str, first: str | None, then: str | None) -> None:
    with created(server, "connector_test_pseudonyms") as url:
        with postgres.running(wanted(url, first)):
            migrations.migrate(url)
        with postgres.ready(wanted(url, first)):
            pass
        with pytest.raises(BadSettings, match="CONNECTOR_PSEUDONYM_KEY"), postgres.ready(wanted(url, then)):
            pass
    pseudonyms.configure(None)


def test_a_short_key_is_refused() -> None:
    with pytest.raises(BadSettings, match="PSEUDONYM_KEY: expected at least 24 characters"):
        settings.load(pseudonym_key="short", _env_file=None)
