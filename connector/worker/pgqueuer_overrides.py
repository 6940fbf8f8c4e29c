"""What this connector changes in PgQueuer, and the version that it was written against.

The queue is polled with pauses in between, and a job belongs to the worker that took it.
"""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import psycopg
from pgqueuer.db import PsycopgDriver
from pgqueuer.models import Job
from pgqueuer.qm import QueueManager
from pgqueuer.queries import Queries

from connector.store import queries
from connector.store.jobs import JOB_SIZE, Kind

# The version that these overrides and their .sql were written against: its own statements ignore who owns a job.
PGQUEUER = "1.6"
SQL = queries.load(__file__)
# Seconds between polls of the queue. Jobs that arrive in between are taken together; the first poll is immediate.
REST = 0.01


class Driver(PsycopgDriver):
    """Listen on one connection and run queries on another.

    On a single connection each query waits until psycopg stops listening, which takes up to a second.
    """

    def __init__(self, listening: psycopg.AsyncConnection, asking: psycopg.AsyncConnection) -> None:
        super().__init__(listening)
        self._asking = PsycopgDriver(asking)

    async def fetch(self, query: str, *args: object) -> list[dict[str, object]]:
        return await self._asking.fetch(query, *args)

    async def execute(self, query: str, *args: object) -> str:
        return await self._asking.execute(query, *args)


class OwnedQueries(Queries):
    """Poll the queue with pauses in between: a poll costs the same for one job as for ten.

    Takes no more jobs than the worker has room for, so that other workers can send the rest. Ends, retries and keeps
    alive only jobs that its manager still owns: a manager that counts as dead has lost its jobs to others.
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
    """Take only the kinds of jobs that this worker wants now."""

    wants: Callable[[Kind], bool]

    def entrypoints_below_capacity_limits(self) -> set[Any]:
        return {name for name in super().entrypoints_below_capacity_limits() if self.wants(Kind(name))}
