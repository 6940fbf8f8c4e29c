"""Calls that wait at the same moment become one call: to the database, and above all to the CRM."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Generic, TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")

# How often a held call looks whether the others that it waits for are still coming.
LOOK = 0.05


class Group(Generic[Item, Answer]):
    """One call at a time, in a thread, for all items that are waiting when it begins; the rest go with the next."""

    def __init__(
        self,
        call: Callable[[Sequence[Item]], Sequence[Answer]],
        threads: Executor,
        most: int,
        hold: float = 0,
        more_coming: Callable[[], bool] = lambda: False,
    ) -> None:
        """`call` answers in the order of its items, at most `most`; what it raises is raised for each of them.

        While `more_coming()`, a call is held for the others, up to `hold` seconds or until it is full.
        """
        self._call, self._threads, self._most = call, threads, most
        self._hold, self._more_coming = hold, more_coming
        self._waiting: list[tuple[Item, asyncio.Future[Answer], bool]] = []
        self._task: asyncio.Task[None] | None = None

    async def __call__(self, item: Item, urgent: bool = False) -> Answer:
        """The answer for this item. `urgent` ends the holding for all that wait."""
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future, urgent))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._work())
        return await future

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            await self._gather(loop.time() + self._hold)
            batch, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
            try:
                answers = await loop.run_in_executor(self._threads, self._call, [item for item, _, _ in batch])
                if len(answers) != len(batch):
                    raise ValueError(f"{len(answers)} answers to {len(batch)} items")  # noqa: TRY301
                for (_, future, _), answer in zip(batch, answers, strict=True):
                    if not future.done():
                        future.set_result(answer)
            except BaseException as error:  # every waiting task has to hear of it, whatever it is
                for _, future, _ in batch:
                    if not future.done():
                        future.set_exception(error)
                if not isinstance(error, Exception):
                    raise

    async def _gather(self, until: float) -> None:
        loop = asyncio.get_running_loop()
        while len(self._waiting) < self._most and self._more_coming() and not self._is_urgent():
            left = until - loop.time()
            if left <= 0:
                return
            await asyncio.sleep(min(left, LOOK))

    def _is_urgent(self) -> bool:
        return any(urgent for _, _, urgent in self._waiting)
