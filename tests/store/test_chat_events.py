"""Chat events in the store and the worker's task: each is processed at least once, and none blocks another."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg_pool import ConnectionPool

from connector import transitions
from connector.model import Chat, Decision, OutboundSms, TicketEvent
from connector.store import chat_events, erasure, events, retention, suppressions, texts
from connector.store.chat_events import NewChatEvent, Summary
from connector.worker import chat_events as worker
from tests.support.remote import queued, started

NUMBER = "+14155550132"
AT = datetime(2026, 11, 26, 8, 20, tzinfo=UTC)
CUSTOMERS = ["end_user"]


@pytest.fixture
def connection(pool: ConnectionPool) -> Iterator[psycopg.Connection]:
    with pool.connection() as connection:
        yield connection


def sent(connection: psycopg.Connection, chat_id: int, number: str = NUMBER) -> None:
    """A text that was sent to this number, in this chat."""
    [one] = events.save(connection, [TicketEvent("salesforce", f"e{chat_id}", f"{chat_id:018d}")])
    assert one.text
    sms = OutboundSms(number, "+16285550199", "Hi Ada", f"{chat_id:018d}")
    queued(connection, {one.text: Decision("requested", f"r{chat_id}", sms)})
    claim = started(connection, one.text)[one.text]
    texts.move(connection, [transitions.sent(one.text, claim, Chat(id=chat_id))])


def said(chat_id: int, words: str = "STOP", sender: str = "end_user", name: str = "") -> NewChatEvent:
    body = {"sender": {"type": sender}, "message": {"type": "text", "content": words}}
    return NewChatEvent(f"{chat_id}{words!a}{sender}{name}".encode(), AT, str(chat_id), "message_received", body)


def ended(chat_id: int) -> NewChatEvent:
    return NewChatEvent(f"{chat_id} ended".encode(), AT, str(chat_id), "chat_ended")


def row(connection: psycopg.Connection, chat_id: int) -> dict[str, Any]:
    with connection.cursor(row_factory=psycopg.rows.dict_row) as cursor:
        [found] = cursor.execute(
            "select *, extract(epoch from next_at - now())::float8 as pause from chat_events where chat_id = %s",
            [str(chat_id)],
        ).fetchall()
    return found


def suppressed(connection: psycopg.Connection) -> list[str]:
    return sorted(one.number for one in suppressions.suppressed(connection, 100))


def process(connection: psycopg.Connection) -> None:
    worker.process(connection, CUSTOMERS)


def due_now(connection: psycopg.Connection) -> None:
    connection.execute("update chat_events set next_at = now() where processed_at is null")


def test_an_event_is_saved_once(connection: psycopg.Connection) -> None:
    assert chat_events.save(connection, [said(1), said(2), said(1)]) == [True, True, False]
    assert chat_events.save(connection, [said(2), said(3)]) == [False, True]


def test_characters_that_the_database_cannot_store_do_not_lose_an_event(connection: psycopg.Connection) -> None:
    assert chat_events.save(connection, [said(1, "STOP\0 \ud83d"), said(2)]) == [True, True]
    assert row(connection, 1)["body"]["message"]["content"].startswith("STOP")


def test_a_stop_of_the_customer_takes_effect_and_an_agents_does_not(connection: psycopg.Connection) -> None:
    sent(connection, 1)
    sent(connection, 2, "+14155550133")
    chat_events.save(connection, [said(1), said(2, sender="agent"), ended(2)])
    process(connection)
    assert suppressed(connection) == [NUMBER]
    assert connection.execute("select chat_id, status, ended from chats").fetchall() == [("2", "ended", True)]
    assert chat_events.summary(connection).waiting == 0


def test_an_event_before_its_texts_response_waits_for_it(connection: psycopg.Connection) -> None:
    chat_events.save(connection, [said(1)])
    process(connection)
    assert 1 < row(connection, 1)["pause"] <= 2
    assert chat_events.summary(connection).waiting == 1
    sent(connection, 1)
    due_now(connection)
    process(connection)
    assert suppressed(connection) == [NUMBER]
    assert row(connection, 1)["processed_at"]


def test_a_chat_of_others_is_ignored_after_a_day_and_its_words_are_erased(connection: psycopg.Connection) -> None:
    chat_events.save(connection, [said(1)])
    connection.execute("update chat_events set received_at = now() - interval '23 hours'")
    process(connection)
    assert 800 < row(connection, 1)["pause"] <= chat_events.MAX_WAIT_PAUSE
    connection.execute("update chat_events set received_at = now() - interval '25 hours'")
    due_now(connection)
    process(connection)
    assert row(connection, 1)["processed_at"]
    assert row(connection, 1)["body"] is None


def test_an_unknown_sender_is_counted_and_heard_once_the_setting_names_it(connection: psycopg.Connection) -> None:
    sent(connection, 1)
    chat_events.save(connection, [said(1, sender="consumer")])
    process(connection)
    assert suppressed(connection) == []
    assert "consumer" in row(connection, 1)["problem"]
    assert chat_events.summary(connection).unknown_sender == 1
    due_now(connection)
    worker.process(connection, ["consumer"])
    assert suppressed(connection) == [NUMBER]
    assert chat_events.summary(connection).unknown_sender == 0


def test_an_unknown_sender_is_not_retried_after_a_day(connection: psycopg.Connection) -> None:
    sent(connection, 1)
    chat_events.save(connection, [said(1, sender="consumer")])
    connection.execute("update chat_events set received_at = now() - interval '25 hours'")
    process(connection)
    assert row(connection, 1)["processed_at"]
    assert chat_events.summary(connection).unknown_sender == 1


@pytest.fixture
def poisoned(connection: psycopg.Connection) -> None:
    """The database refuses to list this one number."""
    connection.execute("alter table suppressions add constraint poison check (number <> '+14155550132') not valid")


@pytest.mark.usefixtures("poisoned")
def test_an_event_that_fails_blocks_no_other_and_is_set_aside(connection: psycopg.Connection) -> None:
    sent(connection, 1)
    sent(connection, 2, "+14155550133")
    chat_events.save(connection, [said(1), said(2)])
    pauses = []
    for _ in range(chat_events.MAX_FAILURES):
        due_now(connection)
        process(connection)
        pauses.append(round(row(connection, 1)["pause"]))
    assert suppressed(connection) == ["+14155550133"]
    assert pauses == [1, 2, 4, 8, chat_events.SET_ASIDE_SECONDS]
    assert row(connection, 1)["problem"] == "CheckViolation while it was processed"
    assert chat_events.summary(connection).failed == 1

    connection.execute("alter table suppressions drop constraint poison")
    due_now(connection)
    process(connection)
    assert suppressed(connection) == [NUMBER, "+14155550133"]
    assert chat_events.summary(connection).failed == 0


def test_two_workers_share_the_events(pool: ConnectionPool, connection: psycopg.Connection) -> None:
    numbers = [f"+1415555{1000 + chat_id}" for chat_id in range(200)]
    for chat_id, number in enumerate(numbers):
        sent(connection, chat_id + 1, number)
    chat_events.save(connection, [one for chat_id in range(1, 201) for one in (said(chat_id), ended(chat_id))])

    def work() -> None:
        with pool.connection() as own:
            while chat_events.summary(own).waiting:  # one run has an end of its own
                process(own)

    workers = [threading.Thread(target=work) for _ in range(3)]
    for thread in workers:
        thread.start()
    for thread in workers:
        thread.join()
    assert sorted(number for (number,) in connection.execute("select number from suppressions")) == numbers
    assert connection.execute("select count(*) from chats where ended").fetchone() == (200,)
    assert chat_events.summary(connection).waiting == 0


def test_a_worker_that_dies_leaves_its_events_to_others(pool: ConnectionPool, connection: psycopg.Connection) -> None:
    sent(connection, 1)
    chat_events.save(connection, [said(1)])

    def die(dying: psycopg.Connection) -> None:
        with dying.transaction():
            [event] = chat_events.due(dying, 10)
            chat_events.processed(dying, [event.id])
            connection.execute("select pg_terminate_backend(%s)", [dying.info.backend_pid])
            dying.execute("select 1")

    with pool.connection() as dying, pytest.raises(psycopg.OperationalError):
        die(dying)
    process(connection)
    assert suppressed(connection) == [NUMBER]


def test_an_unreadable_event_is_kept_and_counted(connection: psycopg.Connection) -> None:
    chat_events.save(connection, [NewChatEvent(b"cut", AT, problem="it is not JSON", raw=b'{"event_ty')])
    process(connection)
    assert connection.execute("select raw, problem from chat_events").fetchall() == [(b'{"event_ty', "it is not JSON")]
    assert chat_events.summary(connection) == Summary(chat_events.summary(connection).received_at, unreadable=1)


def test_old_events_are_deleted(connection: psycopg.Connection) -> None:
    chat_events.save(connection, [said(1), said(2)])
    connection.execute("update chat_events set received_at = now() - interval '31 days' where chat_id = '1'")
    assert retention.keep(connection, 30) == retention.Erased(chat_events=1)
    assert connection.execute("select chat_id from chat_events").fetchall() == [("2",)]


def test_a_purge_empties_a_persons_events_and_hears_what_was_not_read(connection: psycopg.Connection) -> None:
    sent(connection, 1)
    sent(connection, 2, "+14155550133")
    chat_events.save(connection, [said(1, "my walrus"), said(2, "my walrus")])
    process(connection)
    erasure.purge(connection, NUMBER)
    assert [row(connection, chat)["body"] is None for chat in (1, 2)] == [True, False]
    assert suppressed(connection) == []

    chat_events.save(connection, [said(2, name="again")])
    erasure.purge(connection, "+14155550133")
    assert suppressed(connection) == ["+14155550133"]


def test_events_are_processed_in_the_order_in_which_they_occurred(connection: psycopg.Connection) -> None:
    sent(connection, 1)
    joined = NewChatEvent(b"j", AT - timedelta(seconds=5), "1", "participant_joined", {"type": "agent"})
    chat_events.save(connection, [ended(1)])
    process(connection)
    chat_events.save(connection, [joined])
    process(connection)
    assert connection.execute("select status from chats").fetchall() == [("ended",)]
