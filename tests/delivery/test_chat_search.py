"""A person has the platform's list searched for the chat of one unknown text: bounded, and in turn with the workers."""

from collections.abc import Iterator
from contextlib import nullcontext
from datetime import timedelta

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


def test_two_searches_at_once_and_a_list_in_use_are_refused(box: Sandbox, connection: psycopg.Connection) -> None:
    text = unknown(connection)
    chat_search.search(lambda: nullcontext(connection), account(box), text)
    with pytest.raises(Unavailable, match="a moment ago"):
        chat_search.search(lambda: nullcontext(connection), account(box), text)

    free(connection)
    leases.put_off(connection, chat_list.NAME, 60)
    with pytest.raises(Unavailable, match="being read by the workers"):
        chat_search.search(lambda: nullcontext(connection), account(box), text)

    assert len(lists(box)) == 1
