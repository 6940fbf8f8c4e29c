"""What happens to a text, and to all of them, when a call goes wrong."""

import threading
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import psycopg
import pytest
from psycopg_pool import ConnectionPool

from connector import transitions
from connector.delivery.retry_policy import DIED
from connector.errors import CallFailed, OutcomeUnknown, RefusalCode, RefusalScope, Refused, Unavailable
from connector.model import Channel, Chat, Decision, OutboundSms, State, Ticket, TicketEvent
from connector.store import circuit_breaker, postgres, text_views, texts
from connector.store import events as event_store
from tests.support.remote import Remote, died, started

BUSY = Refused("Outbound SMS failed. Consumer is already in an active SMS session.", RefusalScope.BUSY)
NOT_FOUND = Refused("outbound_number is not found", RefusalScope.SETTINGS)


def decide(ticket: Ticket) -> Decision:
    return Decision("requested", ticket.id, OutboundSms("+14155550100", "+16285550199", "Hi", ticket.id))


def taken(pool: ConnectionPool, count: int = 1, channel: Channel = Channel.TRIGGER) -> list[int]:
    events = [
        TicketEvent("salesforce", f"{channel}{number}", f"{number:018d}", channel=channel) for number in range(count)
    ]
    with pool.connection() as connection:
        return [one.text for one in event_store.save(connection, events) if one.text]


def story(pool: ConnectionPool, text: int) -> dict[str, Any]:
    with pool.connection() as connection:
        found = text_views.story(connection, text)
    assert found
    return asdict(found)


def jobs(pool: ConnectionPool) -> list[tuple[str, float]]:
    """The kinds of the jobs that were added, and in how many seconds they are due."""
    with pool.connection() as connection:
        return connection.execute(
            "select entrypoint, extract(epoch from execute_after - now())::float8 from pgqueuer order by id"
        ).fetchall()


def raises(error: CallFailed) -> Callable[[OutboundSms], Chat]:
    def answer(_: OutboundSms) -> Chat:
        raise error

    return answer


def current_pause(pool: ConnectionPool) -> circuit_breaker.SendingPaused | None:
    with pool.connection() as connection:
        return circuit_breaker.current_pause(connection)


def early(pool: ConnectionPool) -> None:
    """Time passes: what was put off is due, what was held is over."""
    with pool.connection() as connection:
        connection.execute("update texts set not_before = now() - interval '1 second'")
        connection.execute("update sending_state set paused_until = now()")


def test_an_unknown_text_is_not_sent_again_by_itself(pool: ConnectionPool) -> None:
    [text] = taken(pool)
    remote = Remote(pool, raises(OutcomeUnknown("no answer")))
    remote.deliver(text, decide=decide)
    remote.deliver(text, decide=decide)
    assert (story(pool, text)["state"], len(remote.sent)) == ("unknown", 1)
    assert [kind for kind, _ in jobs(pool)] == ["deliver_trigger", "write_back"]


@pytest.mark.parametrize(
    ("second", "state", "why"),
    [
        (None, "sent", ""),
        (BUSY, "unknown", f"probably sent: a second try was refused ({BUSY})"),
        (
            Refused("end_user_number is invalid", RefusalScope.TICKET),
            "unknown",
            "unknown, and a second try sent nothing",
        ),
        (Unavailable("not reached"), "unknown", "unknown, and a second try sent nothing"),
        (OutcomeUnknown("no answer again"), "unknown", "no answer again"),
    ],
    ids=["sent", "busy", "refused", "unavailable", "unknown"],
)
def test_where_settings_say_so_an_unknown_text_gets_one_more_try_and_no_third(
    pool: ConnectionPool, second: CallFailed | None, state: str, why: str
) -> None:
    [text] = taken(pool)
    Remote(pool, raises(OutcomeUnknown("no answer"))).deliver(text, decide=decide, try_unknown_again=True)
    assert story(pool, text)["state"] == "unknown"
    _, (kind, due) = [job for job in jobs(pool) if job[0].startswith("deliver")]
    assert kind == "deliver_trigger"
    assert 40 < due < 80
    remote = Remote(pool, raises(second) if second else None)
    remote.deliver(text, try_unknown_again=True)
    assert remote.sent == [], "not before its time"
    early(pool)
    for _ in range(3):
        remote.deliver(text, try_unknown_again=True)
        early(pool)
    after = story(pool, text)
    assert len(remote.sent) == 1
    assert after["state"] == state
    assert after["why"].startswith(why)


