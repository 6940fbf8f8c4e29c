"""Whose turn it is within a worker: a person's text overtakes a trigger's.

A batch waits in a queue of its own and leaves slots free for people. The slots come from `connector.slots`.
"""

import asyncio
import heapq
import itertools
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field

from connector.store.rate_limit import Grant

# Slots are asked for this long ahead, so that a slow database does not leave any unused.
AHEAD = 0.05
# A waiting text is told of its slot so long before: `sending` has to be committed first, also where a machine has
# a lot to do. A missed slot is lost.
LEAD = 0.15

# Asks for so many slots, for a batch or not, for texts that are claimed already or not.
Reserve = Callable[[int, bool, bool], Awaitable[Grant]]
# Says that a request, of a batch or not, was so many seconds late.
PutOff = Callable[[float, bool], Awaitable[None]]


@dataclass(slots=True)
class _Queue:
    """Texts that wait for a slot, the highest priority first, and the task that hands slots to them."""

    waiting: list[tuple[int, int, asyncio.Future[float | None]]] = field(default_factory=list)
    task: asyncio.Task[None] | None = None

    def pop(self) -> asyncio.Future[float | None] | None:
        """The next that still waits."""
        while self.waiting:
            _, _, turn = heapq.heappop(self.waiting)
            if not turn.done():
                return turn
        return None


class Pacer:
    """Hands out slots, one at a time, to the waiting text of the highest priority."""

    def __init__(self, per_second: float, reserve: Reserve, put_off: PutOff | None = None) -> None:
        """`per_second` 0 means no limit; the others ask connector.slots."""
        self._per_second = per_second
        self._reserve, self._put_off = reserve, put_off
        self._late: set[asyncio.Future[None]] = set()
        self._queues = {False: _Queue(), True: _Queue()}
        self._order = itertools.count()
        self._turns: dict[int, asyncio.Future[float | None]] = {}
        self.unlimited = not per_second

    async def slot(self, text: int, priority: int, batch: bool = False) -> float | None:
        """When a request may leave, by the monotonic clock, told shortly before; None: the text was dropped.

        Raises what `reserve` raises. Not for where there is no limit.
        """
        queue = self._queues[batch]
        turn: asyncio.Future[float | None] = asyncio.get_running_loop().create_future()
        self._turns[text] = turn
        heapq.heappush(queue.waiting, (-priority, next(self._order), turn))
        if queue.task is None or queue.task.done():
            queue.task = asyncio.create_task(self._hand_out(queue, batch))
        try:
            return await turn
        finally:
            self._turns.pop(text, None)

    def waiting(self) -> list[int]:
        """The texts that wait for a slot."""
        return list(self._turns)

    def drop(self, texts: Iterable[int]) -> None:
        """These wait no longer: what is not sent needs no slot."""
        for text in texts:
            turn = self._turns.get(text)
            if turn and not turn.done():
                turn.set_result(None)

    async def another(self, batch: bool = False) -> float:
        """The next slot, for a text that is claimed and has missed its own. Raises what `reserve` raises."""
        grant = await self._reserve(1, batch, True)
        return grant.slots[0]

    def late(self, seconds: float, batch: bool = False) -> None:
        """A request leaves so much after its slot. Returns at once; should the database not hear of it, so be it."""
        if self._put_off:
            told = asyncio.ensure_future(self._put_off(seconds, batch))
            self._late.add(told)
            told.add_done_callback(self._told)

    def _told(self, told: asyncio.Future[None]) -> None:
        self._late.discard(told)
        if not told.cancelled():
            told.exception()

    def give_up(self, error: Exception) -> None:
        """Raises this for everybody who waits."""
        for queue in self._queues.values():
            while turn := queue.pop():
                turn.set_exception(error)

    async def _hand_out(self, queue: _Queue, batch: bool) -> None:
        try:
            while queue.waiting:
                count = min(len(queue.waiting), max(int(self._per_second * AHEAD), 1))
                grant = await self._reserve(count, batch, False)
                await asyncio.sleep(grant.ask_again)
                for slot in grant.slots:
                    await asyncio.sleep(max(slot - LEAD - time.monotonic(), 0))
                    if turn := queue.pop():
                        turn.set_result(slot)
        except Exception as error:  # noqa: BLE001 - whatever it is, those who wait have to hear of it
            while turn := queue.pop():
                turn.set_exception(error)
