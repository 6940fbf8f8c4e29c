"""What operators see and do at the command line, in a process of its own, on a database that has something to show."""

import json
from collections.abc import Callable

import psycopg
import pytest

from connector import lane, ledger, steps
from connector.model import Chat, Decision, OutboundSms, TicketEvent
from tests.remote import queued
from tests.test_cli import connector

NUMBER = "+14155550132"
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(url: str) -> Run:
    """Runs a command on a ledger with one text that was sent, and one that is unknown: texts 1 and 2."""
    with psycopg.connect(url, autocommit=True) as connection:
        ledger.take_in(connection, [TicketEvent("salesforce", f"e{number}", f"case{number}") for number in (1, 2)])
        for text in (1, 2):
            sms = OutboundSms(NUMBER, "+16285550199", "Hi Ada", f"case{text}")
            queued(connection, {text: Decision("requested", str(text), sms)})
        ledger.claim(connection, [1, 2])
        ledger.move(connection, [steps.sent(1, Chat(id=114, status="selecting")), steps.unknown(2, "no answer")])

    def run(*arguments: str) -> tuple[int, str, str]:
        done = connector(*arguments, CONNECTOR_DATABASE_URL=url, COLUMNS="80")
        assert "Traceback" not in done.stderr
        assert NUMBER not in done.stdout
        assert "Hi Ada" not in done.stdout
        return done.returncode, done.stdout, done.stderr

    return run


def test_the_status_says_whether_texts_may_leave_and_where_they_are(run: Run, url: str) -> None:
    code, out, _ = run("status")
    assert (code, out.splitlines()[0]) == (0, "Texts may leave.")
    assert [line.split() for line in out.splitlines() if "sent" in line] == [["sent", "1", "1"]]
    with psycopg.connect(url, autocommit=True) as connection:
        lane.hold(connection, 600)
        assert run("status")[1].startswith("Texts wait until 2")
        lane.stop(connection, "SMS is not enabled")
    code, out, _ = run("status", "--json")
    said = json.loads(out)
    assert (code, said["stopped_why"], said["texts"]) == (1, "SMS is not enabled", {"sent": 1, "unknown": 1})
    code, out, _ = run("status")
    assert code == 1
    assert "SMS is not enabled" in out
    assert "connector resume" in out
    assert run("resume")[:2] == (0, "Texts may leave again.\n")
    assert run("resume")[:2] == (0, "Texting was not stopped.\n")
    assert run("status")[0] == 0


def test_texts_are_listed_and_one_is_told_with_its_history(run: Run) -> None:
    code, out, _ = run("texts", "list", "--state", "unknown", "--json")
    assert code == 0
    assert [(text["id"], text["why"]) for text in json.loads(out)] == [(2, "no answer")]
    assert "case1" in run("texts", "list")[1]
    assert "case2" not in run("texts", "list", "--ticket", "case1")[1]
    code, out, _ = run("texts", "show", "2")
    assert code == 0
    assert "to           ••••••••••32" in out
    assert "message      6 characters" in out
    assert [line.split()[1:3] for line in out.splitlines() if line.strip().startswith("20")] == [
        ["received", "queued"], ["queued", "sending"], ["sending", "unknown"]
    ]  # fmt: skip
    assert len(json.loads(run("texts", "show", "1", "--json")[1])["history"]) == 3
    assert run("texts", "show", "99")[::2] == (1, "There is no text 99.\n")


@pytest.mark.parametrize(
    ("arguments", "said", "state"),
    [(["--sent", "4711"], "sent, chat 4711", "sent"), (["--not-sent"], "not sent", "failed")],
)
def test_an_unknown_text_is_settled_once(run: Run, arguments: list[str], said: str, state: str) -> None:
    code, out, _ = run("texts", "resolve", "2", *arguments)
    assert code == 0
    assert said in out
    code, _, error = run("texts", "resolve", "2", *arguments)
    assert (code, error) == (1, f"Text 2 is {state}, not unknown: nothing was changed.\n")


@pytest.mark.parametrize("arguments", [[], ["--sent", "1", "--not-sent"]])
def test_what_became_of_it_has_to_be_said(run: Run, arguments: list[str]) -> None:
    code, _, error = run("texts", "resolve", "2", *arguments)
    assert code == 2
    assert "expected either --sent CHAT_ID or --not-sent" in error
    assert run("texts", "resolve", "99", "--not-sent")[0] == 1


def test_one_person_is_erased(run: Run) -> None:
    code, out, _ = run("purge", "--phone", NUMBER)
    assert (code, out) == (0, "Erased what is known of ••••••••••32: 2 texts, 2 events.\n")
    assert "message" not in run("texts", "show", "1")[1]
    code, _, error = run("purge", "--phone", "555-0132")
    assert code == 2
    assert "expected a number in E.164" in error
