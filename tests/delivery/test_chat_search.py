"""A person has the platform's list searched for the chat of one unknown text: bounded, and in turn with the workers."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from psycopg_pool import ConnectionPool

from connector import transitions
from connector.ccaip import chats
from connector.errors import Unavailable
from connector.model import Decision, OutboundSms, TicketEvent
from connector.sandbox import Sandbox
from connector.store import events, leases, texts, unknowns
from connector.store.unknowns import OpenUnknown
from connector.worker import chat_list, chat_search
from tests.delivery.test_chat_follower import lists, new_chats
from tests.delivery.test_maintenance import account
from tests.support.remote import queued, started


@pytest.fixture
def connection(pool: ConnectionPool) -> Iterator[psycopg.Connection]:
    with pool.connection() as connection:
        yield connection


@pytest.fixture
def box() -> Iterator[Sandbox]:
    with Sandbox(port=0, requests_per_second=0).running() as box:
        yield box


def unknown(connection: psycopg.Connection) -> OpenUnknown:
    [receipt] = events.save(connection, [TicketEvent("salesforce", "e", "case1")])
    assert receipt.text
    sms = OutboundSms("+14155551000", "+16285550199", "Hi", "case1")
    queued(connection, {receipt.text: Decision("requested", "r", sms)})
    claim = started(connection, receipt.text)[receipt.text]
    texts.move(connection, [transitions.unknown(receipt.text, claim, "no answer")])
    found = unknowns.evidence(connection, receipt.text)
    assert found
    return found.text


def free(connection: psycopg.Connection) -> None:
    """Some seconds later: the list may be searched again."""
    for lease in (chat_search.LEASE, chat_list.NAME):
        leases.put_off(connection, lease, 0)


def test_chats_that_began_during_the_call_and_belong_to_no_text_are_found(
    box: Sandbox, connection: psycopg.Connection
) -> None:
    """Those that carry the ticket's id come first."""
    text = unknown(connection)
    other, of_another_text = new_chats(box, 2)
    box.switches.update({"list_names_ticket": True})
    sms = {"chat_type": "Messaging (SMS)", "outbound_number": "+16285550199", "message": "Hi", "ticket_id": "case1"}
    own = box.ccaip.send(sms | {"end_user_number": "+14155551009"})["id"]
    [receipt] = events.save(connection, [TicketEvent("salesforce", "x", "x")])
    connection.execute(
        "update texts set chat = jsonb_build_object('id', %s::bigint) where id = %s", [of_another_text, receipt.text]
    )

    found = chat_search.search(lambda: nullcontext(connection), account(box), text)

    assert [(one.chat.id, one.of_ticket) for one in found.candidates] == [(own, True), (other, False)]
    assert (found.read, found.up_to) == (3, None)


def test_a_chat_of_another_time_is_no_candidate(box: Sandbox, connection: psycopg.Connection) -> None:
    text = unknown(connection)
    connection.execute("update texts set changed_at = changed_at - interval '1 hour' where id = %s", [text.id])
    connection.execute("update history set at = at - interval '1 hour' where text = %s", [text.id])
    new_chats(box, 1)
    earlier = unknowns.evidence(connection, text.id)
    assert earlier

    found = chat_search.search(lambda: nullcontext(connection), account(box), earlier.text)

    assert (found.candidates, found.read) == ([], 1)


def test_a_search_ends_after_some_pages_and_says_how_far_it_came(
    box: Sandbox, connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chats, "PER_PAGE", 2)
    monkeypatch.setattr(chats, "OVERLAP", timedelta())
    monkeypatch.setattr(chats, "REQUEST_SECONDS", 0.0)
    monkeypatch.setattr(chat_search, "MAX_PAGES", 2)
    text = unknown(connection)
    new_chats(box, 6)

    found = chat_search.search(lambda: nullcontext(connection), account(box), text)

    assert len(lists(box)) == 2
    assert found.read < 6
    assert found.up_to is not None


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """A search has one second, and reads pages of two chats."""
    monkeypatch.setattr(chat_search, "TOTAL_SECONDS", 1.0)
    monkeypatch.setattr(chats, "PER_PAGE", 2)
    monkeypatch.setattr(chats, "OVERLAP", timedelta())
    monkeypatch.setattr(chats, "REQUEST_SECONDS", 0.0)


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("fault", [{"kind": "delay", "seconds": 4}, {"kind": "status", "status": 503}])
def test_what_was_read_counts_where_a_later_page_does_not_come(
    box: Sandbox, connection: psycopg.Connection, fault: dict[str, Any]
) -> None:
    text = unknown(connection)
    chat, *_ = new_chats(box, 6)
    broken = iter([True])

    def connect() -> AbstractContextManager[psycopg.Connection]:
        """Break the list once the first page was read."""
        if len(lists(box)) == 1 and next(broken, False):
            box.faults.add(side="ccaip", route="list_chats", **fault)
        return nullcontext(connection)

    begun = time.monotonic()

    found = chat_search.search(connect, account(box), text)

    assert time.monotonic() - begun < 2.5
    assert (found.read, found.candidates[0].chat.id) == (2, chat)
    assert found.up_to is not None
    assert "CCAI Platform's list of chats" in found.why


@pytest.mark.usefixtures("short")
def test_a_search_ends_in_time_although_the_first_page_does_not_come(
    box: Sandbox, connection: psycopg.Connection
) -> None:
    text = unknown(connection)
    box.faults.add("delay", side="ccaip", route="list_chats", seconds=4)
    begun = time.monotonic()

    with pytest.raises(Unavailable, match="TimedOut"):
        chat_search.search(lambda: nullcontext(connection), account(box), text)

    assert time.monotonic() - begun < 2.5


@pytest.mark.usefixtures("short")
def test_a_search_ends_in_time_although_its_turn_does_not_come(
    box: Sandbox, connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chats, "REQUEST_SECONDS", 60.0)
    text = unknown(connection)
    new_chats(box, 6)
    begun = time.monotonic()

    found = chat_search.search(lambda: nullcontext(connection), account(box), text)

    assert time.monotonic() - begun < 2.5
    assert (found.read, found.why) == (2, "a search takes at most 1 seconds")


def test_there_is_one_search_at_a_time(box: Sandbox, pool: ConnectionPool, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long it takes: a platform that does not answer takes one thread of the web processes, not all."""
    monkeypatch.setattr(chat_search, "SEARCH_SECONDS", 0.0)
    with pool.connection() as connection:
        text = unknown(connection)
    box.faults.add("delay", side="ccaip", route="list_chats", seconds=1)
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(chat_search.search, pool.connection, account(box), text)
        time.sleep(0.5)
        with pytest.raises(Unavailable, match="is searched"):
            chat_search.search(pool.connection, account(box), text)
        assert first.result().up_to is None


def test_two_searches_one_after_another_and_a_list_in_use_are_refused(
    box: Sandbox, connection: psycopg.Connection
) -> None:
    text = unknown(connection)
    chat_search.search(lambda: nullcontext(connection), account(box), text)
    with pytest.raises(Unavailable, match="a moment ago"):
        chat_search.search(lambda: nullcontext(connection), account(box), text)

    free(connection)
    leases.put_off(connection, chat_list.NAME, 60)
    with pytest.raises(Unavailable, match="being read by the workers"):
        chat_search.search(lambda: nullcontext(connection), account(box), text)

    assert len(lists(box)) == 1
