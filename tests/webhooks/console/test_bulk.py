"""Bulk actions in the console: chosen, confirmed, started, watched and stopped."""

import re
from typing import Any

import psycopg
import pytest
from werkzeug.test import TestResponse

from connector.model import State, TicketEvent
from connector.store import bulk_actions, events
from connector.store.bulk_actions import BulkAction
from connector.worker import bulk_actions as worker
from tests.store.test_actions import texts_in
from tests.webhooks.console.conftest import Browser, Operators
from webhooks.console.roles import Role


def waiting(connection: psycopg.Connection, count: int) -> None:
    events.save(connection, [TicketEvent("salesforce", f"w{n}", f"case{n}") for n in range(count)])


def found(connection: psycopg.Connection) -> list[BulkAction]:
    return bulk_actions.find(connection, 9)


def fields(page: str) -> dict[str, Any]:
    """The hidden fields of the form that starts it."""
    form = page[page.index('action="/console/bulk/start"') :]
    names: dict[str, Any] = {}
    for name, value in re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', form[: form.index("</form>")]):
        names.setdefault(name, []).append(value)
    return names


def start(browser: Browser, confirmation: TestResponse, why: str = "wrong words") -> TestResponse:
    assert confirmation.status_code == 200, confirmation.text
    values: dict[str, Any] = {**fields(confirmation.text)}
    del values["token"]
    return browser.post("/bulk/start", **values | {"why": why})


def test_all_that_match_are_confirmed_started_and_done(console: Operators, connection: psycopg.Connection) -> None:
    waiting(connection, 12)
    browser = console.client(Role.VIEW, Role.ACT, name="ops")

    confirmation = browser.post("/bulk/confirm", action="cancel", q="state:received", all="1")
    assert "Cancel: 12 texts" in confirmation.text
    assert confirmation.text.count("<tr data-row>") == 10, "the first texts are shown"
    assert found(connection) == [], "nothing has begun"

    started = start(browser, confirmation)
    [bulk] = found(connection)
    assert started.location == f"/console/bulk/{bulk.id}"
    assert (bulk.who, bulk.query, bulk.why, bulk.requested) == ("key:ops", "state:received", "wrong words", 12)
    assert 'data-live="bulk"' in browser.get(f"/bulk/{bulk.id}").text

    worker.run(connection)
    page = browser.get(f"/bulk/{bulk.id}").text
    assert 'value="12"' in page
    assert "data-live" not in page
    assert 'data-live="bulk"' in browser.get(f"/bulk/{bulk.id}", headers={"X-Live": "1"}).text, "its end is shown"
    assert "wrong words" in browser.get("/bulk").text


def test_selected_texts_are_acted_upon_and_refusals_are_grouped(
    console: Operators, connection: psycopg.Connection
) -> None:
    ids = texts_in(connection, State.QUEUED, State.SENT, State.SENT)
    browser = console.client(Role.VIEW, Role.ACT)

    start(browser, browser.post("/bulk/confirm", action="cancel", q="", id=[str(text) for text in ids], all=""))
    worker.run(connection)

    [bulk] = found(connection)
    assert (bulk.done, bulk.refused) == (1, 2)
    page = browser.get(f"/bulk/{bulk.id}").text
    assert page.count("was sent already") == 1
    assert f'href="/console/texts/{ids[1]}"' in page


def test_more_texts_than_were_shown_have_to_be_confirmed_again(
    console: Operators, connection: psycopg.Connection
) -> None:
    waiting(connection, 2)
    browser = console.client(Role.VIEW, Role.ACT)
    confirmation = browser.post("/bulk/confirm", action="cancel", q="state:received", all="1")
    events.save(connection, [TicketEvent("salesforce", "one more", "case9")])

    answer = start(browser, confirmation)

    assert answer.status_code == 409
    assert "finds more than 2 texts now" in answer.text
    assert "Cancel: 3 texts" in answer.text
    assert fields(answer.text)["count"] == ["3"]
    assert found(connection) == []