@pytest.mark.parametrize(
    ("second", "stopped"), [(NOT_FOUND, True), (Unavailable("too many requests", 60.0), False)], ids=["wrong", "429"]
)
def test_the_one_more_try_of_an_unknown_text_closes_the_lane_like_any_other(
    pool: ConnectionPool, second: CallFailed, stopped: bool
) -> None:
    [text] = taken(pool)
    Remote(pool, raises(OutcomeUnknown("no answer"))).deliver(text, decide=decide, try_unknown_again=True)
    early(pool)
    Remote(pool, raises(second)).deliver(text, try_unknown_again=True)
    assert story(pool, text)["state"] == "unknown"
    with pool.connection() as connection:
        [status] = circuit_breaker.status(connection)
    assert bool(status.tripped_at) is stopped
    assert bool(status.paused_until) is not stopped


def test_a_worker_that_dies_in_the_second_try_leaves_it_unknown_for_good(pool: ConnectionPool) -> None:
    [text] = taken(pool)
    Remote(pool, raises(OutcomeUnknown("no answer"))).deliver(text, decide=decide, try_unknown_again=True)
    early(pool)
    with pool.connection() as connection:
        assert started(connection, text).keys() == {text}
    died(pool)
    remote = Remote(pool)
    for _ in range(2):
        remote.deliver(text, try_unknown_again=True)
        early(pool)
    assert (story(pool, text)["state"], story(pool, text)["why"]) == ("unknown", DIED)
    assert remote.sent == []


@pytest.mark.parametrize(("chat", "state"), [(4711, "sent"), (None, "failed")])
def test_a_person_settles_an_unknown_text_once(pool: ConnectionPool, chat: int | None, state: str) -> None:
    [text] = taken(pool)
    Remote(pool, raises(OutcomeUnknown("no answer"))).deliver(text, decide=decide)
    with pool.connection() as connection:
        assert text_views.resolve(connection, text, chat)
        assert not text_views.resolve(connection, text, chat)
        [reasons] = connection.execute("select count(*) from reasons").fetchone() or [0]
    after = story(pool, text)
    assert (after["state"], after["outcome"]) == (state, 2)
    assert (after["chat"] or {}).get("id") == chat
    assert reasons == (0 if chat is None else 1), "what was not sent may be sent for the same reason"


@pytest.mark.parametrize(
    ("channel", "state"), [(Channel.AGENT, "failed"), (Channel.TRIGGER, "queued"), (Channel.BATCH, "queued")]
)
def test_while_the_customer_is_busy_an_agent_is_told_and_others_wait(
    pool: ConnectionPool, channel: Channel, state: str
) -> None:
    [text] = taken(pool, channel=channel)
    Remote(pool, raises(BUSY)).deliver(text, decide=decide, busy_seconds=3600)
    after = story(pool, text)
    assert (after["state"], after["why"]) == (state, str(BUSY))
    if state == "queued":
        assert 40 < jobs(pool)[-1][1] < 80
        with pool.connection() as connection:
            connection.execute("update texts set busy_since = now() - interval '59 minutes'")
        early(pool)
        Remote(pool, raises(BUSY)).deliver(text, decide=decide, busy_seconds=3600)
        assert story(pool, text)["state"] == "failed", "the time is bounded"


