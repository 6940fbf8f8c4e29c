"""The requests-a-second promise, kept in the database for all."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg_pool import ConnectionPool

from connector import lane, slots
from connector.slots import DatabaseClock, Given, Limit, Rates


def reserve(pool: ConnectionPool, count: int = 1, per_second: float = 10, **more: object) -> list[float]:
    """Seconds from now until each of these slots."""
    with pool.connection() as connection:
        found = slots.reserve(connection, DatabaseClock(), Rates.of(per_second, 0.5), count, **more)
    return [slot.at - time.monotonic() for slot in found]


@given(
    per_second=st.sampled_from([0.5, 1, 3, 10, 12.5]),
    gaps=st.lists(st.floats(0, 3), min_size=1, max_size=200),
    delays=st.lists(st.floats(0, slots.LATE), min_size=200, max_size=200),
)
def test_no_window_of_a_second_holds_more_than_the_limit_however_late_each_leaves(
    per_second: float, gaps: list[float], delays: list[float]
) -> None:
    limit, now = Limit.of(per_second), 0.0
    given_out: list[float] = []
    for gap in gaps:
        now += gap if gap > 1 else 0
        given_out.append(slots.following(given_out, limit, now))
    left = sorted(at + late for at, late in zip(given_out, delays, strict=False))
    for first, beyond in zip(left, left[limit.most :], strict=False):
        assert beyond - first >= max(1, 1 / per_second)


def test_a_lane_that_is_always_waited_for_is_filled() -> None:
    limit, given_out = Limit.of(10), [0.0]
    while given_out[-1] < 60:
        given_out.append(slots.following(given_out, limit, 0.0))
    assert 590 <= len(given_out) - 1 <= 600


def test_what_was_missed_is_made_up_for() -> None:
    limit, given_out = Limit.of(10), [0.0]
    while given_out[-1] < 60:
        pause = 0.05 if len(given_out) % 10 == 3 else 0  # one of ten asks too late
        given_out.append(slots.following(given_out, limit, given_out[-1] + pause))
    assert len(given_out) - 1 >= 590


def test_a_lane_that_was_not_used_has_saved_no_more_than_one_window(pool: ConnectionPool) -> None:
    with pool.connection() as connection:
        connection.execute("insert into pace (lane, next_at) values ('ccaip', now() - interval '1 hour')")
    waits = reserve(pool, 21)
    assert waits[9] == pytest.approx(0.9, abs=0.1)
    assert waits[10] == pytest.approx(1.0, abs=0.1)
    assert waits[20] == pytest.approx(2.0, abs=0.1)


def test_no_two_connections_get_the_same_slot(pool: ConnectionPool) -> None:
    rates = Rates.of(10, 1)

    def one(_: int) -> float:
        with pool.connection() as connection:
            return slots.reserve(connection, DatabaseClock(), rates, 1)[0].stamp

    with ThreadPoolExecutor(8) as threads:
        stamps = sorted(threads.map(one, range(40)))
    assert all(later - first >= 1 for first, later in zip(stamps, stamps[10:], strict=False))
    assert stamps[-1] - stamps[0] < 4.5


def test_a_batch_leaves_slots_for_people(pool: ConnectionPool) -> None:
    batch = reserve(pool, 10, batch=True)
    assert batch[4] < 1 < batch[5], "half of ten a second"
    people = reserve(pool, 1)
    assert people[0] < batch[-1] + 0.2


def test_a_slot_that_was_missed_is_given_back(pool: ConnectionPool) -> None:
    with pool.connection() as connection:
        rates = Rates.of(1, 1)
        [missed] = slots.reserve(connection, DatabaseClock(), rates, 1)
        [instead] = slots.reserve(connection, DatabaseClock(), rates, 1, instead_of=missed.stamp)
        [following] = slots.reserve(connection, DatabaseClock(), rates, 1)
    assert instead.stamp - missed.stamp < 0.5, "nobody left in the missed one"
    assert following.stamp - instead.stamp > 1


def test_a_clock_that_was_set_back_does_not_stop_texting(pool: ConnectionPool) -> None:
    with pool.connection() as connection:
        connection.execute(
            "insert into pace (lane, next_at, recent) values ('ccaip', now(), %s)", [[time.time() + 3600] * 10]
        )
    assert reserve(pool)[0] < 1


def test_while_the_lane_is_held_or_stopped_there_is_no_slot(pool: ConnectionPool) -> None:
    with pool.connection() as connection:
        lane.hold(connection, lane.PLATFORM, "slow down", 500)
    with pytest.raises(lane.Closed) as held:
        reserve(pool)
    assert held.value.seconds == lane.LOOK_AGAIN, "the pause is not the text's: it can be lifted"
    with pool.connection() as connection:
        lane.stop(connection, lane.PLATFORM, "SMS is not enabled")
    with pytest.raises(lane.Closed, match="SMS is not enabled"):
        reserve(pool)


@st.composite
def misuses(draw: st.DrawFn) -> tuple[float, list[tuple[bool, float, int | None]]]:
    """A limit, and who asks: whether for a batch, after how many seconds, and instead of which one before."""
    one = st.tuples(st.booleans(), st.floats(0, 0.4), st.none() | st.integers(1, 30))
    return draw(st.sampled_from([0.5, 1, 3, 10])), draw(st.lists(one, min_size=1, max_size=150))


@given(misuses())
def test_no_window_holds_more_than_the_limit_whatever_is_missed(
    case: tuple[float, list[tuple[bool, float, int | None]]],
) -> None:
    per_second, asked = case
    rates, now, row = Rates.of(per_second, 0.5), 1000.0, Given([], [])
    used: list[tuple[float, bool]] = []
    for batch, pause, missed in asked:
        now += pause
        if missed is not None and missed <= len(used):
            late, was_batch = used.pop(-missed)
            used.append((row.instead_of(late, rates, was_batch, max(now, late) + slots.SOON), was_batch))
        else:
            used.append((row.one_more(rates, batch, now + slots.SOON), batch))
    for limit, stamps in (
        (rates.everybody, sorted(at for at, _ in used)),
        (rates.batches, sorted(at for at, batch in used if batch)),
    ):
        assert all(
            later - first >= limit.window - 1e-6 for first, later in zip(stamps, stamps[limit.most :], strict=False)
        )


def test_a_slot_that_was_missed_costs_the_others_no_more_than_it_is_late() -> None:
    rates, row, used = Rates.of(10, 1), Given([], []), []
    while not used or used[-1] < 60:
        used.append(row.one_more(rates, False, 0.0))
        if len(used) % 20 == 13:
            used.append(row.instead_of(used.pop(-3), rates, False, used[-3] + 0.02))
            used.sort()
    assert len(used) - 1 >= 580, "without any it is 591"


def ahead(clock: DatabaseClock, theirs: float, ours: float) -> float:
    clock.heard(theirs, ours)
    return clock.ahead


def test_of_what_was_heard_of_the_databases_clock_the_soonest_counts() -> None:
    clock = DatabaseClock()
    assert ahead(clock, 100.0, 5.009) == pytest.approx(-94.991), "there is nothing else yet"
    assert ahead(clock, 101.0, 6.001) == pytest.approx(-94.999)
    assert ahead(clock, 102.0, 7.014) == pytest.approx(-94.999), "heard late"
    assert ahead(clock, 103.0, 8.002) == pytest.approx(-94.999)


def test_a_clock_that_runs_differently_or_was_set_is_followed() -> None:
    clock = DatabaseClock()
    clock.heard(100.0, 5.0)
    for second in range(1, 120):  # it loses a millisecond a second
        found = ahead(clock, 100.0 + second * 0.999, 5.0 + second)
        assert found - (-95.0 + second * 0.001) == pytest.approx(-slots.REMEMBERED / 1000, abs=0.011)
    assert ahead(clock, 300.0, 125.0) == -175.0, "set forward"
    assert ahead(clock, 300.5, 126.0) == -174.5, "set back"


@given(st.lists(st.floats(0, 0.09), min_size=1, max_size=300))
def test_the_clock_is_never_further_off_than_the_soonest_of_the_last_seconds(late: list[float]) -> None:
    clock = DatabaseClock()
    for number, seconds in enumerate(late):
        now = 1000 + number * 0.1
        soonest = min(late[max(number - 99, 0) : number + 1])
        assert ahead(clock, now, now + seconds) <= soonest + 1e-6
