"""The requests-a-second promise: in the database for all, and within a worker a person first."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from psycopg_pool import ConnectionPool

from connector import pace
from connector.pace import Pace


def reserve(pool: ConnectionPool, slots: int, per_second: float) -> float:
    with pool.connection() as connection:
        return pace.reserve(connection, slots, per_second)


def test_the_first_slot_is_free_at_once_and_the_next_follow_at_a_distance(pool: ConnectionPool) -> None:
    waits = [reserve(pool, slots, 0.01) for slots in (1, 1, 3, 1)]
    assert waits == pytest.approx([0, 100, 200, 500], abs=5)


def test_a_lane_that_was_not_used_has_saved_no_slots(pool: ConnectionPool) -> None:
    reserve(pool, 1, 10)
    with pool.connection() as connection:
        connection.execute("update pace set next_at = now() - interval '1 hour'")
    assert [reserve(pool, 1, 0.01) for _ in range(2)] == pytest.approx([0, 100], abs=5)


def test_no_two_connections_get_the_same_slot(pool: ConnectionPool) -> None:
    with ThreadPoolExecutor(8) as threads:
        waits = sorted(threads.map(lambda _: reserve(pool, 1, 0.01), range(40)))
    assert waits == pytest.approx([index * 100 for index in range(40)], abs=30)


@pytest.mark.parametrize("used", [False, True], ids=["before the first slot", "after one"])
def test_while_it_is_held_nobody_sends(pool: ConnectionPool, used: bool) -> None:
    if used:
        reserve(pool, 1, 10)
    with pool.connection() as connection:
        pace.hold(connection, 500)
    assert reserve(pool, 1, 0.01) == pytest.approx(500, abs=5)


def test_a_shorter_hold_does_not_end_a_longer_one(pool: ConnectionPool) -> None:
    with pool.connection() as connection:
        pace.hold(connection, 500)
        pace.hold(connection, 5)
    assert reserve(pool, 1, 10) == pytest.approx(500, abs=5)


class Slots:
    """Counts what was reserved; each reservation waits until it is allowed."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.allowed = asyncio.Event()

    async def __call__(self, slots: int) -> float:
        self.asked.append(slots)
        await self.allowed.wait()
        return 0


def test_a_slot_goes_to_the_highest_priority_and_then_to_whoever_waits_longest() -> None:
    async def run() -> list[str]:
        slots, order = Slots(), []
        pacing = Pace(1000, slots)

        async def text(name: str, priority: int) -> None:
            await pacing.slot(priority)
            order.append(name)

        asked = [("batch", 0), ("trigger 1", 1), ("batch 2", 0), ("agent", 2), ("trigger 2", 1)]
        tasks = [asyncio.create_task(text(*one)) for one in asked]
        while not slots.asked:
            await asyncio.sleep(0)
        tasks.append(asyncio.create_task(text("agent, later", 2)))
        await asyncio.sleep(0)
        slots.allowed.set()
        await asyncio.gather(*tasks)
        return order

    assert asyncio.run(run()) == ["agent", "agent, later", "trigger 1", "trigger 2", "batch", "batch 2"]


@pytest.mark.parametrize(("per_second", "most"), [(10, 1), (1, 1), (0.5, 1), (1000, 50)])
def test_slots_are_reserved_only_a_moment_ahead_and_never_more_than_wait(per_second: float, most: int) -> None:
    async def run() -> list[int]:
        slots = Slots()
        pacing = Pace(per_second, slots)
        tasks = [asyncio.create_task(pacing.slot(0)) for _ in range(60)]
        while not slots.asked:
            await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        slots.allowed.set()
        await asyncio.gather(*tasks, return_exceptions=True)
        return slots.asked

    assert asyncio.run(run())[0] == most


def test_no_limit_asks_nobody() -> None:
    async def run() -> list[int]:
        slots = Slots()
        await Pace(0, slots).slot(0)
        return slots.asked

    assert asyncio.run(run()) == []


def test_one_who_has_left_takes_no_slot_from_the_others() -> None:
    async def run() -> int:
        slots = Slots()
        pacing = Pace(20, slots)  # one slot a reservation
        gone, stays = asyncio.create_task(pacing.slot(1)), asyncio.create_task(pacing.slot(0))
        while not slots.asked:
            await asyncio.sleep(0)
        gone.cancel()
        slots.allowed.set()
        await stays
        return len(slots.asked)

    assert asyncio.run(run()) == 1


@pytest.mark.parametrize("error", [psycopg.OperationalError("gone"), RuntimeError("any other")])
def test_an_error_reaches_all_who_wait_and_the_next_ask_again(error: Exception) -> None:
    async def run() -> list[object]:
        failing = True

        async def slots(_: int) -> float:
            if failing:
                raise error
            return 0

        pacing = Pace(1000, slots)
        found = await asyncio.wait_for(asyncio.gather(*(pacing.slot(0) for _ in range(3)), return_exceptions=True), 2)
        failing = False
        return [*found, await asyncio.wait_for(pacing.slot(0), 2)]

    assert asyncio.run(run()) == [error, error, error, None]


def test_slots_of_the_database_reach_the_waiting(pool: ConnectionPool) -> None:
    async def run() -> float:
        loop = asyncio.get_running_loop()

        async def slots(count: int) -> float:
            return await asyncio.to_thread(reserve, pool, count, 50)

        pacing = Pace(50, slots)
        start = loop.time()
        await asyncio.gather(*(pacing.slot(0) for _ in range(11)))
        return loop.time() - start

    assert asyncio.run(run()) >= 10 / 50 - 0.01
