"""What has to be done beside the texts: look at the lane, probe it, keep house, find the chats of unknown texts.

Each duty is done by one worker at a time, whichever takes its turn first.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import NamedTuple

import psycopg
import structlog
from psycopg_pool import ConnectionPool

from connector import backoff, ccaip, duty, lane
from connector.errors import CallFailed, Refused, Unavailable
from connector.gate import Gate

log = structlog.get_logger()

# Seconds between two looks at the lane and at what is due.
LOOK = 1.0
# Seconds before a stopped lane is probed; twice as long each time that it is found wrong, up to the longest.
FIRST_PROBE, LONGEST_PROBE = 15.0, 600.0
PROBE = "probe"


class Duty(NamedTuple):
    """`do` takes a connection in autocommit, and is called every so many seconds."""

    name: str
    every: float
    do: Callable[[psycopg.Connection], None]


class Upkeep:
    """One per worker process."""

    def __init__(
        self,
        pool: ConnectionPool,
        threads: Executor,
        gate: Gate,
        duties: Sequence[Duty],
        batches_wait: Callable[[], bool],
    ) -> None:
        """`batches_wait()`: whether the CRM's calls of the day are nearly used up; it may ask the CRM."""
        self._pool, self._threads, self._gate, self._duties = pool, threads, gate, duties
        self._batches_wait = batches_wait

    async def run(self) -> None:
        """Until cancelled. The lane is looked at while a duty takes its time."""
        await asyncio.gather(self._repeat(self.look), self._repeat(self.do_duties))

    async def _repeat(self, step: Callable[[], None]) -> None:
        """A database or CRM that is away is waited for."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                await loop.run_in_executor(self._threads, step)
            except (psycopg.Error, CallFailed) as error:
                log.warning("upkeep has to wait", why=str(error) or type(error).__name__)
            await asyncio.sleep(LOOK)

    def look(self) -> None:
        """Tell the gate what the worker may take off the queue now, and everybody that there is one."""
        with self._pool.connection() as connection:
            closed = lane.look(connection)
            duty.alive(connection)
        if closed is None and self._gate.closed is not None:
            log.info("texts may leave again")
        self._gate.closed = closed
        waits = self._batches_wait()
        if waits and not self._gate.batches_wait:
            log.warning("batches wait: the CRM's calls of the day are nearly used up")
        self._gate.batches_wait = waits

    def do_duties(self) -> None:
        """Those whose turn it is, and that nobody else has taken."""
        with self._pool.connection() as connection:
            for one in self._duties:
                if duty.take(connection, one.name, one.every):
                    one.do(connection)


def stop(connection: psycopg.Connection, why: str) -> None:
    """Close the lane because of a setting, and have it probed before long."""
    probes = lane.stop(connection, why)
    if probes is not None:
        log.error("texting is stopped: put the setting right; it goes on by itself, or with: connector resume", why=why)
        duty.put_off(connection, PROBE, backoff.doubling(probes, FIRST_PROBE, LONGEST_PROBE))


def prober(account: ccaip.Account, numbers: Sequence[str]) -> Duty:
    """Opens a stopped lane again once the platform finds nothing wrong with the settings for these numbers."""

    def probe(connection: psycopg.Connection) -> None:
        if lane.status(connection).stopped_at is None:
            return
        try:
            for number in numbers:
                ccaip.probe(account, number)
        except Refused as error:
            pause = backoff.doubling(lane.probed(connection), FIRST_PROBE, LONGEST_PROBE)
            duty.put_off(connection, PROBE, pause)
            log.error("texting stays stopped", why=str(error), seconds=round(pause))
        except CallFailed as error:
            pause = (error.retry_after if isinstance(error, Unavailable) else None) or FIRST_PROBE
            duty.put_off(connection, PROBE, pause)
            log.warning("the lane could not be probed", why=str(error))
        else:
            lane.resume(connection)
            log.info("a probe went through: texts may leave again")

    return Duty(PROBE, FIRST_PROBE, probe)
