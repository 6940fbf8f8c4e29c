"""Pacing: the order in which a worker's texts get send slots. An agent's text overtakes a trigger's.

Batches wait in a queue of their own and leave slots free for agents and triggers. The slots are reserved by
`connector.store.rate_limit`.
"""

import asyncio
import heapq
import itertools
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field

from connector.store.rate_limit import Grant

# Seconds of slots that are reserved at once, so that a slow database leaves none unused.
AHEAD = 0.05
# Seconds before its slot at which a waiting text is woken: `sending` has to be committed first, even on a busy machine.
# A missed slot is lost.
LEAD = 0.15

# Reserves slots: (count, for a batch, for a text that is claimed already).
Reserve = Callable[[int, bool, bool], Awaitable[Grant]]
# Reports a late request: (seconds after its slot, of a batch).
PutOff = Callable[[float, bool], Awaitable[None]]


@dataclass(slots=True)
class _Queue:
    """Texts that wait for a slot, highest priority first, and the task that hands slots to them."""

    waiting: list[tuple[int, int, asyncio.Future[float | None]]] = field(default_factory=list)
    task: asyncio.Task[None] | None = None

    def pop(self) -> asyncio.Future[float | None] | None:
        """The next text that is still waiting."""
        while self.waiting:
            _, _, turn = heapq.heappop(self.waiting)
            if not turn.done():
                return turn
        return None


class Pacer:
    """Hand out slots, one at a time, to the waiting text of the highest priority."""

    def __init__(self, per_second: float, reserve: Reserve, put_off: PutOff | None = None) -> None:
        """`per_second` 0: no limit. `reserve` and `put_off` call the rate limit in the database."""
        self._per_second = per_second
        self._reserve, self._put_off = reserve, put_off
        self._late: set[asyncio.Future[None]] = set()
        self._queues = {False: _Queue(), True: _Queue()}
        self._order = itertools.count()
        self._turns: dict[int, asyncio.Future[float | None]] = {}
        self.unlimited = not per_second

    async def slot(self, text: int, priority: int, batch: bool = False) -> float | None:
        """Wait for the text's slot: its time by the monotonic clock, shortly before. None: the text was dropped.

        Raises what `reserve` raises. Do not call when `unlimited`.
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
        """The ids of the texts that wait for a slot."""
        return list(self._turns)

    def drop(self, texts: Iterable[int]) -> None:
        """Take these texts out of the queues: their `slot` returns None."""
        for text in texts:
            turn = self._turns.get(text)
            if turn and not turn.done():
                turn.set_result(None)

    def refuse(self, errors: Mapping[int, Exception]) -> None:
        """Take these texts out of the queues: their `slot` raises the error."""
        for text, error in errors.items():
            turn = self._turns.get(text)
            if turn and not turn.done():
                turn.set_exception(error)

    async def another(self, batch: bool = False) -> float:
        """Reserve the next slot for a claimed text that missed its own. Raises what `reserve` raises."""
        grant = await self._reserve(1, batch, True)
        return grant.slots[0]

    def late(self, seconds: float, batch: bool = False) -> None:
        """Report that a request leaves so many seconds after its slot. Return at once; a failed report is ignored."""
        if self._put_off:
            late = asyncio.ensure_future(self._put_off(seconds, batch))
            self._late.add(late)
            late.add_done_callback(self._finished)

    def _finished(self, late: asyncio.Future[None]) -> None:
        self._late.discard(late)
        if not late.cancelled():
            late.exception()

    def give_up(self, error: Exception) -> None:
        """Raise this error from every waiting `slot`."""
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
        except Exception as error:  # noqa: BLE001 - any error has to reach the waiting texts
            while turn := queue.pop():
                turn.set_exception(error)
