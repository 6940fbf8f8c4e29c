"""The requests-a-second promise. It is the customer's, not ours: one row in the database keeps it for all workers.

The row holds when the last requests left. A slot is given out so that no window of a second ever holds more than the
limit, and as early as that allows. A request that could not leave in its slot takes another one instead.

Within a worker a person overtakes a trigger. A batch waits in a queue of its own and leaves slots free for people.
"""

import asyncio
import heapq
import itertools
import math
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import psycopg

from connector import lane, sql

SQL = sql.load("pace")

# Slots are asked for this long ahead, so that a slow database does not leave any unused.
AHEAD = 0.05
# A waiting text is told of its slot so long before, because `sending` has to be committed first.
LEAD = 0.04
# No slot is nearer than this: until then `sending` can be committed.
SOON = 0.015
# A request may leave so much after its slot. The window is longer by more than that, because what was late and what is
# punctual must not meet in one second. The rest is for what the network adds to one and not to the other.
LATE = 0.004
SLACK = 0.0115
# Slots come at least so close to each other, as a share of their usual distance: what was missed can be made up for.
CLOSEST = 0.9
# No slot lies further ahead than this, unless the database's clock has been set back.
FURTHEST = 60.0


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `most` requests in each window of `window` seconds."""

    most: int
    window: float

    @classmethod
    def of(cls, per_second: float) -> "Limit":
        """For example 10 a second: at most 10 in each second. 0.5 a second: at most one in each two seconds."""
        most = max(math.floor(per_second), 1)
        return cls(most, max(1.0, 1 / per_second) + SLACK)


@dataclass(frozen=True, slots=True)
class Rates:
    """What all together may send, and what batches may, who leave some for people."""

    everybody: Limit
    batches: Limit

    @classmethod
    def of(cls, per_second: float, batch_share: float) -> "Rates":
        return cls(Limit.of(per_second), Limit.of(per_second * batch_share))


class Slot(NamedTuple):
    """When a request may leave: by our monotonic clock, and by the database's, in seconds."""

    at: float
    stamp: float


def following(recent: Sequence[float], limit: Limit, now: float) -> float:
    """The earliest time for one more request, when those of `recent` (oldest first) have been given out."""
    earliest = now
    if recent:
        earliest = max(earliest, recent[-1] + CLOSEST * limit.window / limit.most)
    if len(recent) >= limit.most:
        earliest = max(earliest, recent[-limit.most] + limit.window)
    return earliest


def reserve(
    connection: psycopg.Connection, rates: Rates, count: int, batch: bool = False, instead_of: float | None = None
) -> list[Slot]:
    """The next `count` slots, committed. `instead_of`: the stamp of one that is given back. Raises lane.Closed."""
    with connection.transaction():
        row = connection.execute(SQL["open"], lane.LANE).fetchone()
        heard = time.monotonic()
        recent, recent_batch, now, stopped_why, held_until = row or ([], [], 0.0, None, None)
        if closed := lane.closed(stopped_why, held_until and held_until - now):
            raise closed
        recent, recent_batch = (
            [at for at in listed if at != instead_of and at < now + FURTHEST] for listed in (recent, recent_batch)
        )
        stamps, soon = [], now + SOON
        for _ in range(count):
            stamp = following(recent, rates.everybody, soon)
            if batch:
                stamp = max(stamp, following(recent_batch, rates.batches, soon))
                recent_batch.append(stamp)
            recent.append(stamp)
            stamps.append(stamp)
        kept = {"recent": recent[-rates.everybody.most :], "recent_batch": recent_batch[-rates.batches.most :]}
        connection.execute(SQL["keep"], lane.LANE | kept)
    # The database looked at its clock once it had the row to itself, just before we heard of it.
    return [Slot(heard + stamp - now, stamp) for stamp in stamps]


Reserve = Callable[[int, bool, float | None], Awaitable[list[Slot]]]


@dataclass(slots=True)
class _Queue:
    """Texts that wait for a slot, the highest priority first, and the task that hands slots to them."""

    waiting: list[tuple[int, int, asyncio.Future[Slot | None]]] = field(default_factory=list)
    task: asyncio.Task[None] | None = None

    def pop(self) -> asyncio.Future[Slot | None] | None:
        """The next that still waits."""
        while self.waiting:
            _, _, turn = heapq.heappop(self.waiting)
            if not turn.done():
                return turn
        return None


class Pace:
    """Hands out slots, one at a time, to the waiting text of the highest priority."""

    def __init__(self, per_second: float, reserve: Reserve) -> None:
        """`per_second` 0 means no limit; `reserve` is the function above but for its connection and rates."""
        self._per_second = per_second
        self._reserve = reserve
        self._queues = {False: _Queue(), True: _Queue()}
        self._order = itertools.count()
        self._turns: dict[int, asyncio.Future[Slot | None]] = {}
        self.unlimited = not per_second

    async def slot(self, text: int, priority: int, batch: bool = False) -> Slot | None:
        """Returns shortly before a request may leave; None: the text was dropped. Raises what `reserve` raises.

        Not for where there is no limit.
        """
        queue = self._queues[batch]
        turn = self._turns[text] = asyncio.get_running_loop().create_future()
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

    async def another(self, slot: Slot, batch: bool = False) -> Slot:
        """One more slot in place of this one, which was missed. Raises what `reserve` raises."""
        [later] = await self._reserve(1, batch, slot.stamp)
        return later

    def give_up(self, error: Exception) -> None:
        """Raises this for everybody who waits."""
        for queue in self._queues.values():
            while turn := queue.pop():
                turn.set_exception(error)

    async def _hand_out(self, queue: _Queue, batch: bool) -> None:
        try:
            while queue.waiting:
                count = min(len(queue.waiting), max(int(self._per_second * AHEAD), 1))
                for slot in await self._reserve(count, batch, None):
                    await asyncio.sleep(max(slot.at - LEAD - time.monotonic(), 0))
                    if turn := queue.pop():
                        turn.set_result(slot)
        except Exception as error:  # noqa: BLE001 - whatever it is, those who wait have to hear of it
            while turn := queue.pop():
                turn.set_exception(error)
