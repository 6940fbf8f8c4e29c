"""`connector resume` asks what is stopped before it lets texts leave, in a process of its own, beside the sandbox."""

from collections.abc import Iterator

import psycopg
import pytest

from connector.cli import demo
from connector.model import TicketEvent
from connector.sandbox import Sandbox
from connector.store import circuit_breaker, events, installation
from tests.support.command import connector

WRONG_TOKEN = {"CONNECTOR_CCAIP_TOKEN": "a-wrong-token"}
WRONG_SECRET = {"CONNECTOR_SALESFORCE_CLIENT_SECRET": "a-wrong-secret"}


@pytest.fixture
def box() -> Iterator[Sandbox]:
    with Sandbox(port=0).running() as box:
        yield box


@pytest.fixture
def connection(url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


def resume(box: Sandbox, url: str, *options: str, **variables: str) -> tuple[int, str]:
    done = connector("resume", *options, **demo.environment(box, url, 8080, "t" * 24) | variables)
    assert "Traceback" not in done.stderr
    assert "a-wrong" not in done.stdout + done.stderr
    return done.returncode, done.stdout


def stopped(connection: psycopg.Connection) -> list[str]:
    return [one.account for one in circuit_breaker.status(connection) if one.tripped_at]


def test_with_the_wrong_token_still_set_texting_stays_stopped_and_it_is_said_why(
    box: Sandbox, url: str, connection: psycopg.Connection
) -> None:
    circuit_breaker.trip(connection, circuit_breaker.PLATFORM, "invalid credentials")
    status, said = resume(box, url, **WRONG_TOKEN)
    assert status == 1
    assert said.startswith("Sending stays paused: ")
    assert "connector resume --anyway" in said
    assert stopped(connection) == [circuit_breaker.PLATFORM]
    assert resume(box, url) == (0, "Texts may leave again.\n")
    assert stopped(connection) == []
    assert box.ccaip.texts == []


def test_a_crm_is_asked_too_and_each_account_is_resumed_for_itself(
    box: Sandbox, url: str, connection: psycopg.Connection
) -> None:
    for name in (circuit_breaker.PLATFORM, "salesforce"):
        circuit_breaker.trip(connection, name, "wrong")
    status, said = resume(box, url, **WRONG_SECRET)
    assert status == 1
    assert said.startswith("salesforce still cannot be used: ")
    assert said.endswith("\nCCAI Platform may be used again.\n")
    assert stopped(connection) == ["salesforce"]
    assert resume(box, url) == (0, "Texts may leave again. salesforce may be used again.\n")
    assert stopped(connection) == []


def test_what_a_person_has_to_open_is_asked_too(box: Sandbox, url: str, connection: psycopg.Connection) -> None:
    circuit_breaker.trip_until_resumed(connection, circuit_breaker.PLATFORM, "the database was restored")
    assert resume(box, url, **WRONG_TOKEN)[0] == 1
    assert stopped(connection) == [circuit_breaker.PLATFORM]


def test_an_account_that_cannot_be_reached_stays_stopped(
    box: Sandbox, url: str, connection: psycopg.Connection
) -> None:
    circuit_breaker.trip(connection, circuit_breaker.PLATFORM, "wrong")
    status, said = resume(box, url, CONNECTOR_CCAIP_URL="http://127.0.0.1:9")
    assert (status, stopped(connection)) == (1, [circuit_breaker.PLATFORM])
    assert "could not be reached" in said


def test_who_insists_resumes_without_asking(box: Sandbox, url: str, connection: psycopg.Connection) -> None:
    circuit_breaker.trip(connection, circuit_breaker.PLATFORM, "wrong")
    assert resume(box, url, "--anyway", **WRONG_TOKEN) == (0, "Texts may leave again.\n")
    assert stopped(connection) == []


def test_a_pause_ends_without_a_question(box: Sandbox, url: str, connection: psycopg.Connection) -> None:
    circuit_breaker.pause(connection, circuit_breaker.PLATFORM, "slow down", 600)
    assert resume(box, url, **WRONG_TOKEN) == (0, "Texts may leave again.\n")
    assert circuit_breaker.status(connection) == []
    assert box.ccaip.calls == []


def test_nothing_to_resume_is_said(box: Sandbox, url: str) -> None:
    assert resume(box, url, **WRONG_TOKEN) == (0, "Sending was not paused.\n")


def test_after_a_restore_it_has_to_be_said_what_becomes_of_what_waited(
    box: Sandbox, url: str, connection: psycopg.Connection
) -> None:
    events.save(connection, [TicketEvent("salesforce", "e", "500000000000001AAA")])
    installation.check(url)
    connection.execute("update installation set identity = 'another'")
    installation.check(url)

    unsaid = connector("resume", "--anyway", **demo.environment(box, url, 8080, "t" * 24))
    assert unsaid.returncode == 2
    assert "1 text and 0 cases of back-fills waited when this database was restored" in unsaid.stderr
    assert stopped(connection) == [circuit_breaker.PLATFORM]
    assert resume(box, url, "--restored", "unknown", "--dry-run")[0] == 0
    assert stopped(connection) == [circuit_breaker.PLATFORM]
    assert resume(box, url, "--restored", "send") == (0, "Texts may leave again.\n")
    assert stopped(connection) == []
    assert installation.marked(connection).texts == 0
    [(after,)] = connection.execute("select after from audit where what = 'sending.resume'").fetchall()
    assert after == {"restored": "send"}
