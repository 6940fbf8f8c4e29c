"""Combine calls that wait at the same time into one call, to the database and above all to the CRM."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from types import TracebackType
from typing import Generic, TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")

# Seconds between two checks whether more items are expected, while a call waits for them.
LINGER_POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class _Waiting(Generic[Item, Answer]):
    """Items that were submitted together and stay together: never more than fit into one call."""

    items: Sequence[Item]
    answers: asyncio.Future["Sequence[Answer] | _Failed"]
    urgent: bool


@dataclass(frozen=True, slots=True)
class _Failed:
    """An exception of a call and its original traceback.

    It is raised in every waiting task, and each raise extends the traceback.
    """

    error: BaseException
    where: TracebackType | None


class Batcher(Generic[Item, Answer]):
    """Run one call at a time in a thread, for all items waiting when it starts. Later items go into the next call."""

    def __init__(
        self,
        call: Callable[[Sequence[Item]], Sequence[Answer]],
        threads: Executor,
        most: int,
        linger: float = 0,
        expect_more: Callable[[], bool] = lambda: False,
    ) -> None:
        """`call` gets at most `most` items and returns its answers in their order. Its exception reaches every caller.

        While `expect_more()` is true, a call waits for further items, for at most `linger` seconds or until it is full.
        """
        self._call, self._threads, self._most = call, threads, most
        self._linger, self._expect_more = linger, expect_more
        self._waiting: deque[_Waiting[Item, Answer]] = deque()
        self._task: asyncio.Task[None] | None = None

    async def __call__(self, items: Sequence[Item], urgent: bool = False) -> list[Answer]:
        """Return the answers for these items, in their order. `urgent` ends the wait for all waiting items."""
        loop = asyncio.get_running_loop()
        parts = [
            _Waiting(items[start : start + self._most], loop.create_future(), urgent)
            for start in range(0, len(items), self._most)
        ]
        self._waiting.extend(parts)
        if parts and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._work())
        return [answer for part in parts for answer in await _answers(part)]

    def flush(self) -> None:
        """Stop waiting for further items, from now on."""
        self._linger = 0

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            await self._gather(loop.time())
            parts = self._take()
            items = [item for part in parts for item in part.items]
            try:
                answers = await loop.run_in_executor(self._threads, self._call, items)
                if len(answers) != len(items):
                    raise ValueError(f"{len(answers)} answers to {len(items)} items")  # noqa: TRY301
                _hand_out(parts, answers)
            except BaseException as error:  # every waiting task must get it, whatever it is
                for part in parts:
                    if not part.answers.done():
                        part.answers.set_result(_Failed(error, error.__traceback__))
                if not isinstance(error, Exception):
                    raise

    def _take(self) -> list[_Waiting[Item, Answer]]:
        """Remove and return the longest-waiting items that fit into one call."""
        parts, room = [], self._most
        while self._waiting and len(self._waiting[0].items) <= room:
            parts.append(self._waiting.popleft())
            room -= len(parts[-1].items)
        return parts

    async def _gather(self, since: float) -> None:
        loop = asyncio.get_running_loop()
        while self._count() < self._most and self._expect_more() and not self._is_urgent():
            left = since + self._linger - loop.time()
            if left <= 0:
                return
            await asyncio.sleep(min(left, LINGER_POLL_SECONDS))

    def _count(self) -> int:
        return sum(len(part.items) for part in self._waiting)

    def _is_urgent(self) -> bool:
        return any(part.urgent for part in self._waiting)


async def _answers(part: _Waiting[Item, Answer]) -> Sequence[Answer]:
    answers = await part.answers
    if isinstance(answers, _Failed):
        raise answers.error.with_traceback(answers.where)
    return answers


def _hand_out(parts: Sequence[_Waiting[Item, Answer]], answers: Sequence[Answer]) -> None:
    start = 0
    for part in parts:
        end = start + len(part.items)
        if not part.answers.done():
            part.answers.set_result(answers[start:end])
        start = end
