"""What waits at the same moment goes together."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from connector.batcher import Batcher


class Calls:
    """Answers each item with its tenfold, when it is allowed to; `made` are the calls."""

    def __init__(self) -> None:
        self.made: list[list[int]] = []
        self.allowed = threading.Event()
        self.allowed.set()
        self.error: BaseException | None = None

    def __call__(self, items: Sequence[int]) -> list[int]:
        self.made.append(list(items))
        assert self.allowed.wait(5)
        if self.error:
            raise self.error
        return [item * 10 for item in items]


def run(test: Callable[[Calls, ThreadPoolExecutor], Awaitable[Any]]) -> Any:
    with ThreadPoolExecutor(2) as threads:
        return asyncio.run(asyncio.wait_for(test(Calls(), threads), 5))


async def ask(group: Batcher[int, int], item: int, urgent: bool = False) -> int:
    [answer] = await group([item], urgent)
    return answer


async def until(holds: Callable[[], object]) -> None:
    while not holds():
        await asyncio.sleep(0)


def test_what_waits_together_goes_together_and_each_gets_its_own_answer() -> None:
    async def test(calls: Calls, threads: ThreadPoolExecutor) -> None:
        group = Batcher(calls, threads, 10)
        assert list(await asyncio.gather(*(ask(group, item) for item in (3, 1, 2)))) == [30, 10, 20]
        assert calls.made == [[3, 1, 2]]
        assert await ask(group, 4) == 40
        assert calls.made == [[3, 1, 2], [4]]

    run(test)


def test_a_call_never_has_more_than_most() -> None:
    async def test(calls: Calls, threads: ThreadPoolExecutor) -> None:
        group = Batcher(calls, threads, 3)
        assert list(await asyncio.gather(*(ask(group, item) for item in range(8)))) == [item * 10 for item in range(8)]
        assert calls.made == [[0, 1, 2], [3, 4, 5], [6, 7]]

    run(test)


def test_what_comes_together_stays_together_as_far_as_a_call_takes_it() -> None:
    async def test(calls: Calls, threads: ThreadPoolExecutor) -> None:
        group = Batcher(calls, threads, 3)
        assert list(await asyncio.gather(group([1, 2]), group([3, 4]), group([5]))) == [[10, 20], [30, 40], [50]]
        assert calls.made == [[1, 2], [3, 4, 5]]
        assert await group(list(range(7))) == [item * 10 for item in range(7)]
        assert calls.made[2:] == [[0, 1, 2], [3, 4, 5], [6]]
        assert await group([]) == []

    run(test)


def test_what_comes_during_a_call_goes_with_the_next() -> None:
    async def test(calls: Calls, threads: ThreadPoolExecutor) -> None:
        calls.allowed.clear()
        group = Batcher(calls, threads, 10)
        first = asyncio.create_task(ask(group, 1))
        await until(lambda: calls.made)
        later = [asyncio.create_task(ask(group, item)) for item in (2, 3)]
        await asyncio.sleep(0)
        assert calls.made == [[1]]
        calls.allowed.set()
        assert list(await asyncio.gather(first, *later)) == [10, 20, 30]
        assert calls.made == [[1], [2, 3]]

    run(test)


def test_an_error_reaches_each_of_its_call_and_no_other() -> None:
    async def test(calls: Calls, threads: ThreadPoolExecutor) -> None:
        calls.error = ValueError("no")
        group = Batcher(calls, threads, 10)
        assert list(await asyncio.gather(ask(group, 1), ask(group, 2), return_exceptions=True)) == [
            calls.error,
            calls.error,
        ]
        calls.error = None
        assert await ask(group, 3) == 30

    run(test)


@pytest.mark.parametrize("answers", [[], [1]], ids=["none", "too few"])
def test_an_answer_that_is_missing_is_an_error(answers: list[int]) -> None:
    async def test(_: Calls, threads: ThreadPoolExecutor) -> list[Any]:
        group = Batcher[int, int](lambda items: answers, threads, 10)
        return list(await asyncio.gather(ask(group, 1), ask(group, 2), return_exceptions=True))

    assert isinstance(run(test)[1], ValueError)


@pytest.mark.parametrize("when", ["before the call", "during the call"])
@pytest.mark.parametrize("fails", [False, True], ids=["answered", "failed"])
def test_one_who_has_left_does_not_hurt_the_others(when: str, fails: bool) -> None:
    async def test(calls: Calls, threads: ThreadPoolExecutor) -> None:
        calls.error = ValueError("no") if fails else None
        calls.allowed.clear()
        group = Batcher(calls, threads, 10, 5, lambda: when == "before the call" and not calls.allowed.is_set())
        gone, stays = asyncio.create_task(ask(group, 1)), asyncio.create_task(ask(group, 2))
        await asyncio.sleep(0)
        if when == "during the call":
            await until(lambda: calls.made)
        gone.cancel()
        await asyncio.sleep(0)
        calls.allowed.set()
        assert list(await asyncio.gather(gone, stays, return_exceptions=True)) != []
        assert gone.cancelled()
        assert (stays.exception() if fails else stays.result()) == (calls.error or 20)

    run(test)


async def held(calls: Calls, threads: ThreadPoolExecutor, ends: str) -> None:
    coming, hold = True, 0.06 if ends == "limit" else 60
    group = Batcher(calls, threads, 3, hold, lambda: coming)
    tasks = [asyncio.create_task(ask(group, item)) for item in (1, 2)]
    for _ in range(10):
        await asyncio.sleep(0)
    assert calls.made == [], "it is held"
    if ends == "nothing more comes":
        coming = False
    elif ends == "flush":
        group.flush()
    elif ends in ("full", "urgent"):
        tasks.append(asyncio.create_task(ask(group, 3, urgent=ends == "urgent")))
    await asyncio.gather(*tasks)
    assert calls.made == [[1, 2, 3] if len(tasks) == 3 else [1, 2]]


@pytest.mark.parametrize("ends", ["nothing more comes", "limit", "full", "urgent", "flush"])
def test_a_call_is_held_until(ends: str) -> None:
    run(lambda calls, threads: held(calls, threads, ends))


def test_urgency_ends_with_its_call() -> None:
    async def test(calls: Calls, threads: ThreadPoolExecutor) -> None:
        group = Batcher(calls, threads, 10, 60, lambda: True)
        assert await ask(group, 1, urgent=True) == 10
        waiting = asyncio.create_task(ask(group, 2))
        for _ in range(10):
            await asyncio.sleep(0)
        assert calls.made == [[1]]
        waiting.cancel()
        assert await ask(group, 3, urgent=True) == 30

    run(test)


def test_an_urgent_one_that_comes_during_a_call_is_not_held_afterwards() -> None:
    async def test(calls: Calls, threads: ThreadPoolExecutor) -> None:
        calls.allowed.clear()
        group = Batcher(calls, threads, 10, 60, lambda: True)
        first = asyncio.create_task(ask(group, 1, urgent=True))
        await until(lambda: calls.made)
        second = asyncio.create_task(ask(group, 2, urgent=True))
        await asyncio.sleep(0)
        calls.allowed.set()
        assert list(await asyncio.gather(first, second)) == [10, 20]

    run(test)


def test_an_urgent_one_beyond_the_most_goes_with_the_very_next_call() -> None:
    async def test(calls: Calls, threads: ThreadPoolExecutor) -> None:
        group = Batcher(calls, threads, 2, 60, lambda: True)
        await asyncio.gather(*(ask(group, item, urgent=item == 3) for item in (1, 2, 3)))
        assert [3] in [made[-1:] for made in calls.made]

    run(test)