def test_a_wrong_setting_stops_the_lane_and_burns_no_text(pool: ConnectionPool) -> None:
    many = taken(pool, 40)
    remote = Remote(pool, raises(NOT_FOUND))
    remote.deliver(*many, decide=decide)
    pause = current_pause(pool)
    assert pause
    assert str(NOT_FOUND) in str(pause)
    assert not pause.until_resumed, "it may still be the text's own fault"
    with pool.connection() as connection:
        circuit_breaker.probed(connection, circuit_breaker.PLATFORM)
    assert (pause := current_pause(pool))
    assert pause.until_resumed
    called = len(remote.sent)
    assert called <= 12, "as many as were under way"
    assert {story(pool, text)["state"] for text in many} == {"queued"}
    assert remote.deliver(*many, decide=decide) == circuit_breaker.PAUSE_POLL_SECONDS
    assert len(remote.sent) == called
    with pool.connection() as connection:
        assert circuit_breaker.resume(connection)
    remote.answer = lambda _: Chat(id=1)
    assert remote.deliver(*many, decide=decide) is None
    assert {story(pool, text)["state"] for text in many} == {"sent"}
    assert {story(pool, text)["attempts"] for text in many if "attempts" in story(pool, text)} <= {0}


@pytest.mark.parametrize("per_second", [0, 1000])
def test_an_agent_is_told_at_once_that_texting_is_stopped(pool: ConnectionPool, per_second: float) -> None:
    with pool.connection() as connection:
        circuit_breaker.trip(connection, circuit_breaker.PLATFORM, "SMS is not enabled")
    [text] = taken(pool, channel=Channel.AGENT)
    remote = Remote(pool)
    remote.deliver(text, decide=decide, per_second=per_second)
    after = story(pool, text)
    assert (after["state"], after["why"]) == ("failed", "sending is paused: SMS is not enabled")
    assert remote.sent == []


def test_several_in_a_row_that_are_not_of_the_us_are_the_outbound_numbers_fault(pool: ConnectionPool) -> None:
    many = taken(pool, 5)
    remote = Remote(
        pool, raises(Refused("Non-US phone number not allowed", RefusalScope.TICKET, RefusalCode.NON_US_NUMBER))
    )
    remote.deliver(*many, decide=decide)
    states = sorted(story(pool, text)["state"] for text in many)
    assert states == ["failed"] * 4 + ["queued"]
    with pool.connection() as connection:
        assert circuit_breaker.status(connection)[0].tripped_at


def test_too_many_requests_holds_everybody_for_as_long_as_the_platform_asks(pool: ConnectionPool) -> None:
    first, second = taken(pool, 2)
    Remote(pool, raises(Unavailable("slow down", 120))).deliver(first, decide=decide)
    other = Remote(pool)
    for per_second in (0, 1000):
        assert other.deliver(second, decide=decide, per_second=per_second) == circuit_breaker.PAUSE_POLL_SECONDS
    assert other.sent == []
    assert story(pool, first)["state"] == "queued"
    with pool.connection() as connection:
        [status] = circuit_breaker.status(connection)
        assert status.paused_until
        assert 110 < (status.paused_until - postgres.now(connection)).total_seconds() <= 120


def test_a_pause_that_is_lifted_is_over_for_all_texts(pool: ConnectionPool) -> None:
    """Nothing of it is written into texts or jobs."""
    first, second = taken(pool, 2)
    Remote(pool, raises(Unavailable("slow down", 3600))).deliver(first, decide=decide)
    with pool.connection() as connection:
        assert circuit_breaker.resume(connection) == [circuit_breaker.PLATFORM]
    remote = Remote(pool)
    remote.deliver(first, second, decide=decide)
    assert {story(pool, text)["state"] for text in (first, second)} == {"sent"}
    assert max(due for _, due in jobs(pool)) <= 0


def test_an_outage_of_the_platform_is_no_texts_fault_however_long_it_is(pool: ConnectionPool) -> None:
    [text] = taken(pool)
    remote = Remote(pool, raises(Unavailable("not reached")))
    for _ in range(30):
        remote.deliver(text, decide=decide)
        assert (pause := current_pause(pool))
        assert not pause.until_resumed
        early(pool)
    after = story(pool, text)
    assert (after["state"], len(remote.sent)) == ("queued", 30)
    with pool.connection() as connection:
        assert texts.load(connection, [text])[text].attempts == 0


