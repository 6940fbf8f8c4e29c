"""Pauses by an operator: each scope, at every moment of a text. Nothing is sent, and nothing is lost."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from psycopg_pool import ConnectionPool

from connector import pausing
from connector.delivery.backpressure import Backpressure
from connector.http.exchange import BeforeSend
from connector.model import Channel, Chat, Decision, OutboundSms, TextRequest, Ticket, TicketEvent
from connector.settings import Settings
from connector.store import circuit_breaker, events, pauses, sending_claims, text_views, texts
from connector.store.audit import Actor, Source
from connector.store.circuit_breaker import SendingPaused
from connector.store.jobs import Kind
from connector.store.pauses import Scope
from connector.store.sending_claims import Attempt
from tests.delivery.test_backfill_pause import BackFill
from tests.support.remote import Remote, queued

ALL, PLATFORM, CRM = (Scope.ALL, ""), (Scope.ACCOUNT, "ccaip"), (Scope.ACCOUNT, "salesforce")
SETTINGS, ACTOR = Settings(_env_file=None), Actor("ana", Source.CONSOLE)
BATCHES, RULE = (Scope.CHANNEL, "batch"), (Scope.RULE, "requested")


def decide(ticket: Ticket) -> Decision:
    sms = OutboundSms(f"+1415555{int(ticket.id):04d}", "+16285550199", "Hi", ticket.id)
    return Decision("requested", ticket.id, sms)


def saved(pool: ConnectionPool, channel: Channel, ticket: int = 1, send_at: str | None = None) -> int:
    request = None if channel is Channel.TRIGGER else TextRequest(rule="requested", send_at=send_at)
    event = TicketEvent("salesforce", f"{channel}{ticket}", f"{ticket:018d}", channel=channel, request=request)
    with pool.connection() as connection:
        [receipt] = events.save(connection, [event])
    assert receipt.text
    return receipt.text


def pause(pool: ConnectionPool, scope: Scope = Scope.ALL, name: str = "", ends_at: datetime | None = None) -> None:
    with pool.connection() as connection:
        pauses.pause(connection, scope, name, "a wrong message", "Ana", ends_at)


def resume(pool: ConnectionPool, scope: Scope = Scope.ALL, name: str = "") -> None:
    with pool.connection() as connection:
        assert pauses.resume(connection, scope, name)


def state(pool: ConnectionPool, text: int) -> tuple[str, str]:
    with pool.connection() as connection:
        story = text_views.story(connection, text)
    assert story
    return story.state, story.why


def test_a_paused_text_waits_and_is_sent_once_after_the_resume(pool: ConnectionPool) -> None:
    kinds = itertools.product((ALL, PLATFORM, CRM, RULE), (Channel.TRIGGER, Channel.BATCH))
    for number, (scope, channel) in enumerate(kinds):
        text, remote = saved(pool, channel, number), Remote(pool)
        pause(pool, *scope)

        assert remote.deliver(text, decide=decide) is not None
        assert (remote.sent, state(pool, text)[0] in ("received", "queued")) == ([], True)
        with pool.connection() as connection:
            [(attempts,)] = connection.execute("select attempts from texts where id = %s", [text]).fetchall()
        assert attempts == 0

        resume(pool, *scope)
        remote.deliver(text, decide=decide)
        remote.deliver(text, decide=decide)
        assert (len(remote.sent), state(pool, text)[0]) == (1, "sent")


def test_an_agents_text_fails_at_once_with_the_reason(pool: ConnectionPool) -> None:
    for number, scope in enumerate((ALL, PLATFORM, CRM, RULE)):
        text, remote = saved(pool, Channel.AGENT, number), Remote(pool)
        pause(pool, *scope)

        assert remote.deliver(text, decide=decide) is None

        assert remote.sent == []
        assert state(pool, text)[0] == "failed"
        assert "is paused by Ana: a wrong message" in state(pool, text)[1]
        resume(pool, *scope)


def test_an_agents_scheduled_text_waits(pool: ConnectionPool) -> None:
    """Nobody is there to see it fail."""
    for number, scope in enumerate((ALL, PLATFORM, CRM, RULE)):
        text, remote = saved(pool, Channel.AGENT, number, "2026-11-26T12:00:00Z"), Remote(pool)
        pause(pool, *scope)

        assert remote.deliver(text, decide=decide) is not None
        assert (remote.sent, state(pool, text)[0]) == ([], "received")

        resume(pool, *scope)
        remote.deliver(text, decide=decide)
        assert (len(remote.sent), state(pool, text)[0]) == (1, "sent")


def test_what_the_pause_does_not_cover_is_sent(pool: ConnectionPool) -> None:
    for scope in ((Scope.RULE, "another"), (Scope.ACCOUNT, "another"), BATCHES):
        pause(pool, *scope)
    ids = [saved(pool, channel, at) for at, channel in enumerate((Channel.AGENT, Channel.TRIGGER))]
    remote = Remote(pool)
    remote.deliver(*ids, decide=decide)
    assert len(remote.sent) == 2


def test_batches_are_paused_and_stay_in_the_queue(pool: ConnectionPool) -> None:
    text, remote = saved(pool, Channel.BATCH), Remote(pool)
    pause(pool, *BATCHES)
    assert remote.deliver(text, decide=decide) == pauses.POLL_SECONDS
    assert remote.sent == []
    with pool.connection() as connection:
        found = pauses.everything(connection)
    backpressure = Backpressure(500, ["salesforce"], found.by_account, found.batches)
    assert not backpressure.wants(Kind.DELIVER_BATCH, 0)
    assert all(backpressure.wants(kind, 0) for kind in Kind if kind is not Kind.DELIVER_BATCH)


def test_in_one_job_only_the_paused_texts_wait(pool: ConnectionPool) -> None:
    trigger, batch, remote = saved(pool, Channel.TRIGGER, 1), saved(pool, Channel.BATCH, 2), Remote(pool)
    pause(pool, *BATCHES)
    assert remote.deliver(trigger, batch, decide=decide) is not None
    assert [sms.ticket_id for sms in remote.sent] == [f"{1:018d}"]


def test_paused_between_decision_and_claim_nothing_is_sent(pool: ConnectionPool) -> None:
    text = saved(pool, Channel.TRIGGER)
    with pool.connection() as connection:
        queued(connection, {text: decide(Ticket("salesforce", f"{1:018d}", {}))})
        tries = [Attempt(text, texts.load(connection, [text])[text].revision, 1)]
    for scope in (ALL, PLATFORM, CRM, RULE, (Scope.CHANNEL, "trigger")):
        pause(pool, *scope)
        with pool.connection() as connection:
            answer = sending_claims.start_sending(connection, tries, 60)[1]
        assert isinstance(answer, SendingPaused)
        assert answer.by_operator
        assert state(pool, text)[0] == "queued"
        resume(pool, *scope)
    with pool.connection() as connection:
        assert isinstance(sending_claims.start_sending(connection, tries, 60)[1], int)


@pytest.mark.parametrize("channel", [Channel.TRIGGER, Channel.AGENT])
def test_paused_between_claim_and_call_of_a_worker_that_is_held_up_nothing_is_sent(
    pool: ConnectionPool, channel: Channel
) -> None:
    """The connection takes longer than the claim is old when pauses are looked for again."""
    text = saved(pool, channel)

    class HeldUp(Remote):
        clock_ahead = 0.0

        async def send(self, sms: OutboundSms, before_send: BeforeSend) -> Chat:
            pause(pool)
            self.clock_ahead = 1.0
            return await super().send(sms, before_send)

    remote = HeldUp(pool)
    clock = remote.clock
    remote.clock = lambda: clock() + remote.clock_ahead
    remote.deliver(text, decide=decide)

    assert (remote.sent, state(pool, text)[0]) == ([], "queued")
    with pool.connection() as connection:
        connection.execute("update texts set not_before = now()")
    remote.deliver(text, decide=decide)
    assert state(pool, text)[0] == ("failed" if channel is Channel.AGENT else "queued")
    assert remote.sent == []


def test_a_pause_with_an_end_ends_by_itself(pool: ConnectionPool) -> None:
    text, remote = saved(pool, Channel.TRIGGER), Remote(pool)
    pause(pool, ends_at=datetime.now(UTC) + timedelta(hours=1))
    remote.deliver(text, decide=decide)
    with pool.connection() as connection:
        connection.execute("update operator_pauses set ends_at = clock_timestamp()")
        assert pauses.current(connection) == []
        assert not pauses.resume(connection, Scope.ALL)
    remote.deliver(text, decide=decide)
    assert len(remote.sent) == 1


def test_a_second_pause_has_the_new_words_and_the_first_start(pool: ConnectionPool) -> None:
    with pool.connection() as connection:
        first = pauses.pause(connection, Scope.ALL, "", "first", "Ana")
        second = pauses.pause(connection, Scope.ALL, "", "second", "Ben")
        assert (second.why, second.paused_by, second.since) == ("second", "Ben", first.since)
        assert pauses.current(connection) == [second]


def test_a_probe_that_goes_through_does_not_end_an_operators_pause(pool: ConnectionPool) -> None:
    pause(pool)
    with pool.connection() as connection:
        circuit_breaker.trip(connection, circuit_breaker.PLATFORM, "SMS is not enabled")
        circuit_breaker.resume(connection, circuit_breaker.PLATFORM)
    text, remote = saved(pool, Channel.TRIGGER), Remote(pool)
    remote.deliver(text, decide=decide)
    assert remote.sent == []


@pytest.mark.parametrize("name", ["ccaip", "salesforce"])
def test_resuming_a_rule_that_has_an_accounts_name_leaves_the_account_stopped(pool: ConnectionPool, name: str) -> None:
    with pool.connection() as connection:
        circuit_breaker.trip(connection, name, "wrong credentials")
    pause(pool, Scope.RULE, name)

    found = pausing.resume(pool.connection, SETTINGS, ACTOR, Scope.RULE, name)

    assert (found.ended, found.accounts) == (True, [])
    with pool.connection() as connection:
        assert [one.account for one in circuit_breaker.status(connection) if one.tripped_at] == [name]
    assert found.tripped == ("wrong credentials" if name == "ccaip" else None)


def test_a_paused_rule_that_has_an_accounts_name_is_no_wider_pause(pool: ConnectionPool) -> None:
    pause(pool, Scope.RULE, "ccaip")
    pause(pool, *BATCHES)

    found = pausing.resume(pool.connection, SETTINGS, ACTOR, *BATCHES)

    assert found.wider == []
    assert [one.what for one in found.others] == ["sending for the rule ccaip"]


def test_the_feeder_takes_in_nothing_during_a_pause_and_goes_on_after_it(pool: ConnectionPool) -> None:
    fill = BackFill(pool)
    for scope in (ALL, CRM, BATCHES, RULE):
        pause(pool, *scope)
        assert fill.feed() == []
        assert fill.tally() == {"waiting": len(fill.tickets)}
        resume(pool, *scope)
    assert len(fill.feed()) == len(fill.tickets)
