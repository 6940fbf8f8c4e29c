"""The chats of sent texts: what is recorded of them, by several workers at once, and which writes follow."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import psycopg
import pytest
from psycopg_pool import ConnectionPool

from connector import transitions
from connector.model import Chat, Decision, OutboundSms, TicketEvent
from connector.store import (
    chat_updates,
    chats,
    erasure,
    events,
    held_notes,
    leases,
    outcomes,
    retention,
    text_views,
    texts,
)
from connector.store.chat_updates import Claim, Later, Shown, Written
from connector.store.outcomes import WriteResult
from tests.store.test_held_notes import noted, saved
from tests.support.remote import queued, started

CRM, TICKET, NUMBER = "salesforce", "500000000000001AAA", "+14155550132"
# How long a transaction is kept open, for another to run into it.
HELD_SECONDS = 0.3
START = datetime.now(UTC).replace(microsecond=0)


@pytest.fixture
def connection(pool: ConnectionPool) -> Iterator[psycopg.Connection]:
    with pool.connection() as connection:
        yield connection


def sending(connection: psycopg.Connection, event: str, ticket: str = TICKET) -> tuple[int, int]:
    """A text whose call has begun, and its claim."""
    [taken] = events.save(connection, [TicketEvent(CRM, event, ticket)])
    assert taken.text
    sms = OutboundSms(NUMBER, "+16285550199", "Hi Ada", ticket)
    queued(connection, {taken.text: Decision("requested", event, sms)})
    return taken.text, started(connection, taken.text)[taken.text]


def sent(connection: psycopg.Connection, event: str, chat: int, ticket: str = TICKET) -> int:
    """A text that was sent and has not told its ticket."""
    text, claim = sending(connection, event, ticket)
    texts.move(connection, [transitions.sent(text, claim, Chat(id=chat, status="selecting"))])
    return text


def tell(connection: psycopg.Connection, text: int, status: str = "selecting") -> None:
    """What the write-back of an outcome records."""
    [row] = connection.execute("select outcome from texts where id = %s", [text]).fetchall()
    with connection.transaction():
        outcomes.record(connection, [WriteResult(text, row[0])])
        chat_updates.follow(connection, [Shown(text, status, {"Status": status})])


def told(connection: psycopg.Connection, event: str = "e", chat: int = 114, ticket: str = TICKET) -> int:
    text = sent(connection, event, chat, ticket)
    tell(connection, text)
    return text


def hear(
    connection: psycopg.Connection,
    status: str,
    seconds: float = 1,
    chat: int = 114,
    ended: bool = False,
    source: Literal["webhook", "list"] = "list",
) -> None:
    chats.observe(connection, str(chat), status, START + timedelta(seconds=seconds), source, ended)


def status(connection: psycopg.Connection, text: int) -> str:
    found = text_views.seen(connection, text)
    assert found
    assert found.chat
    return str(found.chat["status"])


def claim(connection: psycopg.Connection) -> Claim:
    [one] = chat_updates.claim(connection, CRM, 200)
    return one


def write(connection: psycopg.Connection, one: Claim) -> None:
    """The CRM has taken the status of this claim."""
    chat = one.outcome.chat or {}
    chat_updates.record(connection, [Written(one.text, one.claim, one.changes, {"Status": chat["status"]})], [], [])


def due(connection: psycopg.Connection, seconds: float = 0) -> bool:
    """Whether a status is to be written after so many seconds."""
    connection.execute("update chat_updates set due_at = due_at - %s * interval '1 second'", [seconds])
    return chat_updates.is_due(connection, CRM)


def row(connection: psycopg.Connection, text: int) -> dict[str, Any]:
    names = ("written", "begun", "attempts", "refused")
    [values] = connection.execute(
        "select written, begun, attempts, refused from chat_updates where text = %s", [text]
    ).fetchall()
    return dict(zip(names, values, strict=True))


def outcomes_to_write(connection: psycopg.Connection) -> list[int]:
    return [text for (text,) in connection.execute("select id from texts where outcome > written order by id")]


def test_a_status_is_recorded_and_written_once(connection: psycopg.Connection) -> None:
    text = told(connection)
    assert not due(connection), "the outcome has written the first status"

    hear(connection, "assigned")
    hear(connection, "assigned")
    hear(connection, "queued", -5)
    one = claim(connection)
    write(connection, one)

    assert status(connection, text) == "assigned"
    assert (one.outcome.ticket_id, one.outcome.chat) == (TICKET, {"id": 114, "status": "assigned"})
    assert row(connection, text)["written"] == {"Status": "assigned"}
    assert not due(connection)


def test_a_chat_that_no_text_was_sent_by_is_not_recorded(connection: psycopg.Connection) -> None:
    hear(connection, "assigned", chat=999)
    assert connection.execute("select from chats").fetchall() == []


def test_what_is_heard_before_the_ticket_is_told_is_part_of_the_outcome(connection: psycopg.Connection) -> None:
    text = sent(connection, "e", 114)
    hear(connection, "assigned", source="webhook")

    [outcome] = outcomes.pending(connection, [text]).outcomes

    assert outcome.chat == {"id": 114, "status": "assigned"}


def test_what_is_heard_while_the_ticket_is_told_is_written_after_it(connection: psycopg.Connection) -> None:
    text = sent(connection, "e", 114)
    hear(connection, "assigned")
    tell(connection, text, "selecting")
    assert (claim(connection).outcome.chat or {})["status"] == "assigned"


def test_what_is_heard_during_the_write_is_written_next(connection: psycopg.Connection) -> None:
    told(connection)
    hear(connection, "assigned")
    one = claim(connection)
    hear(connection, "finished", 2, ended=True)
    write(connection, one)
    again = claim(connection)
    assert (again.outcome.chat or {})["status"] == "finished"
    assert again.written == {"Status": "assigned"}


def test_a_worker_that_died_during_the_write_is_replaced(connection: psycopg.Connection) -> None:
    text = told(connection)
    hear(connection, "assigned")
    claim(connection)
    assert not due(connection)

    assert due(connection, chat_updates.CLAIM_SECONDS)
    write(connection, claim(connection))

    assert not due(connection)
    assert due(connection, chat_updates.AGAIN_SECONDS), "the dead worker's write may have come last"
    write(connection, claim(connection))
    assert not due(connection, 9999)
    assert row(connection, text)["begun"] == 0


def test_a_worker_that_was_slow_has_its_status_written_over(connection: psycopg.Connection) -> None:
    told(connection)
    hear(connection, "assigned")
    slow = claim(connection)
    hear(connection, "finished", 2, ended=True)
    assert due(connection, chat_updates.CLAIM_SECONDS)
    fast = claim(connection)
    write(connection, fast)

    write(connection, slow)

    assert due(connection, 9999)
    again = claim(connection)
    assert again.written is None
    assert (again.outcome.chat or {})["status"] == "finished"


def test_two_workers_do_not_claim_the_same_status(pool: ConnectionPool, connection: psycopg.Connection) -> None:
    for number in range(30):
        told(connection, f"e{number}", 200 + number, f"{number:018d}")
        hear(connection, "assigned", chat=200 + number)
    ready = threading.Barrier(2)

    def work() -> list[int]:
        with pool.connection() as mine:
            ready.wait()
            return [one.text for one in chat_updates.claim(mine, CRM, 200)]

    with ThreadPoolExecutor(2) as threads:
        claims = [each.result() for each in [threads.submit(work) for _ in range(2)]]
    assert len(claims[0]) + len(claims[1]) == len({*claims[0], *claims[1]}) == 30


def test_reports_from_two_workers_at_once_leave_the_newest(
    pool: ConnectionPool, connection: psycopg.Connection
) -> None:
    text = told(connection)
    ready = threading.Barrier(2)

    def work(which: int) -> None:
        with pool.connection() as mine:
            ready.wait()
            for second in range(which, 40, 2):
                hear(mine, f"s{second:02}", second)

    with ThreadPoolExecutor(2) as threads:
        for each in [threads.submit(work, which) for which in (0, 1)]:
            each.result()
    assert status(connection, text) == "s39"
    assert (claim(connection).outcome.chat or {})["status"] == "s39"


@pytest.mark.parametrize("known", [False, True], ids=["a chat that is new", "a chat that is known"])
def test_a_report_waits_for_the_outcome_that_is_being_recorded(pool: ConnectionPool, known: bool) -> None:
    """Neither may miss the other: the report adds a write, or the outcome sees the report."""
    with pool.connection() as connection, pool.connection() as other, ThreadPoolExecutor(1) as threads:
        text = sent(connection, "e", 114)
        if known:
            hear(connection, "selecting", 0)
        with connection.transaction():
            tell(connection, text)
            heard = threads.submit(hear, other, "assigned")
            wait([heard], timeout=HELD_SECONDS)
        heard.result()
        assert due(connection)


def test_an_outcome_waits_for_a_report_that_is_being_recorded(pool: ConnectionPool) -> None:
    with pool.connection() as connection, pool.connection() as other, ThreadPoolExecutor(1) as threads:
        text = sent(connection, "e", 114)
        hear(connection, "selecting", 0)
        with connection.transaction():
            hear(connection, "assigned")
            telling = threads.submit(tell, other, text)
            wait([telling], timeout=HELD_SECONDS)
        telling.result()
        assert due(connection)


def test_an_older_report_waits_for_the_newer_one_that_is_being_recorded(pool: ConnectionPool) -> None:
    with pool.connection() as connection, pool.connection() as other, ThreadPoolExecutor(1) as threads:
        text = told(connection)
        with connection.transaction():
            hear(connection, "assigned", 2)
            late = threads.submit(hear, other, "queued", 1)
            wait([late], timeout=HELD_SECONDS)
        late.result()
        assert status(connection, text) == "assigned"


def pending_newer(connection: psycopg.Connection) -> None:
    sent(connection, "newer", 115)


def told_newer(connection: psycopg.Connection) -> None:
    tell(connection, sent(connection, "newer", 115))


@pytest.mark.parametrize(
    ("newer", "rows"), [pytest.param(pending_newer, 1, id="waits"), pytest.param(told_newer, 1, id="told")]
)
def test_a_status_never_hides_the_outcome_of_a_newer_text(
    connection: psycopg.Connection, newer: Callable[[psycopg.Connection], None], rows: int
) -> None:
    told(connection)
    newer(connection)
    hear(connection, "assigned")
    assert chat_updates.claim(connection, CRM, 200) == []
    assert len(connection.execute("select from chat_updates").fetchall()) == rows


def test_a_status_waits_for_an_outcome_and_is_written_after_it(connection: psycopg.Connection) -> None:
    """A newer text that is not sent yet leaves the ticket to the older one."""
    text = told(connection)
    sending(connection, "newer")
    hear(connection, "assigned")
    assert claim(connection).text == text


def test_a_status_waits_while_a_note_of_a_hold_is_being_written(connection: psycopg.Connection) -> None:
    text = told(connection)
    [note] = noted(connection, saved(connection, "newer", TICKET))
    assert held_notes.begin(connection, {note: {}})
    hear(connection, "assigned")
    assert chat_updates.claim(connection, CRM, 200) == []
    held_notes.end(connection, [note])
    assert due(connection, chat_updates.OUTCOME_SECONDS)
    assert claim(connection).text == text


def test_a_newer_outcome_that_a_status_may_have_followed_is_written_again(connection: psycopg.Connection) -> None:
    told(connection)
    hear(connection, "assigned")
    slow = claim(connection)
    newer = told(connection, "newer", 115)
    assert outcomes_to_write(connection) == []

    write(connection, slow)

    assert outcomes_to_write(connection) == [newer]


def test_the_same_where_the_status_had_no_clear_result_or_its_worker_died(connection: psycopg.Connection) -> None:
    told(connection)
    hear(connection, "assigned")
    claim(connection)
    newer = told(connection, "newer", 115)

    assert due(connection, chat_updates.CLAIM_SECONDS)
    assert chat_updates.claim(connection, CRM, 200) == []

    assert outcomes_to_write(connection) == [newer]


def test_a_refused_status_comes_again_and_an_unclear_one_is_not_taken_for_written(
    connection: psycopg.Connection,
) -> None:
    text = told(connection)
    hear(connection, "assigned")
    refused = claim(connection)
    chat_updates.record(connection, [], [Later(text, refused.claim, 60, "no such field")], [])
    assert row(connection, text) == {
        "written": {"Status": "selecting"},
        "begun": 0,
        "attempts": 1,
        "refused": "no such field",
    }
    assert chat_updates.refused(connection, text) == "no such field"

    assert due(connection, 61)
    unclear = claim(connection)
    chat_updates.record(connection, [], [Later(text, unclear.claim, 60)], [])
    assert row(connection, text) == {"written": None, "begun": 1, "attempts": 2, "refused": None}


def test_a_ticket_of_another_text_with_the_same_reason_follows_the_chat_too(connection: psycopg.Connection) -> None:
    first = told(connection)
    [taken] = events.save(connection, [TicketEvent(CRM, "again", "500000000000002AAA")])
    assert taken.text
    sms = OutboundSms(NUMBER, "+16285550199", "Hi", "t")
    assert queued(connection, {taken.text: Decision("requested", "e", sms)}) == {taken.text: first}
    revision = texts.load(connection, [taken.text])[taken.text].revision
    texts.move(connection, [transitions.skipped_as(taken.text, first, revision=revision)])
    tell(connection, taken.text)

    hear(connection, "assigned")

    assert {one.outcome.ticket_id for one in chat_updates.claim(connection, CRM, 200)} == {TICKET, "500000000000002AAA"}


def test_nothing_is_followed_when_all_chats_have_ended(connection: psycopg.Connection) -> None:
    leases.take(connection, chats.LEASE, 30)
    assert chats.read_from(connection) is None
    told(connection)
    assert chats.read_from(connection) is not None
    hear(connection, "finished", ended=True)
    assert chats.read_from(connection) is None
    assert leases.cursor(connection, chats.LEASE) is None


@pytest.mark.parametrize("minutes", [0, 10])
def test_the_list_is_read_again_from_the_call_of_a_text_that_is_new(
    connection: psycopg.Connection, minutes: int
) -> None:
    """Its chat may have been on a page that was read before the text was recorded."""
    leases.take(connection, chats.LEASE, 30)
    told(connection)
    first = chats.read_from(connection)
    assert first
    now = datetime.now(UTC)
    assert chats.read_to(connection, [], first, now)
    assert chats.read_from(connection) == now

    newer = sent(connection, "newer", 115)
    connection.execute(
        "update history set at = at - %s * interval '1 minute' where text = %s and to_state = 'sending'",
        [minutes, newer],
    )
    tell(connection, newer)

    again = chats.read_from(connection)
    assert again
    assert timedelta(minutes=minutes) <= now - again < timedelta(minutes=minutes + 1)
    assert not chats.read_to(connection, [], now, now + timedelta(hours=2)), (
        "a worker that still reads must not undo it"
    )
    assert leases.cursor(connection, chats.LEASE) == again


def test_new_texts_do_not_bring_a_reader_back_that_is_far_behind(connection: psycopg.Connection) -> None:
    leases.take(connection, chats.LEASE, 30)
    told(connection)
    first = chats.read_from(connection)
    assert first
    behind = START - timedelta(hours=1)
    assert chats.read_to(connection, [], first, behind)
    told(connection, "newer", 115)
    assert chats.read_from(connection) == behind


def test_a_chat_without_news_for_days_is_no_longer_followed(connection: psycopg.Connection) -> None:
    leases.take(connection, chats.LEASE, 30)
    told(connection)
    connection.execute("update chats set seen_at = now() - interval '8 days'")
    assert chats.read_from(connection) is None


@pytest.mark.parametrize("how", ["retention", "purge"])
def test_what_is_known_of_a_chat_leaves_with_its_text_but_for_the_status(
    connection: psycopg.Connection, how: str
) -> None:
    text = told(connection)
    hear(connection, "assigned")
    one = claim(connection)
    chat_updates.record(connection, [], [Later(text, one.claim, 60, f"no such field, {NUMBER}")], [])
    if how == "purge":
        erasure.purge(connection, NUMBER)
    else:
        connection.execute("update chats set seen_at = now() - interval '31 days'")
        assert retention.keep(connection, 30).chats == 1

    assert connection.execute("select from chats").fetchall() == []
    assert connection.execute("select from chat_updates").fetchall() == []
    found = text_views.seen(connection, text)
    assert found
    assert found.chat == {"id": 114, "status": "assigned", "ended": False}
