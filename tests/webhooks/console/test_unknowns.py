"""The unknowns desk: evidence before the verdict, and each verdict only by those who may act."""

import re
from datetime import UTC, datetime

import psycopg
import pytest
from werkzeug.test import TestResponse

from connector.model import State
from connector.store import audit, chat_events, leases, texts
from connector.store.audit import Action, Filter
from connector.store.chat_events import NewChatEvent
from connector.worker import chat_search
from tests.support import evidence
from tests.support.evidence import MESSAGE, NUMBER, case
from tests.webhooks.console.conftest import Browser, Operators
from webhooks.console.roles import Role

WHY = "its chat is there"


@pytest.fixture
def unknown(connection: psycopg.Connection) -> int:
    return evidence.unknown(connection, "a", case(1))


def settle(browser: Browser, text: int, **form: str) -> TestResponse:
    return browser.post(f"/unknowns/{text}/settle", why=WHY, **form)


def state(connection: psycopg.Connection, text: int) -> State:
    return texts.load(connection, [text])[text].state


def test_the_list_names_open_unknowns_and_the_time_to_settle(
    console: Operators, connection: psycopg.Connection, unknown: int
) -> None:
    other = evidence.unknown(connection, "b", case(2))
    client = console.client(Role.VIEW, Role.ACT)
    settle(client, other, verdict="not_sent")

    page = client.get("/unknowns").text

    assert f'href="/console/unknowns/{unknown}"' in page
    assert f'href="/console/unknowns/{other}"' not in page
    assert re.search(r"<dt>open</dt><dd>1</dd>", page)
    assert re.search(r"<dt>settled in 7 days</dt><dd>1</dd>", page)
    assert "the connection was cut off" in page


def test_the_list_is_paged(console: Operators, connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("webhooks.console.unknowns.ROWS", 1)
    first, second = (evidence.unknown(connection, name, case(at)) for at, name in enumerate("ab"))
    client = console.client(Role.VIEW)

    page = client.get("/unknowns").text
    assert f"/console/unknowns/{first}" in page
    [after] = re.findall(r'href="(/console/unknowns\?after=[^"]+)"', page)

    rest = client.get(after.replace("&amp;", "&").removeprefix("/console")).text
    assert f"/console/unknowns/{second}" in rest
    assert f"/console/unknowns/{first}" not in rest
    assert client.get("/unknowns?after=nonsense").status_code == 200


def test_evidence_stands_beside_the_consequences(
    console: Operators, connection: psycopg.Connection, unknown: int
) -> None:
    evidence.sent(connection, "n", case(2), 21)
    evidence.repeated(connection, unknown, "again", case(3))
    now = datetime.now(UTC)
    chat_events.save(connection, [NewChatEvent(b"x", now, "33", "chat_created")])

    page = console.client(Role.VIEW, Role.ACT, Role.READ_CONTENT).get(f"/unknowns/{unknown}").text

    assert "the connection was cut off" in page
    assert "Chat 21 of" in page
    assert "Chat 33: chat_created" in page
    assert "It was sent as chat 33." in page
    assert "The ticket gets chat 33. The reason stays used" in page
    assert "The same reason may be texted again" in page
    assert "1 other request for the same text is settled the same way" in page
    assert NUMBER in page
    assert MESSAGE in page


def test_a_viewer_sees_the_evidence_masked_and_no_form(console: Operators, unknown: int) -> None:
    client = console.client(Role.VIEW)
    page = client.get(f"/unknowns/{unknown}").text

    assert NUMBER not in page
    assert MESSAGE not in page
    assert "0132" in page
    assert "/settle" not in page
    assert settle(client, unknown, verdict="not_sent").status_code == 403


@pytest.mark.parametrize(
    ("form", "settled", "chat"),
    [
        ({"verdict": "not_sent"}, State.FAILED, None),
        ({"verdict": "other", "chat": " 41 "}, State.SENT, 41),
        ({"verdict": "chat:33"}, State.SENT, 33),
    ],
)
def test_a_verdict_settles_the_text_and_is_recorded(
    console: Operators,
    connection: psycopg.Connection,
    unknown: int,
    form: dict[str, str],
    settled: State,
    chat: int | None,
) -> None:
    client = console.client(Role.VIEW, Role.ACT)

    answer = settle(client, unknown, **form)

    assert answer.location == "/console/unknowns"
    assert "The ticket will be notified" in client.notice(answer)
    assert state(connection, unknown) is settled
    [entry] = audit.find(connection, Filter(what=Action.TEXT_RESOLVE), 9)
    assert (entry.source, entry.why, entry.after) == ("console", WHY, {"state": settled, "chat": chat})
    assert "is not unknown, or not any more" in client.notice(settle(client, unknown, **form))


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({}, "Say whether it was sent."),
        ({"verdict": "nonsense"}, "Say whether it was sent."),
        ({"verdict": "other"}, "Give the number of the chat"),
        ({"verdict": "other", "chat": "0"}, "Give the number of the chat"),
        ({"verdict": "chat:x"}, "Give the number of the chat"),
        ({"verdict": "other", "chat": "21"}, "Chat 21 is that of text"),
    ],
)
def test_a_verdict_that_cannot_be_is_refused_and_changes_nothing(
    console: Operators, connection: psycopg.Connection, unknown: int, form: dict[str, str], words: str
) -> None:
    evidence.sent(connection, "n", case(2), 21)
    client = console.client(Role.VIEW, Role.ACT)

    answer = settle(client, unknown, **form)

    assert answer.location == f"/console/unknowns/{unknown}"
    assert words in client.notice(answer)
    assert state(connection, unknown) is State.UNKNOWN


def test_the_platforms_list_is_searched_on_demand(
    console: Operators, connection: psycopg.Connection, unknown: int
) -> None:
    here, client, box = f"/unknowns/{unknown}/search", console.client(Role.VIEW, Role.ACT), console.box
    box.switches.update({"list_names_ticket": True})
    sms = {"chat_type": "Messaging (SMS)", "outbound_number": evidence.OUTBOUND, "message": "Hi"}
    chat = box.ccaip.send(sms | {"end_user_number": NUMBER, "ticket_id": case(1)})["id"]

    page, again = client.post(here).text, client.post(here).text
    leases.put_off(connection, chat_search.LEASE, 0)
    box.faults.add(side="ccaip", route="list_chats", kind="status", status=503)
    away = client.post(here).text

    assert f"Chat {chat} (" in page
    assert "and has this ticket’s id" in page
    assert f"It was sent as chat {chat}." in page
    assert "is searched, or was a moment ago" in again
    assert "answered 503. Nothing was changed." in away
    assert state(connection, unknown) is State.UNKNOWN
