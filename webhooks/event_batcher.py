"""Batch the events of a web process: requests that arrive together share a commit.

A commit for all waiting requests costs the database as much as a commit for one, and delays no sender.
"""

import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import psycopg
from psycopg_pool import ConnectionPool

Event = TypeVar("Event")
Receipt = TypeVar("Receipt")

# Events in a commit: several times the size of a large outbound message.
MAX_EVENTS = 500


@dataclass(frozen=True, slots=True)
class _Batch(Generic[Event, Receipt]):
    """The events of one request. One commit holds all of them."""

    events: Sequence[Event]
    receipts: Future[list[Receipt]] = field(default_factory=Future)


class EventBatcher(Generic[Event, Receipt]):
    """Saves the events of one sender for any number of request threads. Commits in a thread of its own."""

    def __init__(
        self, pool: ConnectionPool, save: Callable[[psycopg.Connection, Sequence[Event]], list[Receipt]]
    ) -> None:
        """`save` commits events and returns a receipt for each, in the order given."""
        self._pool, self._save = pool, save
        self._waiting: queue.SimpleQueue[_Batch[Event, Receipt]] = queue.SimpleQueue()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    def save(self, events: Sequence[Event]) -> list[Receipt]:
        """Return the receipts of these events. They are committed when this returns.

        Raises psycopg.Error when the commit failed, or when its result is not known.
        """
        batch: _Batch[Event, Receipt] = _Batch(events)
        self._waiting.put(batch)
        self._start()
        return batch.receipts.result()

    def _start(self) -> None:
        if self._thread is None:
            with self._starting:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._work, name="event-batcher", daemon=True)
                    self._thread.start()

    def _work(self) -> None:
        while True:
            self._save_all(self._next())

    def _next(self) -> list[_Batch[Event, Receipt]]:
        """Wait for a request, then add those that wait too, up to MAX_EVENTS events. A request is never split."""
        batches = [self._waiting.get()]
        count = len(batches[0].events)
        while count < MAX_EVENTS:
            try:
                batches.append(self._waiting.get_nowait())
            except queue.Empty:
                break
            count += len(batches[-1].events)
        return batches

    def _save_all(self, batches: Sequence[_Batch[Event, Receipt]]) -> None:
        """Set the receipts of each batch, or the error that its request raises."""
        try:
            receipts = iter(self._commit([event for batch in batches for event in batch.events]))
        except Exception as error:  # noqa: BLE001 - each request thread raises it, whatever it is
            if len(batches) > 1 and not isinstance(error, psycopg.OperationalError):
                for batch in batches:  # isolate the request whose data cannot be stored
                    self._save_all([batch])
                return
            for batch in batches:
                batch.receipts.set_exception(error)
        else:
            for batch in batches:
                batch.receipts.set_result([next(receipts) for _ in batch.events])

    def _commit(self, events: Sequence[Event]) -> list[Receipt]:
        with self._pool.connection() as connection:
            return self._save(connection, events)
