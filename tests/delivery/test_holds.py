"""What a ticket is to show while its text waits: quiet hours, a busy customer, a pause. Once for each wait."""

from datetime import UTC, datetime

import pytest
from psycopg_pool import ConnectionPool

from connector.errors import RefusalCode, RefusalScope, Refused
from connector.model import Channel, Chat, Decision, OutboundSms, Recipient, Ticket
from connector.outcome import Hold
from connector.policy.checks import Policy
from connector.policy.config import PolicyKeys
from connector.store import held_notes, opt_outs
from connector.store.opt_outs import Heard
from tests.delivery.test_operator_pauses import pause, saved
from tests.support.remote import Remote

TELL, NUMBER = ["salesforce"], "+12125550187"
NIGHT = datetime(2026, 6, 3, 3, tzinfo=UTC)  # 23:00 of June 2nd in New York


def decide(ticket: Ticket) -> Decision:
    sms = OutboundSms(NUMBER, "+16285550199", "Hi", ticket.id)
    return Decision("requested", ticket.id, sms, Recipient(zone="America/New_York"))


def holds(pool: ConnectionPool, text: int) -> list[tuple[int, Hold]]:
    """The hold that the ticket does not show yet, with its version; marked as written."""
    with pool.connection() as connection:
        notes = held_notes.pending(connection, [text])
        held_notes.end(connection, notes)
    return [(note.version, note.hold) for note in notes]


def again(pool: ConnectionPool) -> None:
    with pool.connection() as connection:
        connection.execute("update texts set not_before = now() where not_before > now()")


def test_quiet_hours_are_shown_once_by_the_recipients_clock(pool: ConnectionPool) -> None:
    text, remote = saved(pool, Channel.BATCH), Remote(pool)
    for expected in ([(1, "2026-06-03 08:00, America/New_York")], []):
        policy = Policy(PolicyKeys(), frozenset({"window"}))
        remote.deliver(text, decide=decide, policy=policy, clock=lambda _: NIGHT, notify_holds=TELL)
        assert [(version, hold.until) for version, hold in holds(pool, text)] == expected
        again(pool)
    assert remote.sent == []


def test_a_decision_on_an_opt_out_is_shown_once_without_a_time(pool: ConnectionPool) -> None:
    text, remote = saved(pool, Channel.BATCH), Remote(pool)
    with pool.connection() as connection:
        assert opt_outs.heard(connection, "9", "take me off your list", NIGHT, number=NUMBER) is Heard.REVIEW
    for expected in ([(1, "")], []):
        policy = Policy(PolicyKeys(), frozenset({"window"}))
        remote.deliver(text, decide=decide, policy=policy, clock=lambda _: NIGHT, notify_holds=TELL)
        assert [(version, hold.until) for version, hold in holds(pool, text)] == expected
        again(pool)
    assert remote.sent == []


def busy(_: OutboundSms) -> Chat:
    raise Refused("active SMS session", RefusalScope.BUSY, RefusalCode.CUSTOMER_BUSY)


def test_a_busy_customer_is_shown_once_whatever_the_tries(pool: ConnectionPool) -> None:
    text, remote = saved(pool, Channel.BATCH), Remote(pool, busy)
    for expected in ([(1, Hold("the customer is in another chat"))], [], []):
        remote.deliver(text, decide=decide, busy_seconds=10_000, notify_holds=TELL)
        assert holds(pool, text) == expected
        again(pool)
    assert len(remote.sent) == 3


def test_a_pause_after_the_decision_is_shown_with_its_end(pool: ConnectionPool) -> None:
    text, remote = saved(pool, Channel.BATCH), Remote(pool, busy)
    remote.deliver(text, decide=decide, busy_seconds=10_000, notify_holds=TELL)
    holds(pool, text)
    again(pool)
    pause(pool, ends_at=datetime(2099, 1, 1, 13, tzinfo=UTC))
    for expected in ([(2, "2099-01-01 13:00, UTC")], []):
        remote.deliver(text, decide=decide, notify_holds=TELL)
        assert [(version, hold.until) for version, hold in holds(pool, text)] == expected


def test_an_agents_scheduled_text_is_shown_to_wait(pool: ConnectionPool) -> None:
    text, remote = saved(pool, Channel.AGENT, send_at="2026-11-26T12:00:00Z"), Remote(pool, busy)
    remote.deliver(text, decide=decide, busy_seconds=10_000, notify_holds=TELL)
    assert holds(pool, text) == [(1, Hold("the customer is in another chat"))]
    again(pool)
    pause(pool)
    remote.deliver(text, decide=decide, notify_holds=TELL)
    assert [version for version, _ in holds(pool, text)] == [2]


@pytest.mark.parametrize("channel", [Channel.AGENT, Channel.BATCH])
def test_nothing_is_shown_where_the_mapping_does_not_ask_or_a_person_waits(
    pool: ConnectionPool, channel: Channel
) -> None:
    text = saved(pool, channel)
    Remote(pool, busy).deliver(text, decide=decide, notify_holds=TELL if channel is Channel.AGENT else [])
    assert holds(pool, text) == []
