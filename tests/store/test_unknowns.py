"""Unknown texts with their evidence, settling them, and how long that took."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from psycopg_pool import ConnectionPool

from connector import transitions
from connector.errors import RefusalCode
from connector.model import Chat, Decision, OutboundSms, State, TicketEvent
from connector.store import audit, chat_events, chats, erasure, events, texts, unknowns
from connector.store.audit import Action, Actor, Filter, Source
from connector.store.chat_events import NewChatEvent
from connector.store.unknowns import Settled
from tests.support.remote import queued, started

NUMBER, OTHER = "+14155550132", "+14155550133"
ADA = Actor("ada", Source.CLI, "host")
CUT = "the connection was cut off"


@pytest.fixture
def connection(pool: ConnectionPool) -> Iterator[psycopg.Connection]:
    with pool.connection() as connection:
        yield connection


def waiting(connection: psycopg.Connection, name: str, ticket: str = "", number: str = NUMBER) -> int:
    """A text that is queued for this number."""
    ticket = ticket or f"ticket of {name}"
    [receipt] = events.save(connection, [TicketEvent("salesforce", name, ticket)])
    assert receipt.text
    sms = OutboundSms(number, "+16285550199", "Hi Ada", ticket)
    queued(connection, {receipt.text: Decision("requested", name, sms)})
    return receipt.text


def unknown(connection: psycopg.Connection, name: str = "unknown", ticket: str = "") -> int:
    text = waiting(connection, name, ticket)
    texts.move(connection, [transitions.unknown(text, started(connection, text)[text], CUT)])
    return text


def sent(connection: psycopg.Connection, name: str, chat: int, ticket: str = "", number: str = NUMBER) -> int:
    text = waiting(connection, name, ticket, number)
    texts.move(connection, [transitions.sent(text, started(connection, text)[text], Chat(id=chat, status="selecting"))])
    chats.begin(connection, [str(chat)])
    return text


def of(connection: psycopg.Connection, text: int) -> unknowns.Evidence:
    found = unknowns.evidence(connection, text)
    assert found
    return found


def chat_event(connection: psycopg.Connection, chat: str, seconds: float = 0, kind: str = "chat_created") -> None:
    at = datetime.now(UTC) + timedelta(seconds=seconds)
    chat_events.save(connection, [NewChatEvent(f"{chat} {kind} {at}".encode(), at, chat, kind)])


def test_open_unknowns_come_oldest_first_and_page_by_page(connection: psycopg.Connection) -> None:
    first, second, third = (unknown(connection, name) for name in ("a", "b", "c"))
    sent(connection, "other", 9)

    page = unknowns.open_unknowns(connection, 2)

    assert [one.id for one in page] == [first, second]
    rest = unknowns.open_unknowns(connection, 2, (page[-1].given_up_at, page[-1].id))
    assert [one.id for one in rest] == [third]
    assert (page[0].why, page[0].end_user_number, unknowns.count(connection)) == (CUT, NUMBER, 3)
    assert page[0].called_at is not None
    assert page[0].called_at <= page[0].given_up_at
    assert 0 <= page[0].age < 60


def test_a_call_shows_how_it_ended_and_which_claim_it_was(connection: psycopg.Connection) -> None:
    text = waiting(connection, "a")
    texts.move(connection, [transitions.again(text, started(connection, text)[text], "busy", after=0)])
    claim = started(connection, text)[text]
    texts.move(connection, [transitions.unknown(text, claim, CUT)])

    before, last = of(connection, text).calls

    assert (before.ended_as, before.why, before.claim) == (State.QUEUED, "busy", None)
    assert (last.ended_as, last.why, last.claim) == (State.UNKNOWN, CUT, claim)
    assert last.ended_at is not None
    assert last.at <= last.ended_at


def test_chats_of_the_same_number_and_of_the_same_ticket_are_evidence(connection: psycopg.Connection) -> None:
    text = unknown(connection, ticket="case1")
    same_number, same_ticket = sent(connection, "n", 21), sent(connection, "t", 22, "case1", OTHER)
    sent(connection, "stranger", 23, number=OTHER)
    long_ago = sent(connection, "old", 24)
    connection.execute("update history set at = at - interval '2 days' where text = %s", [long_ago])
    chats.observe(connection, "21", "assigned", datetime.now(UTC), "webhook", ended=False)

    found = {chat.chat: chat for chat in of(connection, text).chats}

    assert set(found) == {21, 22}
    assert (found[21].text, found[21].same_number, found[21].status) == (same_number, True, "assigned")
    assert (found[22].text, found[22].same_number, found[22].ended) == (same_ticket, False, False)


def test_a_chat_of_no_text_that_began_after_the_call_is_evidence(connection: psycopg.Connection) -> None:
    sent(connection, "known", 31, number=OTHER)
    chat_event(connection, "32", -3600)
    text = unknown(connection)
    chat_event(connection, "31")
    chat_event(connection, "32")
    chat_event(connection, "33")
    chat_event(connection, "33", 5, "message_received")

    [found] = of(connection, text).unclaimed

    assert (found.chat, found.events) == ("33", ["chat_created", "message_received"])


def test_a_later_text_that_found_the_customer_in_a_session_is_evidence(connection: psycopg.Connection) -> None:
    text = unknown(connection)
    later, other = waiting(connection, "later"), waiting(connection, "other", number=OTHER)
    for one in (later, other):
        claim = started(connection, one)[one]
        busy = transitions.again(one, claim, "busy", 60, busy=True, code=RefusalCode.CUSTOMER_BUSY)
        texts.move(connection, [busy])

    [found] = of(connection, text).busy

    assert (found.text, found.state) == (later, State.QUEUED)


def test_a_settled_text_is_told_and_recorded(connection: psycopg.Connection) -> None:
    text = unknown(connection)

    assert unknowns.settle(connection, ADA, text, 41, "its chat says so") is Settled.DONE

    assert texts.load(connection, [text])[text].state is State.SENT
    [entry] = audit.find(connection, Filter(what=Action.TEXT_RESOLVE), 9)
    assert (entry.who, entry.about, entry.why) == ("ada", f"text {text}", "its chat says so")
    assert entry.after == {"state": "sent", "chat": 41}
    assert unknowns.settle(connection, ADA, text, None) is Settled.NOT_UNKNOWN
    assert unknowns.evidence(connection, text) is None


def test_two_people_settle_two_texts_with_one_chat_and_the_second_is_refused(
    connection: psycopg.Connection, pool: ConnectionPool
) -> None:
    first, second = unknown(connection, "a"), unknown(connection, "b")

    def settle(text: int) -> Settled:
        with pool.connection() as own:
            return unknowns.settle(own, ADA, text, 61)

    with ThreadPoolExecutor(1) as other:
        with connection.transaction():
            assert unknowns.settle(connection, ADA, first, 61) is Settled.DONE
            later = other.submit(settle, second)
            with pytest.raises(TimeoutError):
                later.result(timeout=0.5)
        assert later.result(timeout=5) is Settled.CHAT_TAKEN


def test_a_chat_of_another_text_settles_nothing(connection: psycopg.Connection) -> None:
    sent(connection, "other", 51)
    text = unknown(connection)

    assert unknowns.settle(connection, ADA, text, 51) is Settled.CHAT_TAKEN

    assert texts.load(connection, [text])[text].state is State.UNKNOWN
    assert audit.find(connection, Filter(what=Action.TEXT_RESOLVE), 9) == []


def test_the_time_to_settle_is_measured_over_seven_days(connection: psycopg.Connection) -> None:
    assert unknowns.time_to_settle(connection) == unknowns.TimeToSettle(0, None, None)
    for minutes, name in ((1, "a"), (3, "b"), (10, "c")):
        text = unknown(connection, name)
        unknowns.settle(connection, ADA, text, None)
        connection.execute(
            "update history set at = at - %s * interval '1 minute' where text = %s and to_state = 'unknown'",
            [minutes, text],
        )
    unknown(connection, "open")
    old = unknown(connection, "old")
    unknowns.settle(connection, ADA, old, None)
    connection.execute("update history set at = at - interval '8 days' where text = %s", [old])

    found = unknowns.time_to_settle(connection)

    assert found.settled == 3
    assert found.median == pytest.approx(180, abs=5)
    assert found.p95 == pytest.approx(600 - 0.1 * 420, abs=5)


def test_an_erased_person_leaves_no_evidence(connection: psycopg.Connection) -> None:
    text = unknown(connection)
    sent(connection, "n", 21)

    erasure.purge(connection, NUMBER)

    found = of(connection, text)
    assert (found.text.end_user_number, found.text.message, found.text.number, found.chats) == (None, None, None, [])
