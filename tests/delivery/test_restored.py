"""What waits in a restored database may have been sent since the backup: it is not sent again."""

import uuid
from datetime import timedelta

import psycopg
import pytest
from psycopg_pool import ConnectionPool

from connector.model import Channel, Decision, OutboundSms, Skip, TextRequest, TicketEvent
from connector.store import circuit_breaker, events, installation, postgres, text_views
from connector.store import texts as text_store
from connector.store.installation import Marked
from tests.support.remote import Remote, queued, try_to_start

NUMBER, OUTBOUND = "+14155550132", "+16285550199"


def decision(ticket: str) -> Decision:
    return Decision("requested", ticket, OutboundSms(NUMBER, OUTBOUND, "Hi", ticket))


def saved(connection: psycopg.Connection, channel: Channel = Channel.TRIGGER, ticket: str = "ticket") -> int:
    request = TextRequest() if channel is Channel.AGENT else None
    [receipt] = events.save(
        connection, [TicketEvent("salesforce", uuid.uuid4().hex, ticket, channel=channel, request=request)]
    )
    assert receipt.text
    return receipt.text


def restore(connection: psycopg.Connection, url: str) -> None:
    """The next worker finds itself in a database that another server made."""
    installation.check(url)
    connection.execute("update installation set identity = 'another'")
    installation.check(url)


def state(pool: ConnectionPool, text: int) -> str:
    with pool.connection() as connection:
        return text_store.load(connection, [text])[text].state


@pytest.mark.parametrize("decided", [False, True], ids=["received", "queued"])
def test_a_text_that_waited_becomes_unknown_once_sending_is_resumed(
    pool: ConnectionPool, url: str, decided: bool
) -> None:
    """Its reason is its own, so that another request for it texts nobody."""
    with pool.connection() as connection:
        text = saved(connection)
        if decided:
            queued(connection, {text: decision("ticket")})
        restore(connection, url)
        remote = Remote(pool)

        assert remote.deliver(text, decide=lambda _: decision("ticket")) is not None, "it waits for the operator's word"
        assert state(pool, text) == ("queued" if decided else "received")
        circuit_breaker.resume(connection)
        remote.deliver(text, decide=lambda _: decision("ticket"))
        again = saved(connection)
        remote.deliver(again, decide=lambda _: decision("ticket"))

    assert remote.sent == []
    assert (state(pool, text), state(pool, again)) == ("unknown", "skipped")


def test_a_newer_text_of_its_ticket_is_decided_after_it(pool: ConnectionPool, url: str) -> None:
    """Else the newer one would have the reason, and be the second text for it."""
    with pool.connection() as connection:
        text = saved(connection)
        restore(connection, url)
        newer = saved(connection)
        remote = Remote(pool)

        assert remote.deliver(newer, decide=lambda _: decision("ticket")) is not None, "sending is paused"
        circuit_breaker.resume(connection)
        assert remote.deliver(newer, decide=lambda _: decision("ticket")) is not None, "the other is not decided yet"
        agents = saved(connection, Channel.AGENT)
        assert remote.deliver(agents, decide=lambda _: decision("ticket")) is None
        for one in (text, newer):
            assert remote.deliver(one, decide=lambda _: decision("ticket")) is None

    assert remote.sent == []
    assert (state(pool, text), state(pool, newer), state(pool, agents)) == ("unknown", "skipped", "failed")


def test_texts_of_other_tickets_do_not_wait_for_it(pool: ConnectionPool, url: str) -> None:
    with pool.connection() as connection:
        saved(connection)
        restore(connection, url)
        circuit_breaker.resume(connection)
        other = saved(connection, ticket="another")
        remote = Remote(pool)
        assert remote.deliver(other, decide=lambda _: decision("another")) is None
    assert state(pool, other) == "sent"


def test_it_is_not_sent_by_a_worker_that_had_read_it_before(pool: ConnectionPool, url: str) -> None:
    """The statement that begins a call refuses it, whatever the worker knows."""
    with pool.connection() as connection:
        text = saved(connection)
        queued(connection, {text: decision("ticket")})
        restore(connection, url)
        circuit_breaker.resume(connection)
        assert try_to_start(connection, text) == {}


