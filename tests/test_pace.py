"""The requests-a-second promise: in the database for all, and within a worker a person first."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg_pool import ConnectionPool

from connector import lane, pace
from connector.pace import Limit, Pace, Rates, Slot


def reserve(pool: ConnectionPool, count: int = 1, per_second: float = 10, **more: object) -> list[float]:
    """Seconds from now until each of these slots."""
    with pool.connection() as connection:
        slots = pace.reserve(connection, Rates.of(per_second, 0.5), count, **more)
    return [slot.at - time.monotonic() for slot in slots]


@given(
    per_second=st.sampled_from([0.5, 1, 3, 10, 12.5]),
    gaps=st.lists(st.floats(0, 3), min_size=1, max_size=200),
    delays=st.lists(st.floats(0, pace.LATE), min_size=200, max_size=200),
)
def test_no_window_of_a_second_holds_more_than_the_limit_however_late_each_leaves(
    per_second: float, gaps: list[float], delays: list[float]
) -> None:
    limit, now = Limit.of(per_second), 0.0
    given_out: list[float] = []
    for gap in gaps:
        now += gap if gap > 1 else 0
        given_out.append(pace.following(given_out, limit, now))
    left = sorted(at + late for at, late in zip(given_out, delays, strict=False))
    for first, beyond in zip(left, left[limit.most :], strict=False):
        assert beyond - first >= max(1, 1 / per_second)


def test_a_lane_that_is_always_waited_for_is_filled() -> None:
    limit, given_out = Limit.of(10), [0.0]
    while given_out[-1] < 60:
        given_out.append(pace.following(given_out, limit, 0.0))
    assert 590 <= len(given_out) - 1 <= 600


def test_what_was_missed_is_made_up_for() -> None:
    limit, given_out = Limit.of(10), [0.0]
    while given_out[-1] < 60:
        pause = 0.05 if len(given_out) % 10 == 3 else 0  # one of ten asks too late
        given_out.append(pace.following(given_out, limit, given_out[-1] + pause))
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
            return pace.reserve(connection, rates, 1)[0].stamp

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
        [missed] = pace.reserve(connection, rates, 1)
        [instead] = pace.reserve(connection, rates, 1, instead_of=missed.stamp)
        [following] = pace.reserve(connection, rates, 1)
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
        lane.hold(connection, 500)
    with pytest.raises(lane.Closed) as held:
        reserve(pool)
    assert held.value.seconds == pytest.approx(500, abs=5)
    with pool.connection() as connection:
        lane.stop(connection, "SMS is not enabled")
    with pytest.raises(lane.Closed, match="SMS is not enabled"):
        reserve(pool)


class Slots:
    """Counts what was reserved; each reservation waits until it is allowed."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.allowed = asyncio.Event()

    async def __call__(self, count: int, batch: bool, instead_of: float | None) -> list[Slot]:
        self.asked.append(count)
        await self.allowed.wait()
        return [Slot(time.monotonic(), 0.0)] * count


def test_a_slot_goes_to_the_highest_priority_and_then_to_whoever_waits_longest() -> None:
    async def run() -> list[str]:
        slots, order = Slots(), []
        pacing = Pace(10, slots)

        async def text(name: str, priority: int) -> None:
            await pacing.slot(1, priority)
            order.append(name)

        asked = [("trigger 1", 1), ("agent", 2), ("trigger 2", 1)]
        tasks = [asyncio.create_task(text(*one)) for one in asked]
        while not slots.asked:
            await asyncio.sleep(0)
        tasks.append(asyncio.create_task(text("agent, later", 2)))
        await asyncio.sleep(0)
        slots.allowed.set()
        await asyncio.gather(*tasks)
        return order

    assert asyncio.run(run()) == ["agent", "agent, later", "trigger 1", "trigger 2"]


def test_a_person_does_not_wait_behind_a_batch_that_waits_for_its_slot() -> None:
    async def run() -> str:
        people = Slots()
        people.allowed.set()

        async def reserve(count: int, batch: bool, instead_of: float | None) -> list[Slot]:
            if batch:
                return [Slot(time.monotonic() + 60, 0.0)]
            return await people(count, batch, instead_of)

        pacing = Pace(10, reserve)
        batch = asyncio.create_task(pacing.slot(1, 0, batch=True))
        await asyncio.sleep(0)
        await asyncio.wait_for(pacing.slot(1, 2), 2)
        waits = "the batch waits" if not batch.done() else "the batch went first"
        pacing.give_up(RuntimeError("the end"))
        await asyncio.gather(batch, return_exceptions=True)
        return waits

    assert asyncio.run(run()) == "the batch waits"


@pytest.mark.parametrize(("per_second", "most"), [(10, 1), (1, 1), (0.5, 1), (1000, 50)])
def test_slots_are_reserved_only_a_moment_ahead_and_never_more_than_wait(per_second: float, most: int) -> None:
    async def run() -> list[int]:
        slots = Slots()
        pacing = Pace(per_second, slots)
        tasks = [asyncio.create_task(pacing.slot(1, 0)) for _ in range(60)]
        while not slots.asked:
            await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        slots.allowed.set()
        await asyncio.gather(*tasks, return_exceptions=True)
        return slots.asked

    assert asyncio.run(run())[0] == most


def test_one_who_has_left_takes_no_slot_from_the_others() -> None:
    async def run() -> int:
        slots = Slots()
        pacing = Pace(20, slots)  # one slot a reservation
        gone, stays = asyncio.create_task(pacing.slot(1, 1)), asyncio.create_task(pacing.slot(2, 0))
        while not slots.asked:
            await asyncio.sleep(0)
        gone.cancel()
        slots.allowed.set()
        await stays
        return len(slots.asked)

    assert asyncio.run(run()) == 1


def test_texts_that_are_dropped_take_no_slots_from_the_others() -> None:
    async def run() -> tuple[list[object], list[int], int]:
        slots = Slots()
        pacing = Pace(20, slots)  # one slot a reservation
        tasks = [asyncio.create_task(pacing.slot(text, 0)) for text in (1, 2, 3)]
        while not slots.asked:
            await asyncio.sleep(0)
        waiting = pacing.waiting()
        pacing.drop([1, 2, 4])
        slots.allowed.set()
        found = await asyncio.wait_for(asyncio.gather(*tasks), 2)
        pacing.drop([3])  # it has its slot
        return [slot and slot.stamp for slot in found], waiting, len(slots.asked)

    assert asyncio.run(run()) == ([None, None, 0.0], [1, 2, 3], 1)


@pytest.mark.parametrize("error", [psycopg.OperationalError("gone"), lane.Closed("stopped", True, 5)])
def test_an_error_reaches_all_who_wait_and_the_next_ask_again(error: Exception) -> None:
    async def run() -> list[object]:
        failing = True

        async def slots(count: int, batch: bool, instead_of: float | None) -> list[Slot]:
            if failing:
                raise error
            return [Slot(time.monotonic(), 0.0)] * count

        pacing = Pace(10, slots)
        asked = asyncio.gather(*(pacing.slot(text, 0) for text in range(3)), return_exceptions=True)
        found = await asyncio.wait_for(asked, 2)
        failing = False
        return [*found, (await asyncio.wait_for(pacing.slot(1, 0), 2)).stamp]

    assert asyncio.run(run()) == [error, error, error, 0.0]