@pytest.mark.parametrize(
    ("form", "why_not"),
    [
        ({"action": "cancel", "q": "", "all": "1"}, "needs a search"),
        ({"action": "cancel", "q": "state:received"}, "select one or more"),
        ({"action": "cancel", "id": "1; drop"}, "by their numbers"),
        ({"action": "cancel", "q": "state:lost", "all": "1"}, "cannot be read: state: expected one of"),
        ({"action": "cancel", "q": "state:sent", "all": "1"}, "finds no text"),
        ({"action": "resolve", "q": "state:unknown", "all": "1"}, "is not done in bulk"),
    ],
)
def test_what_cannot_be_meant_is_refused(console: Operators, form: dict[str, str], why_not: str) -> None:
    browser = console.client(Role.VIEW, Role.ACT)

    assert why_not in browser.notice(browser.post("/bulk/confirm", **form))


def test_a_start_without_a_reason_or_a_count_starts_nothing(console: Operators, connection: psycopg.Connection) -> None:
    waiting(connection, 1)
    browser = console.client(Role.VIEW, Role.ACT)
    form = {"action": "cancel", "q": "state:received", "all": "1"}

    assert "needs a reason" in browser.notice(browser.post("/bulk/start", **form, count="1", why=""))
    assert browser.post("/bulk/start", **form, count="x", why="x").status_code == 409
    assert found(connection) == []


def test_a_bulk_action_is_stopped_once(console: Operators, connection: psycopg.Connection) -> None:
    waiting(connection, 50)
    browser = console.client(Role.VIEW, Role.ACT)
    started = start(browser, browser.post("/bulk/confirm", action="cancel", q="state:received", all="1"))
    assert browser.notice(started).startswith("Started.")
    [bulk] = found(connection)
    worker.step(connection)

    assert browser.notice(browser.post(f"/bulk/{bulk.id}/stop")) == "Stopped: nothing more is begun."
    assert "is not running" in browser.notice(browser.post(f"/bulk/{bulk.id}/stop"))

    worker.run(connection)
    page = browser.get(f"/bulk/{bulk.id}").text
    assert "<dt>not begun</dt><dd>30</dd>" in page
    assert "Stopped by" in page


def test_whoever_may_only_look_starts_and_stops_nothing(console: Operators, connection: psycopg.Connection) -> None:
    waiting(connection, 50)
    acting = console.client(Role.VIEW, Role.ACT)
    start(acting, acting.post("/bulk/confirm", action="cancel", q="state:received", all="1"))
    [bulk] = found(connection)
    browser = console.client(Role.VIEW, Role.READ_CONTENT)
    form = {"action": "cancel", "q": "state:received", "all": "1", "why": "by hand", "count": "50"}

    for path in ("/bulk/confirm", "/bulk/start", f"/bulk/{bulk.id}/stop"):
        assert browser.post(path, **form).status_code == 403

    assert "Stop</button>" not in browser.get(f"/bulk/{bulk.id}").text
    assert [(one.id, one.state) for one in found(connection)] == [(bulk.id, "running")]


def test_there_is_no_page_of_a_bulk_action_that_does_not_exist(console: Operators) -> None:
    assert console.client(Role.VIEW).get("/bulk/99").status_code == 404


def test_a_number_in_a_search_or_a_reason_is_shown_to_those_who_may_see_it(
    console: Operators, connection: psycopg.Connection
) -> None:
    waiting(connection, 1)
    acting = console.client(*Role)
    selected = acting.post("/bulk/confirm", action="cancel", id="1").text
    acting.post(
        "/bulk/start",
        **fields(selected) | {"token": acting.token(), "why": "call +14155550132", "q": "phone:+14155550132"},
    )
    [bulk] = found(connection)
    assert "14155550132" in acting.get(f"/bulk/{bulk.id}").text
    assert "4155550132" not in console.client(Role.VIEW).get(f"/bulk/{bulk.id}").text


def test_more_texts_than_any_bulk_action_takes_are_refused_at_the_start_too(
    console: Operators, connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting(connection, 3)
    monkeypatch.setattr("webhooks.console.bulk.MAX_TEXTS", 2)
    browser = console.client(Role.VIEW, Role.ACT)
    started = browser.post("/bulk/start", action="cancel", q="state:received", all="1", count="1", why="x")
    assert "narrow it" in browser.notice(started)
    assert found(connection) == []
