"""The requests-a-second promise, kept in the database for all."""

import itertools
import time
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg_pool import ConnectionPool

from connector.model import Channel, TicketEvent
from connector.store import circuit_breaker, events, jobs, rate_limit, waiting_senders
from connector.store.jobs import Kind
from connector.store.rate_limit import Grant, Rates


def grant(pool: ConnectionPool, count: int = 1, per_second: float = 10, share: float = 0.5, **more: bool) -> Grant:
    with pool.connection() as connection:
        return rate_limit.reserve(connection, Rates.of(per_second, share), count, **more)


def reserve(pool: ConnectionPool, count: int = 1, per_second: float = 10, **more: bool) -> list[float]:
    """Seconds from now until each of these slots."""
    return [at - time.monotonic() for at in grant(pool, count, per_second, **more).slots]


@given(
    per_second=st.sampled_from([0.5, 1, 3, 10, 12.5, 30]),
    delays=st.lists(st.floats(0, rate_limit.LATE + 0.0199), min_size=60, max_size=200),
)
def test_no_second_holds_more_than_the_limit_however_late_each_leaves(per_second: float, delays: list[float]) -> None:
    """Twenty milliseconds are what the way adds to one request and not to another."""
    most, apart = max(int(per_second), 1), rate_limit.spacing(per_second)
    left = sorted(number * apart + late for number, late in enumerate(delays))
    for first, beyond in zip(left, left[most:], strict=False):
        assert beyond - first >= max(1, 1 / per_second)


def test_the_limit_is_filled() -> None:
    assert 580 <= 60 / rate_limit.spacing(10) <= 600


def test_slots_are_evenly_apart_whoever_asks(pool: ConnectionPool) -> None:
    begin = time.monotonic()
    with ThreadPoolExecutor(4) as threads:
        found = threads.map(lambda _: grant(pool).slots[0], range(40))
    at = sorted(found)
    assert at[0] - begin >= rate_limit.SOON
    for before, after in itertools.pairwise(at):
        assert after - before == pytest.approx(rate_limit.spacing(10), abs=0.05)
    assert at[-1] - at[0] == pytest.approx(39 * rate_limit.spacing(10), abs=0.05)


def test_what_was_not_used_is_not_saved(pool: ConnectionPool) -> None:
    with pool.connection() as connection:
        connection.execute("insert into sending_state (account, next_at) values ('ccaip', now() - interval '1 hour')")
    waits = [reserve(pool)[0] for _ in range(3)]
    assert waits[0] == pytest.approx(rate_limit.SOON, abs=0.02)
    assert waits[2] == pytest.approx(rate_limit.SOON + 2 * rate_limit.spacing(10), abs=0.05)


def test_several_slots_are_as_far_apart_as_single_ones(pool: ConnectionPool) -> None:
    first = grant(pool, 5, 100).slots
    [following] = grant(pool, 1, 100).slots
    for before, after in itertools.pairwise([*first, following]):
        assert after - before == pytest.approx(rate_limit.spacing(100), abs=0.02)


def test_batches_have_their_share_and_leave_the_rest_at_once(pool: ConnectionPool) -> None:
    """Half of ten a second: after one, they ask again in a fifth of a second; a person's slot lies in between."""
    assert len(grant(pool, batch=True).slots) == 1
    refused = grant(pool, batch=True)
    assert refused.slots == []
    assert refused.ask_again == pytest.approx(rate_limit.spacing(5) - rate_limit.spacing(10), abs=0.02)
    assert reserve(pool)[0] < 2 * rate_limit.spacing(10)
    time.sleep(refused.ask_again + 0.03)
    assert len(grant(pool, batch=True).slots) == 1


def test_a_text_of_a_batch_that_is_claimed_gets_another_slot_in_any_case(pool: ConnectionPool) -> None:
    with pool.connection() as connection:
        grant(pool, batch=True)
        waiting_senders.announce(connection)
        assert grant(pool, batch=True).slots == []
        assert len(grant(pool, batch=True, claimed=True).slots) == 1


def test_no_batch_has_a_slot_while_somebody_who_comes_first_is_in_hand_anywhere(pool: ConnectionPool) -> None:
    with pool.connection() as connection:
        waiting_senders.announce(connection)
        assert grant(pool, batch=True) == Grant([], rate_limit.STAND_BACK)
        assert len(grant(pool).slots) == 1
        connection.execute("update sending_state set people_until = now()")
        assert len(grant(pool, batch=True).slots) == 1


@pytest.mark.parametrize("channel", Channel)
def test_no_batch_has_a_slot_while_somebody_who_comes_first_stands_in_the_queue(
    pool: ConnectionPool, channel: Channel
) -> None:
    with pool.connection() as connection:
        events.save(connection, [TicketEvent("salesforce", "a", "500000000000001AAA", channel=channel)])
        assert bool(grant(pool, batch=True).slots) is (channel is Channel.BATCH)
        connection.execute("update pgqueuer set execute_after = now() + interval '5 seconds'")
        connection.execute("update sending_state set batch_next_at = null")
        assert grant(pool, batch=True).slots, "one that waits for its hours keeps nobody from leaving"


def test_what_leaves_late_puts_off_the_slots_that_come_after_it(pool: ConnectionPool) -> None:
    [before] = reserve(pool)
    with pool.connection() as connection:
        rate_limit.put_off(connection, 0.2, batch=True)
    [after] = reserve(pool)
    assert after - before == pytest.approx(0.2 + rate_limit.spacing(10), abs=0.06)
    assert grant(pool, batch=True).ask_again == pytest.approx(0, abs=0.05)


def test_a_clock_that_was_set_back_holds_nobody_up_for_long(pool: ConnectionPool) -> None:
    with pool.connection() as connection:
        connection.execute(
            "insert into sending_state (account, next_at, batch_next_at)"
            " values ('ccaip', now() + interval '1 hour', now() + interval '1 hour')"
        )
    assert reserve(pool)[0] < 1
    assert reserve(pool, batch=True)[0] < 1


def test_while_the_account_is_held_or_stopped_there_is_no_slot_and_none_is_used_up(pool: ConnectionPool) -> None:
    with pool.connection() as connection:
        circuit_breaker.pause(connection, circuit_breaker.PLATFORM, "slow down", 500)
        for _ in range(20):
            with pytest.raises(circuit_breaker.SendingPaused) as paused:
                reserve(pool)
        assert paused.value.retry_after == circuit_breaker.PAUSE_POLL_SECONDS, (
            "the pause is not the text's: it can be lifted"
        )
        circuit_breaker.trip(connection, circuit_breaker.PLATFORM, "SMS is not enabled")
        with pytest.raises(circuit_breaker.SendingPaused, match="SMS is not enabled"):
            reserve(pool)
        circuit_breaker.resume(connection)
    assert reserve(pool)[0] < 0.2


def test_a_database_that_is_away_says_so(pool: ConnectionPool) -> None:
    with pool.connection() as connection:
        connection.close()
        with pytest.raises(psycopg.OperationalError):
            rate_limit.reserve(connection, Rates.of(10, 1), 1)


def test_who_comes_before_batches() -> None:
    assert {*jobs.BEFORE_BATCHES} == {*Kind} - {Kind.WRITE_BACK, Kind.DELIVER_BATCH}