def test_a_text_that_alone_cannot_be_sent_while_others_are_is_given_up_in_the_end(pool: ConnectionPool) -> None:
    odd, *others = taken(pool, 40)
    remote = Remote(pool)

    def answer(sms: OutboundSms) -> Chat:
        if sms.ticket_id == f"{0:018d}":
            raise Unavailable("not reached")
        return Chat(id=len(remote.sent))

    remote.answer = answer
    tries = 0
    while story(pool, odd)["state"] in ("received", "queued"):
        early(pool)
        remote.deliver(odd, decide=decide)
        tries += 1
        early(pool)
        remote.deliver(others.pop(), decide=decide)
    assert (story(pool, odd)["state"], tries) == ("failed", 14), "the first one told nothing about it"


def test_a_text_that_alone_is_refused_as_by_a_wrong_setting_fails_alone_and_stops_the_others_once(
    pool: ConnectionPool,
) -> None:
    """A firewall that does not like its words, say: the probe passes, and so does everybody else."""
    odd, *others = taken(pool, 10)
    remote, stops = Remote(pool), 0

    def answer(sms: OutboundSms) -> Chat:
        if sms.ticket_id == f"{0:018d}":
            raise Refused("Forbidden", RefusalScope.SETTINGS)
        return Chat(id=len(remote.sent))

    remote.answer = answer
    while story(pool, odd)["state"] in ("received", "queued"):
        early(pool)
        remote.deliver(odd, decide=decide)
        if current_pause(pool):
            stops += 1
            with pool.connection() as connection:
                circuit_breaker.resume(connection)
        remote.deliver(others.pop(), decide=decide)
    after = story(pool, odd)
    assert (after["state"], after["why"], stops) == ("failed", "Forbidden", 1)
    assert len([sms for sms in remote.sent if sms.ticket_id == f"{0:018d}"]) == 3


def test_a_setting_that_no_probe_finds_is_still_no_texts_fault(pool: ConnectionPool) -> None:
    """Every text is refused, the probe passes each time: all of them wait, however often it comes round."""
    many = taken(pool, 3)
    remote = Remote(pool, raises(NOT_FOUND))
    for turn in range(12):
        early(pool)
        remote.deliver(many[turn % 3], decide=decide)
        with pool.connection() as connection:
            circuit_breaker.resume(connection)
    assert {story(pool, text)["state"] for text in many} == {"queued"}


def test_a_shorter_pause_does_not_end_a_longer_one_and_a_pause_does_not_resume(pool: ConnectionPool) -> None:
    with pool.connection() as connection:
        circuit_breaker.pause(connection, circuit_breaker.PLATFORM, "slow down", 500)
        circuit_breaker.pause(connection, circuit_breaker.PLATFORM, "slow down", 5)
        [status] = circuit_breaker.status(connection)
        assert status.paused_until
        assert (status.paused_until - postgres.now(connection)).total_seconds() == pytest.approx(500, abs=5)
        assert circuit_breaker.trip(connection, circuit_breaker.PLATFORM, "first")
        assert not circuit_breaker.trip(connection, circuit_breaker.PLATFORM, "second")
        assert circuit_breaker.status(connection)[0].tripped_why == "first"
        assert circuit_breaker.resume(connection) == [circuit_breaker.PLATFORM]
        assert circuit_breaker.resume(connection) == []
        assert circuit_breaker.current_pause(connection) is None


def test_pauses_that_nobody_asked_for_grow_while_nothing_passes(pool: ConnectionPool) -> None:
    lengths = []
    with pool.connection() as connection:
        for _ in range(9):
            circuit_breaker.pause(connection, "salesforce", "away")
            circuit_breaker.pause(connection, "salesforce", "away")  # those that meet it at once are one
            [status] = circuit_breaker.status(connection)
            assert status.paused_until
            lengths.append((status.paused_until - postgres.now(connection)).total_seconds())
            connection.execute("update sending_state set paused_until = now()")
        assert [0.7 < length < 1.3 for length in lengths] == [True] + [False] * 8
        assert 40 < lengths[-1] < 80
        circuit_breaker.passed(connection, ["salesforce"])
        circuit_breaker.pause(connection, "salesforce", "away")
        [status] = circuit_breaker.status(connection)
        assert status.paused_until
        assert (status.paused_until - postgres.now(connection)).total_seconds() < 1.3


