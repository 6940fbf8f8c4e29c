"""`connector pause` and `resume`, in processes of their own: what is stored, what is said, and the exit codes."""

import json
from collections.abc import Iterator

import psycopg
import pytest

from connector.cli import demo
from connector.sandbox import Sandbox
from connector.store import circuit_breaker, pauses
from tests.cli.test_resume import WRONG_TOKEN
from tests.support.command import connector


@pytest.fixture(scope="module")
def box() -> Iterator[Sandbox]:
    with Sandbox(port=0).running() as box:
        yield box


@pytest.fixture
def connection(url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


def said(box: Sandbox, url: str, *arguments: str, **variables: str) -> tuple[int, str]:
    done = connector(*arguments, **demo.environment(box, url, 8080, "t" * 24) | variables)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout or done.stderr


def in_force(connection: psycopg.Connection) -> list[tuple[str, str]]:
    return [(one.scope, one.name) for one in pauses.current(connection)]


def test_a_pause_of_everything_is_shown_and_ended(box: Sandbox, url: str, connection: psycopg.Connection) -> None:
    code, words = said(box, url, "pause", "--why", "wrong words", "--by", "Ana")
    assert code == 0
    assert words.startswith("Sending is paused since 2")
    assert words.endswith("Z by Ana: wrong words. It goes on with: connector resume\n")
    code, shown = said(box, url, "status", "--json")
    [shown_pause] = json.loads(shown)["pauses"]
    assert (code, shown_pause["scope"], shown_pause["why"], shown_pause["paused_by"]) == (
        1,
        "all",
        "wrong words",
        "Ana",
    )
    code, words = said(box, url, "resume", **WRONG_TOKEN)
    assert (code, words.partition(":")[0], in_force(connection)) == (1, "Sending stays paused", [("all", "")])
    code, words = said(box, url, "resume", "--dry-run")
    assert (code, in_force(connection)) == (0, [("all", "")])
    assert words == "Nothing was changed. Without --dry-run: Texts may leave again.\n"
    assert said(box, url, "resume") == (0, "Texts may leave again.\n")
    assert said(box, url, "resume") == (0, "Sending was not paused.\n")
    assert in_force(connection) == []
    assert box.ccaip.texts == []


def test_each_scope_is_resumed_for_itself(box: Sandbox, url: str, connection: psycopg.Connection) -> None:
    scopes = {("rule", "requested"): ["--rule", "requested"], ("channel", "batch"): ["--batch"]}
    for options in scopes.values():
        assert said(box, url, "pause", "--why", "a test", *options)[0] == 0
    assert in_force(connection) == [("channel", "batch"), ("rule", "requested")]
    assert said(box, url, "status")[0] == 0, "texts of other rules are sent"
    assert said(box, url, "pause", "--why", "all of it")[0] == 0

    code, words = said(box, url, "resume", "--rule", "requested", "--json")
    found = json.loads(words)
    assert (code, found["ended"], len(found["blocking"]), len(found["other"])) == (1, True, 1, 1)
    assert found["blocking"][0].startswith("Sending is paused since")
    code, words = said(box, url, "resume")
    assert code == 0
    assert "Sending of batch texts is paused since" in words
    circuit_breaker.trip(connection, circuit_breaker.PLATFORM, "SMS is not enabled")
    code, words = said(box, url, "resume", "--batch")
    assert (code, in_force(connection)) == (1, [])
    assert "Sending is paused: SMS is not enabled." in words


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--rule", "nope"], "there is no rule nope; expected one of: requested"),
        (["--account", "nope"], "there is no account nope; expected one of: ccaip, salesforce"),
        (["--batch", "--rule", "requested"], "expected one of --rule, --batch and --account, or none of them"),
        (["--until", "2030-01-01T08:00"], "expected a time with its zone"),
        (["--until", "9999-12-31T23:59-05:00"], "expected a time with its zone before the year 9999"),
        (["--until", "2020-01-01T08:00Z"], "expected a time that is still to come"),
    ],
)
def test_a_wrong_option_pauses_nothing(
    box: Sandbox, url: str, connection: psycopg.Connection, options: list[str], words: str
) -> None:
    code, shown = said(box, url, "pause", "--why", "a test", *options)
    assert code == 2
    assert words in " ".join(shown.split())
    assert in_force(connection) == []


def test_an_end_is_stored_and_shown(box: Sandbox, url: str, connection: psycopg.Connection) -> None:
    code, words = said(box, url, "pause", "--why", "a test", "--until", "2099-01-01T08:00-05:00", "--json")
    assert (code, json.loads(words)["ends_at"]) == (0, "2099-01-01T13:00:00Z")
    assert "until 2099-01-01T13:00:00Z" in said(box, url, "status")[1]
