"""What this connector changes in PgQueuer, and the version that it was written against.

The queue is polled with pauses in between, and a job belongs to the worker that took it.
"""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import psycopg
import structlog
from pgqueuer.db import PsycopgDriver
from pgqueuer.models import Job
from pgqueuer.qm import QueueManager
from pgqueuer.queries import Queries

from connector.store import queries
from connector.store.jobs import JOB_SIZE, Kind

# The version that these overrides and their .sql were written against: its own statements ignore who owns a job.
PGQUEUER = "1.6"
log = structlog.get_logger()
SQL = queries.load(__file__)
# Seconds between two looks into the queue: what arrives in between is taken together. Nobody waits for the first look.
REST = 0.01


class Driver(PsycopgDriver):
    """Listens on one connection and asks on another.

    On a single one every question waits until psycopg stops listening, which takes up to a second.
    """

    def __init__(self, listening: psycopg.AsyncConnection, asking: psycopg.AsyncConnection) -> None:
        super().__init__(listening)
        self._asking = PsycopgDriver(asking)

    async def fetch(self, query: str, *args: object) -> list[dict[str, object]]:
        return await self._asking.fetch(query, *args)

    async def execute(self, query: str, *args: object) -> str:
        return await self._asking.execute(query, *args)


class OwnedQueries(Queries):
    """Looks into the queue with rests in between: a look costs the same for one job as for ten.

    Takes no more jobs than there is room for: what one worker has in hand, another cannot send. Ends, puts back and
    keeps alive only jobs that are still its manager's: one that was taken for dead has no say in them any more.
    """

    room: Callable[[], int]
    owner: Any
    _rested = 0.0

    async def dequeue(self, batch_size: int, *args: Any, **more: Any) -> list[Job]:
        clock = asyncio.get_running_loop().time
        await asyncio.sleep(max(self._rested - clock(), 0))
        taken = await super().dequeue(min(batch_size, max(self.room() // JOB_SIZE, 1)), *args, **more)
        self._rested = clock() + REST
        return taken

    async def log_jobs(self, job_status: Any) -> None:
        await self.driver.execute(
            SQL["end_own"],
            [job.id for job, _, _ in job_status],
            [status for _, status, _ in job_status],
            [traceback.model_dump_json() if traceback else None for _, _, traceback in job_status],
            self.owner,
        )

    async def retry_job(self, job: Job, delay: timedelta, traceback_record: Any) -> None:
        traceback = traceback_record.model_dump_json() if traceback_record else None
        await self.driver.execute(SQL["retry_own"], job.id, delay, traceback, self.owner)

    async def update_heartbeat(self, job_ids: Any) -> None:
        await self.driver.execute(SQL["keep_own_alive"], list(set(job_ids)), self.owner)


class SelectiveManager(QueueManager):
    """Asks for the kinds of jobs that this worker wants now."""

    wants: Callable[[Kind], bool]

    def entrypoints_below_capacity_limits(self) -> set[Any]:
        return {name for name in super().entrypoints_below_capacity_limits() if self.wants(Kind(name))}
