"""Within a worker a person first."""

import asyncio
import time

import psycopg
import pytest

from connector.delivery.pacing import Pacer
from connector.store import circuit_breaker
from connector.store.rate_limit import Grant


class Slots:
    """Counts what was reserved; each reservation waits until it is allowed."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.allowed = asyncio.Event()

    async def __call__(self, count: int, batch: bool, claimed: bool) -> Grant:
        self.asked.append(count)
        await self.allowed.wait()
        return Grant([time.monotonic()] * count)


def test_a_slot_goes_to_the_highest_priority_and_then_to_whoever_waits_longest() -> None:
    async def run() -> list[str]:
        slots, order = Slots(), []
        pacing = Pacer(10, slots)

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

        async def reserve(count: int, batch: bool, claimed: bool) -> Grant:
            if batch:
                return Grant([time.monotonic() + 60])
            return await people(count, batch, claimed)

        pacing = Pacer(10, reserve)
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
        pacing = Pacer(per_second, slots)
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
        pacing = Pacer(20, slots)  # one slot a reservation
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
        pacing = Pacer(20, slots)  # one slot a reservation
        tasks = [asyncio.create_task(pacing.slot(text, 0)) for text in (1, 2, 3)]
        while not slots.asked:
            await asyncio.sleep(0)
        waiting = pacing.waiting()
        pacing.drop([1, 2, 4])
        slots.allowed.set()
        found = await asyncio.wait_for(asyncio.gather(*tasks), 2)
        pacing.drop([3])  # it has its slot
        return [slot is not None for slot in found], waiting, len(slots.asked)

    assert asyncio.run(run()) == ([False, False, True], [1, 2, 3], 1)


@pytest.mark.parametrize("error", [psycopg.OperationalError("gone"), circuit_breaker.SendingPaused("stopped", True, 5)])
def test_an_error_reaches_all_who_wait_and_the_next_ask_again(error: Exception) -> None:
    async def run() -> list[object]:
        failing = True

        async def slots(count: int, batch: bool, claimed: bool) -> Grant:
            if failing:
                raise error
            return Grant([time.monotonic()] * count)

        pacing = Pacer(10, slots)
        asked = asyncio.gather(*(pacing.slot(text, 0) for text in range(3)), return_exceptions=True)
        found = await asyncio.wait_for(asked, 2)
        failing = False
        return [*found, await asyncio.wait_for(pacing.slot(1, 0), 2) is not None]

    assert asyncio.run(run()) == [error, error, error, True]


def test_where_there_is_no_slot_yet_it_is_asked_again_for_who_comes_first_by_then() -> None:
    """A batch stands back for people; its own order is that of the moment at which it may leave."""

    async def run() -> tuple[list[str], int]:
        asked, order = 0, list[str]()

        async def reserve(count: int, batch: bool, claimed: bool) -> Grant:
            nonlocal asked
            asked += 1
            return Grant([], 0.02) if asked < 3 else Grant([time.monotonic()])

        pacing = Pacer(10, reserve)

        async def text(name: str, number: int, priority: int) -> None:
            await pacing.slot(number, priority, batch=True)
            order.append(name)

        tasks = [asyncio.create_task(text("first", 1, 0))]
        await asyncio.sleep(0.01)
        tasks.append(asyncio.create_task(text("more important", 2, 1)))
        await asyncio.wait_for(asyncio.gather(*tasks), 2)
        return order, asked

    assert asyncio.run(run()) == (["more important", "first"], 4)


def test_a_text_that_has_missed_its_slot_gets_the_next_one() -> None:
    async def run() -> tuple[float, list[tuple[int, bool, bool]]]:
        asked = []

        async def reserve(count: int, batch: bool, claimed: bool) -> Grant:
            asked.append((count, batch, claimed))
            return Grant([7.0])

        return await Pacer(10, reserve).another(batch=True), asked

    assert asyncio.run(run()) == (7.0, [(1, True, True)])


@pytest.mark.parametrize("error", [None, psycopg.OperationalError("gone")])
def test_who_leaves_late_does_not_wait_until_the_others_are_put_off(error: Exception | None) -> None:
    async def run() -> list[tuple[float, bool]]:
        said = []

        async def reserve(count: int, batch: bool, claimed: bool) -> Grant:
            return Grant([time.monotonic()])

        async def put_off(seconds: float, batch: bool) -> None:
            await asyncio.sleep(0.01)
            said.append((seconds, batch))
            if error:
                raise error

        pacing = Pacer(10, reserve, put_off)
        pacing.late(0.2, batch=True)
        assert said == []
        await asyncio.sleep(0.1)
        return said

    assert asyncio.run(run()) == [(0.2, True)]


def test_a_text_that_is_paused_while_it_waits_for_its_slot_hears_it_at_once() -> None:
    async def never(count: int, batch: bool, claimed: bool) -> Grant:
        await asyncio.sleep(60)
        raise AssertionError

    async def run() -> None:
        pacer, pause = Pacer(1, never), circuit_breaker.SendingPaused("paused", True, 5)
        waiting = asyncio.create_task(pacer.slot(7, 50))
        await asyncio.sleep(0)
        pacer.refuse({7: pause, 8: pause})
        with pytest.raises(circuit_breaker.SendingPaused):
            await waiting
        assert pacer.waiting() == []

    asyncio.run(run())
