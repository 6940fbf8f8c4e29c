"""What operators see and do at the command line, in a process of its own, on a database that has something to show."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from connector import transitions
from connector.cli import backfill_watch, output
from connector.model import Channel, Chat, Decision, OutboundSms, State, TextRequest, TicketEvent
from connector.store import circuit_breaker, events, leases, texts
from tests.support.command import connector
from tests.support.remote import queued, started

NUMBER = "+14155550132"
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(url: str) -> Run:
    """Runs a command on a ledger with one text that was sent, and one that is unknown: texts 1 and 2."""
    with psycopg.connect(url, autocommit=True) as connection:
        events.save(connection, [TicketEvent("salesforce", f"e{number}", f"case{number}") for number in (1, 2)])
        for text in (1, 2):
            sms = OutboundSms(NUMBER, "+16285550199", "Hi Ada", f"case{text}")
            queued(connection, {text: Decision("requested", str(text), sms)})
        claims = started(connection, 1, 2)
        texts.move(
            connection,
            [
                transitions.sent(1, claims[1], Chat(id=114, status="selecting")),
                transitions.unknown(2, claims[2], "no answer"),
            ],
        )

    def run(*arguments: str) -> tuple[int, str, str]:
        done = connector(*arguments, CONNECTOR_DATABASE_URL=url, COLUMNS="80")
        assert "Traceback" not in done.stderr
        assert NUMBER not in done.stdout
        assert "Hi Ada" not in done.stdout
        # Which database it speaks of has tests of its own.
        said = "".join(line for line in done.stderr.splitlines(keepends=True) if not line.startswith("database: "))
        return done.returncode, done.stdout, said

    return run


def test_the_status_says_whether_texts_may_leave_and_where_they_are(run: Run, url: str) -> None:
    out = run("status")[1]
    assert "Texts may leave" not in out, "no worker runs"
    with psycopg.connect(url, autocommit=True) as connection:
        leases.alive(connection)
    code, out, _ = run("status")
    assert (code, out.splitlines()[0]) == (0, "Texts may leave.")
    assert [line.split() for line in out.splitlines() if line.startswith("sent")] == [["sent", "1", "1"]]
    assert "1 text may have been sent, and nobody knows: connector texts list --state unknown, then" in out
    with psycopg.connect(url, autocommit=True) as connection:
        circuit_breaker.pause(connection, circuit_breaker.PLATFORM, "slow down", 600)
        assert run("status")[1].startswith("Texts wait until 2")
        circuit_breaker.trip(connection, circuit_breaker.PLATFORM, "SMS is not enabled")
    code, out, _ = run("status", "--json")
    said = json.loads(out)
    assert (code, said["tripped_why"], said["texts"]) == (1, "SMS is not enabled", {"sent": 1, "unknown": 1})
    code, out, _ = run("status")
    assert code == 1
    assert "SMS is not enabled" in out
    assert "connector resume" in out
    assert run("resume")[:2] == (0, "Texts may leave again.\n")
    assert run("resume")[:2] == (0, "Sending was not paused.\n")
    assert run("status")[0] == 0


def test_the_status_says_what_is_held_and_that_no_worker_is_there(run: Run, url: str) -> None:
    said = json.loads(run("status", "--json")[1])
    assert (said["worker"], said["worker_heard_at"]) == (False, None)
    assert (said["texts_held"], said["next_leaves_at"]) == (0, None)
    chats = said["chat_events"]
    assert (chats.pop("source"), chats.pop("received_at"), set(chats.values())) == ("none", None, {0})
    out = run("status")[1]
    assert "No worker has been heard of: nothing leaves until one runs" in out
    assert "Chat events: no source is set up (never received)" in out
    with psycopg.connect(url, autocommit=True) as connection:
        events.save(connection, [TicketEvent("salesforce", f"h{number}", f"case{number}") for number in (1, 2, 3)])
        for text, hours in ((3, 1), (4, 2)):
            texts.move(connection, [transitions.held(text, "outside the hours", hours * 3600, [])])
        leases.alive(connection)
        [[first]] = connection.execute("select min(not_before) from texts").fetchall()
        leaves_at = first.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        out = run("status")[1]
        assert f"2 queued texts wait for their hours, their time or another try; the next leaves at {leaves_at}." in out
        assert "No worker" not in out
        said = json.loads(run("status", "--json")[1])
        assert (said["worker"], said["texts_held"], said["next_leaves_at"]) == (True, 2, leaves_at)
        circuit_breaker.pause(connection, circuit_breaker.PLATFORM, "slow down", 9_000)
        assert json.loads(run("status", "--json")[1])["next_leaves_at"] > leaves_at, "not before the pause is over"
        circuit_breaker.trip(connection, circuit_breaker.PLATFORM, "SMS is not enabled")
        assert "2 queued texts wait for their hours, their time or another try.\n" in run("status")[1]
        assert json.loads(run("status", "--json")[1])["next_leaves_at"] is None
        connection.execute("update leases set next_at = now() - interval '21 seconds' where name = 'alive'")
        assert "No worker has been heard of since 2" in run("status")[1]
    code, out, _ = run("texts", "list", "--held")
    lines = [line.split() for line in out.splitlines() if "case" in line]
    assert (code, [line[0] for line in lines]) == (0, ["4", "3"])
    assert lines[1][3:] == [leaves_at, "outside", "the", "hours"]
    assert [row["leaves_at"] is not None for row in json.loads(run("texts", "list", "--json")[1])] == [
        False,
        True,
        True,
        False,
        False,
    ]


def test_a_back_fill_says_that_no_worker_runs(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        backfill_watch.warn_without_worker(connection)
        assert "No worker is running: nothing is sent" in capsys.readouterr().err
        leases.alive(connection)
        backfill_watch.warn_without_worker(connection)
        assert capsys.readouterr().err == ""


TOO_LATE = {
    State.SENDING: "is being sent at this moment: it cannot be taken back",
    State.SENT: "was sent already: it cannot be taken back",
    State.SKIPPED: "was skipped: nothing was sent",
    State.FAILED: "has failed: nothing was sent",
    State.UNKNOWN: "may have been sent, nobody knows yet",
    State.CANCELLED: "was cancelled before",
}


@pytest.mark.parametrize("state", TOO_LATE)
def test_a_text_that_is_over_is_not_taken_back_and_its_state_is_said(run: Run, url: str, state: State) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("update texts set state = %s where id = 1", [state.value])
    code, out, error = run("texts", "cancel", "1")
    assert (code, out) == (1, "")
    assert error.startswith(f"Text 1 {TOO_LATE[state]}")
    assert error.count("\n") == 1


def test_a_text_that_waits_is_taken_back_once(run: Run, url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        events.save(connection, [TicketEvent("salesforce", "c", "case3")])
    assert run("texts", "cancel", "3")[:2] == (0, "Text 3 is cancelled. The ticket will be notified.\n")
    assert run("texts", "cancel", "3")[::2] == (1, "Text 3 was cancelled before.\n")
    assert run("texts", "cancel", "99")[::2] == (1, "Text 99 does not exist.\n")


def test_a_number_is_taken_off_the_list_once(run: Run) -> None:
    assert run("suppress", "add", NUMBER)[:2] == (0, "••••••••••32 is on the suppression list.\n")
    assert run("suppress", "remove", NUMBER)[:2] == (0, "••••••••••32 is no longer on the suppression list.\n")
    code, out, error = run("suppress", "remove", NUMBER)
    assert (code, out) == (1, "")
    assert error == "••••••••••32 is not on the suppression list: nothing was changed.\n"


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
        ["received", "queued"],
        ["queued", "sending"],
        ["sending", "unknown"],
    ]
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


def test_what_there_is_one_of_is_counted_as_one(run: Run, url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("update texts set sms = null, number = null where id = 2")
        connection.execute("delete from recipients where 2 in (text, before_text)")
    assert output.count(1, "text") == "1 text"
    assert output.count(0, "text") == "0 texts"
    assert output.count(1234, "event") == "1,234 events"
    assert run("purge", "--phone", NUMBER)[1:] == ("Erased what is known of ••••••••••32: 1 text, 1 event.\n", "")


def test_one_person_is_erased(run: Run) -> None:
    code, out, _ = run("purge", "--phone", NUMBER)
    assert (code, out) == (0, "Erased what is known of ••••••••••32: 2 texts, 2 events.\n")
    assert "message" not in run("texts", "show", "1")[1]
    code, _, error = run("purge", "--phone", "555-0132")
    assert code == 2
    assert "expected a number in E.164" in error


def test_scheduled_texts_are_listed_with_their_time_and_can_be_cancelled(run: Run, url: str) -> None:
    at = datetime.now(UTC).replace(microsecond=0) + timedelta(days=3)
    request = TextRequest(message="Hi Ada", send_at=at.isoformat())
    event = TicketEvent("salesforce", "agent:1", "case3", channel=Channel.AGENT, request=request)
    with psycopg.connect(url, autocommit=True) as connection:
        [saved] = events.save(connection, [event])
    rows = json.loads(run("texts", "list", "--scheduled", "--json")[1])
    shown = at.isoformat().replace("+00:00", "Z")
    assert [(row["id"], row["leaves_at"]) for row in rows] == [(saved.text, shown)]
    why = f"scheduled for {at:%Y-%m-%d %H:%M} UTC"
    assert why in " ".join(run("texts", "list", "--ticket", "case3")[1].split())
    assert shown in run("texts", "show", str(saved.text))[1]
    assert json.loads(run("texts", "list", "--held", "--json")[1])[0]["id"] == saved.text
    assert run("texts", "cancel", str(saved.text))[0] == 0
    assert json.loads(run("texts", "list", "--scheduled", "--json")[1]) == []