def test_what_is_stopped_again_and_again_is_probed_less_soon_until_something_passes(pool: ConnectionPool) -> None:
    def next_probe(connection: psycopg.Connection) -> float:
        circuit_breaker.resume(connection)
        circuit_breaker.trip(connection, circuit_breaker.PLATFORM, "wrong")
        [status] = circuit_breaker.status(connection)
        assert status.probe_at
        return (status.probe_at - postgres.now(connection)).total_seconds()

    with pool.connection() as connection:
        first, second, third = (next_probe(connection) for _ in range(3))
        assert 1.4 < first < 2.8 < second < 5.6 < third < 11
        circuit_breaker.passed(connection, [circuit_breaker.PLATFORM])
        assert next_probe(connection) < 2.8


def test_an_error_of_our_own_leaves_no_text_in_sending(pool: ConnectionPool) -> None:
    [text] = taken(pool)

    def answer(_: OutboundSms) -> Chat:
        raise ZeroDivisionError

    Remote(pool, answer).deliver(text, decide=decide)
    assert (story(pool, text)["state"], story(pool, text)["why"]) == (
        "unknown",
        "an error of the connector's own (ZeroDivisionError)",
    )


def test_an_outcome_outlives_a_database_that_is_away_for_a_while(pool: ConnectionPool, server: str) -> None:
    """All connections are cut while the call is under way, and none can be made for two seconds."""
    [text] = taken(pool)
    name = psycopg.conninfo.conninfo_to_dict(str(pool.conninfo))["dbname"]

    def allow(allowed: bool) -> None:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f'alter database "{name}" allow_connections {"true" if allowed else "false"}')
            connection.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", [name])

    timer = threading.Timer(2, allow, [True])

    def answer(_: OutboundSms) -> Chat:
        allow(False)
        timer.start()
        return Chat(id=114, status="selecting")

    remote = Remote(pool, answer)
    remote.deliver(text, decide=decide)
    timer.join()
    assert (story(pool, text)["state"], len(remote.sent)) == ("sent", 1)


def test_one_who_was_cut_off_in_the_middle_of_a_send_corrects_what_another_has_given_up(pool: ConnectionPool) -> None:
    [text] = taken(pool)

    def answer(_: OutboundSms) -> Chat:
        Remote(pool).deliver(text)  # another worker finds it in `sending`
        assert story(pool, text)["state"] == "sending", "and leaves it to its owner, who may be alive"
        died(pool)
        assert story(pool, text)["state"] == "unknown"
        return Chat(id=114, status="selecting")

    remote = Remote(pool, answer)
    remote.deliver(text, decide=decide)
    after = story(pool, text)
    assert (after["state"], after["chat"]["id"], len(remote.sent)) == ("sent", 114, 1)
    assert [step["to_state"] for step in after["history"]] == ["queued", "sending", "unknown", "sent"]


def test_texts_wait_for_their_turn_and_all_of_them_are_sent_once(pool: ConnectionPool) -> None:
    many = taken(pool, 120)
    remote = Remote(pool)
    remote.deliver(*many, *many, decide=decide)
    assert sorted(sms.ticket_id for sms in remote.sent) == [f"{number:018d}" for number in range(120)]
    assert {State(story(pool, text)["state"]) for text in many} == {State.SENT}


def test_steps_say_where_they_may_come_from() -> None:
    assert transitions.found(1, Chat(id=2), "").from_states == (State.UNKNOWN,)
    assert transitions.not_sent(1, "").from_states == (State.UNKNOWN,)
    assert transitions.failed(1, "").from_states == (State.RECEIVED, State.QUEUED)
    assert transitions.refused(1, 1, "").from_states == (State.SENDING,)


def test_a_refusal_that_means_opted_out_is_the_last_text_to_the_number(pool: ConnectionPool) -> None:
    first, second = taken(pool, 2)
    refusal = Refused("Customer has opted out", RefusalScope.TICKET, RefusalCode.OPTED_OUT)
    remote = Remote(pool, raises(refusal))

    remote.deliver(first, decide=decide)
    remote.deliver(second, decide=decide)

    assert (story(pool, first)["state"], story(pool, first)["why"]) == ("failed", "Customer has opted out")
    assert story(pool, second)["state"] == "skipped"
    assert "has opted out or is blocked there" in story(pool, second)["why"]
    assert len(remote.sent) == 1
