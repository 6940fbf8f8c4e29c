"""Maintenance beside delivery: refresh the circuit breakers, probe tripped accounts, run the maintenance tasks.

Each maintenance task (retention, reconciling chats and others) is run by one worker at a time: the one that takes its
lease first.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

import psycopg
import structlog
from psycopg_pool import ConnectionPool

from connector.delivery.backpressure import Backpressure
from connector.delivery.breaker import Breaker
from connector.delivery.retry_policy import DIED
from connector.errors import CallFailed, Unavailable
from connector.store import circuit_breaker, leases, mapping_version, pauses, postgres, texts

log = structlog.get_logger()

# Seconds between refreshes of the circuit breakers, and between checks for tasks that are due.
POLL_SECONDS = 1.0
# Seconds between warnings that this machine's clock differs from the database's.
SAY_AGAIN = 600.0
# Seconds for which a stopping worker tries to sign off. Without it, it counts as running for a little longer.
SIGN_OFF_SECONDS = 2.0

Probe = Callable[[], None]


class MaintenanceTask(NamedTuple):
    """A periodic task. `do` is called every `every` seconds, with a connection in autocommit."""

    name: str
    every: float
    do: Callable[[psycopg.Connection], object]


class Maintenance:
    """Run maintenance. One per worker process."""

    def __init__(
        self,
        pool: ConnectionPool,
        backpressure: Backpressure,
        breaker: Breaker,
        tasks: Sequence[MaintenanceTask],
        probes: Mapping[str, Probe],
        mappings: Mapping[str, str],
        batches_wait: Callable[[], bool],
    ) -> None:
        """`probes`: by account. `mappings`: the fingerprints of this worker's mappings, by CRM.

        `batches_wait()`: whether the CRM's calls are nearly used up; it may call the CRM.
        """
        self._pool, self._backpressure, self._breaker, self._tasks = pool, backpressure, breaker, tasks
        self._probes, self._mappings, self._batches_wait = probes, mappings, batches_wait
        self._registered = False
        self._name = leases.worker_name()
        self._clock_said: float | None = None

    async def run(self) -> None:
        """Run until cancelled. Each activity has a thread of its own, and an error in one ends none."""
        steps: list[tuple[str, Callable[[], None]]] = [
            ("look", self.look),
            ("give up", self.give_up),
            ("calls", self.look_at_calls),
            *((f"probe {name}", partial(self.probe, name)) for name in self._probes),
            *((one.name, partial(self.do, one)) for one in self._tasks),
        ]
        with ThreadPoolExecutor(len(steps), "maintenance") as threads:
            await asyncio.gather(*(self._repeat(threads, name, step) for name, step in steps))

    async def _repeat(self, threads: ThreadPoolExecutor, name: str, step: Callable[[], None]) -> None:
        """Repeat the activity every POLL_SECONDS; an error is logged and does not end it."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                await loop.run_in_executor(threads, step)
            except (psycopg.Error, CallFailed) as error:
                log.warning(
                    "maintenance has to wait", task=name, why=str(error).partition("\n")[0] or type(error).__name__
                )
            except Exception as error:  # noqa: BLE001 - this and all other activities go on, whatever the error
                log.error("maintenance met an error of the connector's own", task=name, why=type(error).__name__)
            await asyncio.sleep(POLL_SECONDS)

    def sign_off(self) -> None:
        """Record that this worker has stopped cleanly. Call after `run` has ended."""
        with contextlib.suppress(psycopg.Error), self._pool.connection(timeout=SIGN_OFF_SECONDS) as connection:
            leases.sign_off(connection, self._name)

    def look(self) -> None:
        """Refresh backpressure from the circuit breakers and mapping versions, and record this worker's heartbeat."""
        with self._pool.connection() as connection:
            if passed := self._breaker.take_passed():
                circuit_breaker.passed(connection, passed)
            found = pauses.everything(connection)
            leases.alive(connection, self._name)
            if not self._registered:
                mapping_version.register(connection, self._mappings)
                self._registered = True
            outdated = mapping_version.outdated(connection, self._mappings)
            self._compare_clocks(connection)
        for name in self._backpressure.paused.keys() - found.by_account.keys():
            log.info("an account may be used again", account=name)
        if outdated and not self._backpressure.outdated:
            log.warning("others have a newer mapping: start this worker anew", crms=sorted(outdated))
        self._backpressure.paused, self._backpressure.outdated = found.by_account, outdated
        self._backpressure.batches_paused = found.batches

    def _compare_clocks(self, connection: psycopg.Connection) -> None:
        """Warn when this machine's clock differs: only the timestamps of its logs depend on it."""
        ahead = postgres.clock_ahead(connection)
        if ahead and (self._clock_said is None or time.monotonic() - self._clock_said > SAY_AGAIN):
            log.warning("this machine's clock differs from the database's, which counts", seconds=round(ahead, 1))
            self._clock_said = time.monotonic()

    def look_at_calls(self) -> None:
        """Refresh whether batches wait because the CRM's calls of the day are nearly used up."""
        waits = self._batches_wait()
        if waits and not self._backpressure.batches_wait:
            log.warning("batches wait: the CRM's calls of the day are nearly used up")
        self._backpressure.batches_wait = waits

    def give_up(self) -> None:
        """Move texts whose claims have expired to `unknown`: their workers died in the middle of a call."""
        with self._pool.connection() as connection:
            for text in texts.give_up_overdue(connection, DIED):
                log.error("the outcome is unknown", text=text, why=DIED)

    def probe(self, name: str) -> None:
        """Probe a tripped account if it is due, and resume it when the probe succeeds."""
        with self._pool.connection() as connection:
            if not circuit_breaker.probe_due(connection, name):
                return
        try:
            self._probes[name]()
        except CallFailed as error:
            # Only this worker's connection may be at fault, so the next probe, by any worker, follows soon.
            asked = (
                (error.retry_after or circuit_breaker.FIRST_PROBE_SECONDS) if isinstance(error, Unavailable) else None
            )
            with self._pool.connection() as connection:
                seconds = circuit_breaker.probed(connection, name, asked)
            log.error("an account stays stopped", account=name, why=str(error), seconds=round(seconds))
        else:
            with self._pool.connection() as connection:
                circuit_breaker.resume(connection, name)
            log.info("a probe went through: an account may be used again", account=name)

    def do(self, one: MaintenanceTask) -> None:
        """Run a maintenance task if it is due and no other worker has taken its lease."""
        with self._pool.connection() as connection:
            if leases.take(connection, one.name, one.every):
                one.do(connection)
