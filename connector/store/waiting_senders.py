"""Priority over batches across all workers: while an agent's or a trigger's text waits, no batch text is sent.

Texts that no worker has taken are found in the queue. For texts in hand, the worker repeats an announcement in the
database. The announcement expires soon after a worker dies.
"""

import asyncio
import contextlib
from collections.abc import Collection, Iterator

import psycopg

from connector.store import queries
from connector.store.circuit_breaker import PLATFORM
from connector.store.postgres import Asking

SQL = queries.load(__file__)
# Seconds for which an announcement is valid, and seconds after which it is repeated.
COUNTS, AGAIN = 1.0, 0.3


class WaitingSenders:
    """Agents' and triggers' texts that this worker has in hand and has not sent yet. One per worker process."""

    def __init__(self, ask: Asking) -> None:
        self._ask = ask
        self._waiting: set[int] = set()
        self._some = asyncio.Event()

    @contextlib.contextmanager
    def waiting(self, texts: Collection[int]) -> Iterator[None]:
        """Count these texts as waiting until `left` is called for them or the block ends."""
        self._waiting |= set(texts)
        if self._waiting:
            self._some.set()
        try:
            yield
        finally:
            self.left(texts)

    def left(self, texts: Collection[int]) -> None:
        """Count these texts as waiting no longer."""
        self._waiting -= set(texts)
        if not self._waiting:
            self._some.clear()

    async def run(self) -> None:
        """Announce waiting texts for as long as there are any. Run until cancelled."""
        while True:
            await self._some.wait()
            with contextlib.suppress(psycopg.Error):  # a database that is away gives no slots to batches either
                await self._ask(announce)
            await asyncio.sleep(AGAIN)


def announce(connection: psycopg.Connection) -> None:
    """Announce that an agent's or a trigger's text is in hand."""
    connection.execute(SQL["announce"], {"account": PLATFORM, "seconds": COUNTS})


def wait(connection: psycopg.Connection, kinds: Collection[str]) -> bool:
    """Whether a text with priority over batches waits: in hand at a worker, or in a queued job of these kinds."""
    row = connection.execute(SQL["wait"], {"account": PLATFORM, "kinds": list(kinds)}).fetchone()
    return bool(row and row[0])