def test_an_operator_who_knows_that_nothing_was_sent_lets_it_leave(pool: ConnectionPool, url: str) -> None:
    with pool.connection() as connection:
        text = saved(connection)
        restore(connection, url)
        assert installation.marked(connection) == Marked(texts=1, cases=0)
        installation.trust(connection)
        circuit_breaker.resume(connection)
        remote = Remote(pool)
        remote.deliver(text, decide=lambda _: decision("ticket"))
    assert len(remote.sent) == 1
    assert state(pool, text) == "sent"


def test_an_agents_text_is_not_said_to_have_failed(pool: ConnectionPool, url: str) -> None:
    """Others fail while sending is paused, because a person waits. This one may have been sent."""
    with pool.connection() as connection:
        text = saved(connection, Channel.AGENT)
        restore(connection, url)
        later = saved(connection, Channel.AGENT)
        remote = Remote(pool)
        for one in (text, later):
            remote.deliver(one, decide=lambda _: decision("ticket"))
    assert (state(pool, text), state(pool, later)) == ("received", "failed")


def test_a_ticket_that_asks_for_no_text_any_more_gets_none(pool: ConnectionPool, url: str) -> None:
    with pool.connection() as connection:
        text = saved(connection)
        restore(connection, url)
        circuit_breaker.resume(connection)
        Remote(pool).deliver(text, decide=lambda _: Skip("no rule matches", notify=False, check="rule"))
    assert state(pool, text) == "skipped"


def test_a_text_that_was_not_due_yet_is_sent_in_time(pool: ConnectionPool, url: str) -> None:
    with pool.connection() as connection:
        text = saved(connection)
        connection.execute("update texts set not_before = now() + interval '1 hour' where id = %s", [text])
        restore(connection, url)
        assert circuit_breaker.current_pause(connection), "a person has to look all the same"
        assert installation.marked(connection) == Marked(0, 0)
        circuit_breaker.resume(connection)
        connection.execute("update texts set not_before = now() where id = %s", [text])
        remote = Remote(pool)
        remote.deliver(text, decide=lambda _: decision("ticket"))
    assert len(remote.sent) == 1


def test_an_unknown_text_has_no_second_try(pool: ConnectionPool, url: str) -> None:
    with pool.connection() as connection:
        text = saved(connection)
        queued(connection, {text: decision("ticket")})
        connection.execute("update texts set state = 'unknown', not_before = now() where id = %s", [text])
        restore(connection, url)
        circuit_breaker.resume(connection)
        remote = Remote(pool)
        remote.deliver(text)
    assert remote.sent == []


def test_a_back_fills_cases_are_skipped_unless_nothing_was_sent(pool: ConnectionPool, url: str) -> None:
    cases = "select count(*) from plan_cases where skip is null"
    with pool.connection() as connection:
        connection.execute(
            "insert into plans (id, crm, query, request, state) values ('p', 'salesforce', '{}', '{}', 'running'),"
            " ('over', 'salesforce', '{}', '{}', 'done')"
        )
        connection.execute("insert into plan_cases (plan, position, ticket_id) values ('p', 1, 'a'), ('over', 1, 'b')")
        restore(connection, url)
        assert installation.marked(connection) == Marked(texts=0, cases=1)
        assert connection.execute(cases).fetchall() == [(1,)]
        installation.trust(connection)
        assert connection.execute(cases).fetchall() == [(2,)]


def test_its_chat_is_searched_for_since_its_last_step_before_the_restore(pool: ConnectionPool, url: str) -> None:
    with pool.connection() as connection:
        text = saved(connection)
        queued(connection, {text: decision("ticket")})
        connection.execute("update history set at = now() - interval '2 hours' where text = %s", [text])
        restore(connection, url)
        circuit_breaker.resume(connection)
        Remote(pool).deliver(text)
        now = postgres.now(connection)
        [unknown] = text_views.unknown_since(connection, now - timedelta(days=1))
    assert unknown.called_at
    assert timedelta(hours=1, minutes=59) < now - unknown.called_at < timedelta(hours=2, minutes=1)
