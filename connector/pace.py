"""The requests-a-second promise. It is the customer's, not ours: one row in the database keeps it for all workers.

Within a worker a person overtakes a trigger and a trigger a batch: a slot is given to whoever comes first then, not to
whoever asked first.
"""

import asyncio
import heapq
import itertools
from collections.abc import Awaitable, Callable

import psycopg

from connector import sql

SQL = sql.load("pace")
LANE = "ccaip"

# Slots are asked for this long ahead, so that a slow database does not leave any unused.
AHEAD = 0.05


def reserve(connection: psycopg.Connection, slots: int, per_second: float) -> float:
    """Reserve the next `slots` slots: seconds until the first of them; the others follow 1/per_second apart."""
    row = connection.execute(SQL["reserve"], {"lane": LANE, "seconds": slots / per_second}).fetchone()
    return max(row[0], 0.0) if row else 0.0


def hold(connection: psycopg.Connection, seconds: float) -> None:
    """Nobody sends for so long: the platform asked for it."""
    connection.execute(SQL["hold"], {"lane": LANE, "seconds": seconds})


class Pace:
    """Hands out slots, one at a time, to the waiting text of the highest priority."""

    def __init__(self, per_second: float, reserve: Callable[[int], Awaitable[float]]) -> None:
        """`per_second` 0 means no limit; `reserve(n)` gives the seconds until the first of n slots."""
        self._per_second = per_second
        self._reserve = reserve
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._order = itertools.count()
        self._task: asyncio.Task[None] | None = None

    async def slot(self, priority: int) -> None:
        """Returns when a request may leave."""
        if not self._per_second:
            return
        turn = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (-priority, next(self._order), turn))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._hand_out())
        await turn

    async def _hand_out(self) -> None:
        try:
            while self._waiting:
                slots = min(len(self._waiting), max(int(self._per_second * AHEAD), 1))
                await asyncio.sleep(await self._reserve(slots))
                for number in range(slots):
                    if number:
                        await asyncio.sleep(1 / self._per_second)
                    self._next()
        except Exception as error:  # noqa: BLE001 - whatever it is, those who wait have to hear of it
            while self._waiting:
                _, _, turn = heapq.heappop(self._waiting)
                if not turn.done():
                    turn.set_exception(error)

    def _next(self) -> None:
        while self._waiting:
            _, _, turn = heapq.heappop(self._waiting)
            if not turn.done():
                turn.set_result(None)
                return
