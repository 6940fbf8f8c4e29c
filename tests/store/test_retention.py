"""What leaves after its retention, what stays, and what happens when one person is to be forgotten."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from psycopg_pool import ConnectionPool

from connector import transitions
from connector.model import Channel, Chat, Decision, OutboundSms, TextRequest, TicketEvent
from connector.store import api_keys, erasure, events, outcomes, retention, texts
from connector.store.events import EventReceipt
from connector.store.jobs import Kind
from connector.store.outcomes import WriteResult
from tests.support.remote import queued, started

NUMBER = "+14155550132"


def case(number: int) -> str:
    return f"{number:018d}"


def event(number: int) -> TicketEvent:
    return TicketEvent("salesforce", f"e{number}", case(number), body={"Id": case(number), "Phone": "(415) 555-0132"})


def decision(number: int, to: str = NUMBER) -> Decision:
    return Decision("requested", f"r{number}", OutboundSms(to, "+16285550199", "Hi Ada", case(number)))


@pytest.fixture
def connection(pool: ConnectionPool) -> Iterator[psycopg.Connection]:
    with pool.connection() as connection:
        yield connection


def sent(connection: psycopg.Connection, number: int, to: str = NUMBER) -> int:
    """A text that was sent and told."""
    [one] = events.save(connection, [event(number)])
    assert one.text
    queued(connection, {one.text: decision(number, to)})
    claim = started(connection, one.text)[one.text]
    texts.move(connection, [transitions.sent(one.text, claim, Chat(id=number))])
    outcomes.record(connection, [WriteResult(one.text, 1)])
    return one.text


def age(connection: psycopg.Connection, days: int) -> None:
    connection.execute("update texts set changed_at = changed_at - %s * interval '1 day'", [days])
    connection.execute("update events set received_at = received_at - %s * interval '1 day'", [days])
    connection.execute("update pgqueuer_log set created = created - %s * interval '1 day'", [days])


def unreadable(raw: bytes) -> TicketEvent:
    return TicketEvent("salesforce", "odd", None, problem="not XML", raw=raw)


def bodies(connection: psycopg.Connection) -> int:
    row = connection.execute("select count(*) from events where body is not null or raw is not null").fetchone()
    return row[0] if row else -1


def messages(connection: psycopg.Connection) -> int:
    row = connection.execute("select count(*) from texts where sms is not null").fetchone()
    return row[0] if row else -1


def test_bodies_and_messages_leave_and_the_keys_stay(connection: psycopg.Connection) -> None:
    text = sent(connection, 1)
    events.save(connection, [unreadable(b"<odd/>")])
    age(connection, 31)
    sent(connection, 2)
    assert retention.keep(connection, 30) == retention.Erased(events=2, texts=1, queue_log=2)
    assert retention.keep(connection, 30) == retention.Erased()
    assert (bodies(connection), messages(connection)) == (1, 1)
    assert events.save(connection, [event(1)]) == [EventReceipt("e1", text, True)]
    [again] = events.save(connection, [TicketEvent("salesforce", "new", case(1))])
    assert again.text
    assert queued(connection, {again.text: decision(1)}) == {again.text: text}


def test_what_is_not_over_or_not_told_or_unknown_is_kept(connection: psycopg.Connection) -> None:
    taken = events.save(connection, [event(number) for number in (1, 2, 3)])
    waiting, unknown, untold = (one.text or 0 for one in taken)
    queued(connection, {text: decision(text) for text in (waiting, unknown, untold)})
    claims = started(connection, unknown, untold)
    texts.move(
        connection,
        [
            transitions.unknown(unknown, claims[unknown], "no answer"),
            transitions.sent(untold, claims[untold], Chat(id=1)),
        ],
    )
    outcomes.record(connection, [WriteResult(unknown, 1)])
    age(connection, 400)
    retention.keep(connection, 30)
    assert messages(connection) == 3
    assert bodies(connection) == 1, "the event of the text that waits"


def test_zero_days_keep_everything(connection: psycopg.Connection) -> None:
    sent(connection, 1)
    age(connection, 4000)
    assert retention.keep(connection, 0) == retention.Erased(queue_log=1 + 1)
    assert (bodies(connection), messages(connection)) == (1, 1)


def test_one_person_is_erased_and_nobody_else(connection: psycopg.Connection) -> None:
    gone, stays = sent(connection, 1), sent(connection, 2, "+14155550199")
    connection.execute("update events set body = '{\"Phone\": \"415-555-0199\"}' where event_id = 'e2'")
    events.save(connection, [unreadable(b"<odd>+1 (415) 555-0132")])
    [waits] = events.save(connection, [event(3)])
    assert waits.text
    queued(connection, {waits.text: decision(3)})
    assert erasure.purge(connection, NUMBER) == erasure.Erased(events=3, texts=2)
    left = connection.execute("select id, state, sms is null as empty, outcome from texts order by id").fetchall()
    assert left == [(gone, "sent", True, 1), (stays, "sent", False, 1), (waits.text, "cancelled", True, 1)]
    assert bodies(connection) == 1
    rows = connection.execute("select entrypoint from pgqueuer order by id desc limit 1").fetchall()
    assert rows == [(Kind.WRITE_BACK,)], "the ticket of the cancelled text is told"
    dump = str(connection.execute("select texts.*, events.* from texts join events on events.id = event").fetchall())
    assert "5550132" not in dump.replace("-", "").replace(" ", "")


def test_who_used_the_api_is_forgotten_whatever_the_retention(connection: psycopg.Connection) -> None:
    """A caller may be a person, by name and address; the count of a minute is worth nothing after it."""
    for caller in ("salesforce:maya@example.com", "key:site"):
        api_keys.use(connection, caller)
    connection.execute("update api_use set minute = minute - interval '2 days' where caller like 'salesforce:%%'", [])
    assert retention.keep(connection, 0) == retention.Erased(use=1)
    assert connection.execute("select caller from api_use").fetchall() == [("key:site",)]


def test_words_of_texts_without_a_number_leave_too(connection: psycopg.Connection) -> None:
    """A text that was skipped or cancelled keeps the name of whoever did it, in its row and in its history."""
    [one] = events.save(connection, [event(1)])
    assert one.text
    texts.move(connection, [transitions.cancelled(one.text, "cancelled by Maya Lindgren")])
    outcomes.record(connection, [WriteResult(one.text, 1, refused="Maya may not")])
    age(connection, 31)
    assert retention.keep(connection, 30).texts == 1
    left = connection.execute("select text, history from texts left join history on history.text = texts.id").fetchall()
    assert "Maya" not in str(left)


def test_a_job_that_the_queue_has_given_up_is_done_after_all(connection: psycopg.Connection) -> None:
    events.save(connection, [event(1)])
    connection.execute("update pgqueuer set status = 'failed'")
    retention.requeue(connection)
    assert connection.execute("select status::text from pgqueuer").fetchall() == [("queued",)]


def test_a_scheduled_text_keeps_its_time_when_the_clock_is_set_back(connection: psycopg.Connection) -> None:
    at = datetime.now(UTC) + timedelta(days=2)
    request = TextRequest(message="Later", send_at=at.isoformat())
    [saved] = events.save(connection, [TicketEvent("salesforce", "a", case(1), channel=Channel.AGENT, request=request)])
    assert saved.after == pytest.approx(2 * 86_400, abs=5)
    connection.execute("update texts set changed_at = now() + interval '1 hour'")
    retention.requeue(connection)
    assert connection.execute("select not_before from texts").fetchone() == (at,)


def test_the_words_of_a_scheduled_text_are_kept_until_it_has_ended(connection: psycopg.Connection) -> None:
    request = TextRequest(message="Later", send_at=(datetime.now(UTC) + timedelta(days=2)).isoformat())
    [saved] = events.save(connection, [TicketEvent("salesforce", "a", case(1), channel=Channel.AGENT, request=request)])
    age(connection, 31)
    retention.keep(connection, 30)
    assert texts.load(connection, [saved.text or 0])[saved.text or 0].request == request
