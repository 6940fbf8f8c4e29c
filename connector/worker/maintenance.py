"""What has to be done beside the texts: look at the accounts, probe them, keep house, find the chats of unknown texts.

Each duty is done by one worker at a time, whichever takes its turn first.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

import psycopg
import structlog
from psycopg_pool import ConnectionPool

from connector.ccaip import client
from connector.ccaip.client import Account
from connector.delivery.backpressure import Backpressure
from connector.delivery.breaker import Breaker
from connector.delivery.retry_policy import DIED
from connector.errors import CallFailed, Unavailable
from connector.store import circuit_breaker, leases, mapping_version, postgres, texts

log = structlog.get_logger()

# Seconds between two looks at the accounts and at what is due.
LOOK = 1.0
# Seconds between two times of saying that this machine's clock differs from the database's.
SAY_AGAIN = 600.0

Probe = Callable[[], None]


class MaintenanceTask(NamedTuple):
    """`do` takes a connection in autocommit, and is called every so many seconds."""

    name: str
    every: float
    do: Callable[[psycopg.Connection], object]


class Maintenance:
    """One per worker process."""

    def __init__(
        self,
        pool: ConnectionPool,
        gate: Backpressure,
        breaker: Breaker,
        duties: Sequence[MaintenanceTask],
        probes: Mapping[str, Probe],
        mappings: Mapping[str, str],
        batches_wait: Callable[[], bool],
    ) -> None:
        """`probes` by account; `mappings` are the fingerprints of this worker's. `batches_wait()`: whether the CRM's
        calls are nearly used up; it may ask the CRM.
        """
        self._pool, self._gate, self._breaker, self._duties = pool, gate, breaker, duties
        self._probes, self._mappings, self._batches_wait = probes, mappings, batches_wait
        self._registered = False
        self._clock_said: float | None = None

    async def run(self) -> None:
        """Until cancelled. None of it waits for another, and an error of one ends none."""
        steps: list[tuple[str, Callable[[], None]]] = [
            ("look", self.look),
            ("give up", self.give_up),
            ("calls", self.look_at_calls),
            *((f"probe {name}", partial(self.probe, name)) for name in self._probes),
            *((one.name, partial(self.do, one)) for one in self._duties),
        ]
        with ThreadPoolExecutor(len(steps), "upkeep") as threads:
            await asyncio.gather(*(self._repeat(threads, name, step) for name, step in steps))

    async def _repeat(self, threads: ThreadPoolExecutor, name: str, step: Callable[[], None]) -> None:
        """A database or CRM that is away is waited for."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                await loop.run_in_executor(threads, step)
            except (psycopg.Error, CallFailed) as error:
                log.warning("upkeep has to wait", duty=name, why=str(error).partition("\n")[0] or type(error).__name__)
            except Exception as error:  # noqa: BLE001 - whatever it is, this and all the other duties go on
                log.error("upkeep met an error of the connector's own", duty=name, why=type(error).__name__)
            await asyncio.sleep(LOOK)

    def look(self) -> None:
        """Tell the gate what the worker may take off the queue now, and everybody that there is one."""
        with self._pool.connection() as connection:
            if passed := self._breaker.take_passed():
                circuit_breaker.passed(connection, passed)
            closed = circuit_breaker.look_all(connection)
            leases.alive(connection)
            if not self._registered:
                mapping_version.register(connection, self._mappings)
                self._registered = True
            outdated = mapping_version.outdated(connection, self._mappings)
            self._compare_clocks(connection)
        for name in self._gate.closed.keys() - closed.keys():
            log.info("an account may be used again", account=name)
        if outdated and not self._gate.outdated:
            log.warning("others have a newer mapping: start this worker anew", crms=sorted(outdated))
        self._gate.closed, self._gate.outdated = closed, outdated

    def _compare_clocks(self, connection: psycopg.Connection) -> None:
        """Nothing goes by this machine's clock, but people who read its logs do."""
        ahead = postgres.clock_ahead(connection)
        if ahead and (self._clock_said is None or time.monotonic() - self._clock_said > SAY_AGAIN):
            log.warning("this machine's clock differs from the database's, which counts", seconds=round(ahead, 1))
            self._clock_said = time.monotonic()

    def look_at_calls(self) -> None:
        """Whether batches wait, because the CRM's calls of the day are nearly used up."""
        waits = self._batches_wait()
        if waits and not self._gate.batches_wait:
            log.warning("batches wait: the CRM's calls of the day are nearly used up")
        self._gate.batches_wait = waits

    def give_up(self) -> None:
        """Texts whose workers have died in the middle of a call."""
        with self._pool.connection() as connection:
            for text in texts.give_up_overdue(connection, DIED):
                log.error("the outcome is unknown", text=text, why=DIED)

    def probe(self, name: str) -> None:
        """Use a stopped account again once a probe finds nothing wrong."""
        with self._pool.connection() as connection:
            if not circuit_breaker.probe_due(connection, name):
                return
        try:
            self._probes[name]()
        except CallFailed as error:
            # It may be the way of this worker alone: another one has the next turn, soon.
            asked = (error.retry_after or circuit_breaker.FIRST_PROBE) if isinstance(error, Unavailable) else None
            with self._pool.connection() as connection:
                seconds = circuit_breaker.probed(connection, name, asked)
            log.error("an account stays stopped", account=name, why=str(error), seconds=round(seconds))
        else:
            with self._pool.connection() as connection:
                circuit_breaker.resume(connection, name)
            log.info("a probe went through: an account may be used again", account=name)

    def do(self, one: MaintenanceTask) -> None:
        """A duty, if it is due and nobody else has taken it."""
        with self._pool.connection() as connection:
            if leases.take(connection, one.name, one.every):
                one.do(connection)


def platform_probe(account: Account, numbers: Sequence[str]) -> Probe:
    """Asks the platform about the settings for these numbers, by requests that can send nothing."""

    def probe() -> None:
        for number in numbers:
            client.probe(account, number)

    return probe
