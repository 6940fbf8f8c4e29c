"""The page of pauses: pause and resume, and what a resume asks first."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from connector.model import TicketEvent
from connector.store import audit, circuit_breaker, events, installation, pauses
from connector.store.audit import Filter
from connector.store.circuit_breaker import PLATFORM
from connector.store.installation import Marked
from connector.store.pauses import Scope
from tests.delivery.test_restored import restore
from tests.webhooks.console.conftest import Operators
from webhooks.console.pauses import MAX_PROBES
from webhooks.console.roles import Role


def in_force(connection: psycopg.Connection) -> list[tuple[str, str, str]]:
    return [(one.scope, one.name, one.why) for one in pauses.current(connection)]


def test_everything_is_paused_and_resumed(console: Operators, connection: psycopg.Connection) -> None:
    browser = console.client(Role.VIEW, Role.ACT, name="ops")

    said = browser.notice(browser.post("/pauses", scope="all:", why="wrong words", back="/console/pauses"))
    assert said == "Sending is paused by ops: wrong words. Nothing that it covers is sent from now on."
    assert in_force(connection) == [("all", "", "wrong words")]
    assert "wrong words" in browser.get("/pauses").text

    said = browser.notice(browser.post("/pauses/resume", scope="all:"))
    assert said == "This pause has ended."
    assert in_force(connection) == []
    assert [(one.what, one.who, one.source) for one in audit.find(connection, Filter(about="all everything"), 9)] == [
        ("sending.resume", "key:ops", "console"),
        ("sending.pause", "key:ops", "console"),
    ]


@pytest.mark.parametrize("scope", ["channel:batch", "account:ccaip", "account:salesforce", "rule:requested"])
def test_a_part_is_paused_until_a_time(console: Operators, connection: psycopg.Connection, scope: str) -> None:
    browser = console.client(Role.VIEW, Role.ACT)
    until = (datetime.now(UTC) + timedelta(hours=1)).replace(second=0, microsecond=0)

    browser.post("/pauses", scope=scope, why="load", until=f"{until:%Y-%m-%dT%H:%M}")

    [pause] = pauses.current(connection)
    assert (f"{pause.scope}:{pause.name}", pause.ends_at) == (scope, until)


@pytest.mark.parametrize(
    ("form", "why_not"),
    [
        ({"scope": "rule:nothing", "why": "x"}, "is not known here"),
        ({"scope": "channel:agent", "why": "x"}, "is not known here"),
        ({"scope": "all:", "why": " "}, "needs a reason"),
        ({"scope": "all:", "why": "x", "until": "soon"}, "has to be a time"),
        ({"scope": "all:", "why": "x", "until": "9999-12-31T23:59"}, "has to be a time"),
        ({"scope": "all:", "why": "x", "until": "2020-01-01T00:00"}, "still to come"),
    ],
)
def test_a_wrong_form_pauses_nothing(
    console: Operators, connection: psycopg.Connection, form: dict[str, str], why_not: str
) -> None:
    browser = console.client(Role.VIEW, Role.ACT)

    assert why_not in browser.notice(browser.post("/pauses", **form))
    assert in_force(connection) == []


def test_a_tripped_account_is_asked_before_it_is_used_again(console: Operators, connection: psycopg.Connection) -> None:
    circuit_breaker.trip(connection, PLATFORM, "Outbound SMS is not enabled")
    console.box.ccaip.settings.outbound_sms_enabled = False
    browser = console.client(Role.VIEW, Role.ACT)
    try:
        said = browser.notice(browser.post("/pauses/resume", scope="account:ccaip"))
        assert said.startswith("CCAI Platform still refuses, and stays paused: ")
        assert [one.account for one in circuit_breaker.status(connection)] == [PLATFORM]
    finally:
        console.box.ccaip.settings.outbound_sms_enabled = True

    said = browser.notice(browser.post("/pauses/resume", scope="account:ccaip", check="1"))
    assert said == "CCAI Platform would be used again."
    assert [one.account for one in circuit_breaker.status(connection)] == [PLATFORM], "a check changes nothing"

    assert browser.notice(browser.post("/pauses/resume", scope="account:ccaip")) == "CCAI Platform is used again."
    assert circuit_breaker.status(connection) == []


def test_questions_to_a_platform_that_does_not_answer_do_not_take_all_threads(
    console: Operators, connection: psycopg.Connection
) -> None:
    """One more than may ask at once is refused; whoever asks nothing is not."""
    circuit_breaker.trip(connection, PLATFORM, "Outbound SMS is not enabled")
    console.box.faults.add("delay", side="ccaip", seconds=3, times=MAX_PROBES)
    *others, browser = (console.client(Role.VIEW, Role.ACT) for _ in range(MAX_PROBES + 1))
    account = {"scope": "account:ccaip"}

    with ThreadPoolExecutor(MAX_PROBES) as threads:
        asked = [threads.submit(other.post, "/pauses/resume", check="1", **account) for other in others]
        time.sleep(1)
        refused = browser.notice(browser.post("/pauses/resume", **account))
        used_again = browser.notice(browser.post("/pauses/resume", anyway="1", **account))
        assert not any(one.done() for one in asked)

    assert used_again == "CCAI Platform is used again."
    assert refused == "Others are ending pauses at the moment. Nothing was changed; try again soon."


@pytest.mark.parametrize(("scope", "name"), [(Scope.RULE, "last_years_recall"), (Scope.ACCOUNT, "zendesk")])
def test_a_pause_of_what_no_mapping_has_any_more_is_ended(
    console: Operators, connection: psycopg.Connection, scope: Scope, name: str
) -> None:
    pauses.pause(connection, scope, name, "its words are wrong", "ada")
    browser = console.client(Role.VIEW, Role.ACT)
    assert f'value="{scope}:{name}"' in browser.get("/pauses").text

    said = browser.notice(browser.post("/pauses/resume", scope=f"{scope}:{name}", anyway="1"))

    assert said == "This pause has ended."
    assert in_force(connection) == []


def test_it_is_said_what_else_stops_the_texts(console: Operators, connection: psycopg.Connection) -> None:
    for scope, name in ((Scope.ALL, ""), (Scope.CHANNEL, "batch")):
        pauses.pause(connection, scope, name, f"of {scope}", "ada")
    browser = console.client(Role.VIEW, Role.ACT)

    said = browser.notice(browser.post("/pauses/resume", scope="channel:batch"))

    assert said == "This pause has ended. But Sending is paused by ada: of all."


def test_whoever_may_only_look_sees_no_form_and_pauses_nothing(
    console: Operators, connection: psycopg.Connection
) -> None:
    pauses.pause(connection, Scope.ALL, "", "wrong words", "ada")
    browser = console.client(Role.VIEW)

    assert "<select" not in browser.get("/pauses").text
    assert browser.post("/pauses", scope="channel:batch", why="x").status_code == 403
    assert browser.post("/pauses/resume", scope="all:").status_code == 403
    assert in_force(connection) == [("all", "", "wrong words")]


@pytest.mark.parametrize(("choice", "left"), [("unknown", Marked(1, 0)), ("send", Marked(0, 0))])
def test_after_a_restore_somebody_says_what_becomes_of_what_waited(
    console: Operators, connection: psycopg.Connection, url: str, choice: str, left: Marked
) -> None:
    """Without a word nothing is resumed."""
    events.save(connection, [TicketEvent("salesforce", "e1", "case1")])
    restore(connection, url)
    browser = console.client(Role.VIEW, Role.ACT)
    assert "1 texts and 0 cases of back-fills waited" in browser.get("/pauses").text
    form = {"scope": "account:ccaip", "anyway": "1"}

    assert "Say what becomes of the texts" in browser.notice(browser.post("/pauses/resume", **form))
    assert circuit_breaker.current_pause(connection)
    assert "CCAI Platform is used again" in browser.notice(browser.post("/pauses/resume", restored=choice, **form))

    assert circuit_breaker.current_pause(connection) is None
    assert installation.marked(connection) == left
