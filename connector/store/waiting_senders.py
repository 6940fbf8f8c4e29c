"""Who comes before batches, across all workers: while a trigger or an agent waits anywhere, no batch text leaves.

Those that no worker has taken up yet stand in the queue. For those in hand, the worker says so in the database again
and again; what it says is forgotten soon, should it die.
"""

import asyncio
import contextlib
from collections.abc import Collection, Iterator

import psycopg

from connector.store import queries
from connector.store.circuit_breaker import PLATFORM
from connector.store.postgres import Asking

SQL = queries.load(__file__)
# What a worker says counts for so many seconds; it says it again before that.
COUNTS, AGAIN = 1.0, 0.3


class WaitingSenders:
    """Texts of people and triggers that this worker has in hand and that have not left. One per worker process."""

    def __init__(self, ask: Asking) -> None:
        self._ask = ask
        self._waiting: set[int] = set()
        self._some = asyncio.Event()

    @contextlib.contextmanager
    def waiting(self, texts: Collection[int]) -> Iterator[None]:
        """These wait until `left`, or until the end of it."""
        self._waiting |= set(texts)
        if self._waiting:
            self._some.set()
        try:
            yield
        finally:
            self.left(texts)

    def left(self, texts: Collection[int]) -> None:
        """These wait no longer."""
        self._waiting -= set(texts)
        if not self._waiting:
            self._some.clear()

    async def run(self) -> None:
        """Say that some wait, as long as some do. Until cancelled."""
        while True:
            await self._some.wait()
            with contextlib.suppress(psycopg.Error):  # who does not answer gives no slots either
                await self._ask(announce)
            await asyncio.sleep(AGAIN)


def announce(connection: psycopg.Connection) -> None:
    """Somebody who comes before batches is in hand."""
    connection.execute(SQL["announce"], {"account": PLATFORM, "seconds": COUNTS})


def wait(connection: psycopg.Connection, kinds: Collection[str]) -> bool:
    """Whether somebody who comes before batches waits: in a worker's hands, or in a job of these kinds."""
    row = connection.execute(SQL["wait"], {"account": PLATFORM, "kinds": list(kinds)}).fetchone()
    return bool(row and row[0])
