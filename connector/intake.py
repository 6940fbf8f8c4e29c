"""Takes events in for the threads of a web side: what arrives at the same moment is committed together.

One commit for all that wait costs the database as much as one for each of them, and a sender waits no longer for it.
"""

import queue
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from typing import NamedTuple

import psycopg
from psycopg_pool import ConnectionPool

from connector import ledger
from connector.ledger import TakenIn
from connector.model import TicketEvent

# Events of one commit: as many as a large outbound message has, a few times over.
MOST = 500


class _Waiting(NamedTuple):
    events: Sequence[TicketEvent]
    taken: Future[list[TakenIn]]


class Intake:
    """For the events of one CRM. Its thread begins with the first of them, and lives as long as the process."""

    def __init__(self, pool: ConnectionPool, name: str) -> None:
        self._pool, self._name = pool, name
        self._waiting: queue.SimpleQueue[_Waiting] = queue.SimpleQueue()
        self._starting = threading.Lock()
        self._started = False

    def take_in(self, events: Sequence[TicketEvent]) -> list[TakenIn]:
        """Like ledger.take_in: committed when it returns. Raises psycopg.Error when it is not, or may not be."""
        if not events:
            return []
        if not self._started:
            self._start()
        waiting = _Waiting(events, Future())
        self._waiting.put(waiting)
        return waiting.taken.result()

    def _start(self) -> None:
        with self._starting:
            if not self._started:
                threading.Thread(target=self._work, name=f"intake-{self._name}", daemon=True).start()
                self._started = True

    def _work(self) -> None:
        while True:
            together = [self._waiting.get()]
            count = len(together[0].events)
            while count < MOST and not self._waiting.empty():
                together.append(self._waiting.get())
                count += len(together[-1].events)
            self._take_in(together)

    def _take_in(self, together: Sequence[_Waiting]) -> None:
        try:
            with self._pool.connection() as connection:
                taken = ledger.take_in(connection, [event for one in together for event in one.events])
        except BaseException as error:  # noqa: BLE001 - whoever waits has to hear of it, whatever it is
            if isinstance(error, psycopg.DataError | psycopg.IntegrityError) and len(together) > 1:
                # Something of one sender cannot be kept: that must not be the others' business.
                for one in together:
                    self._take_in([one])
                return
            for one in together:
                one.taken.set_exception(error)
            return
        start = 0
        for one in together:
            one.taken.set_result(taken[start : start + len(one.events)])
            start += len(one.events)
