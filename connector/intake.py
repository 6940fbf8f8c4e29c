"""Takes events in for a web side: what arrives at the same moment is committed together.

One commit for all that wait costs the database as much as one for each of them, and a sender waits no longer for it.
"""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import psycopg
from psycopg_pool import ConnectionPool

from connector import ledger
from connector.grouping import Group
from connector.ledger import TakenIn
from connector.model import TicketEvent

# Events of one commit: as many as a large outbound message has, a few times over.
MOST = 500


class Intake:
    """For the events of one CRM. Both ways are like ledger.take_in: when they return, it is committed.

    They raise psycopg.Error when it is not, or may not be.
    """

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool
        self._threads = ThreadPoolExecutor(1, "intake")
        self._group = Group(self.alone, self._threads, MOST)

    async def together(self, events: Sequence[TicketEvent]) -> list[TakenIn]:
        """With whatever else arrives in this event loop while another commit is under way."""
        try:
            return await self._group(events)
        except (psycopg.DataError, psycopg.IntegrityError):
            # Something of one sender cannot be kept: that must not be the others' business.
            return await asyncio.get_running_loop().run_in_executor(self._threads, self.alone, events)

    def alone(self, events: Sequence[TicketEvent]) -> list[TakenIn]:
        """In a commit of its own."""
        with self._pool.connection() as connection:
            return ledger.take_in(connection, events)
