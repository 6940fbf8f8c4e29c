"""The queue: PgQueuer's tables beside the ledger's, so that a job and what it is about are committed together.

A job carries the id of one text and runs at least once; what a second run meets is the ledger's business.
https://pgqueuer.readthedocs.io
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

import psycopg
from pgqueuer.db import PsycopgDriver, SyncPsycopgDriver
from pgqueuer.errors import RetryRequested
from pgqueuer.models import Job
from pgqueuer.qm import QueueManager
from pgqueuer.queries import Queries, SyncQueries
from psycopg import sql

from connector.model import Door


class Kind(StrEnum):
    """What a job does with its text."""

    DELIVER = "deliver"
    WRITE_BACK = "write_back"


# A person comes first; a ticket learns before the next text of its kind leaves.
PRIORITY = {
    (Kind.WRITE_BACK, Door.AGENT): 60,
    (Kind.DELIVER, Door.AGENT): 50,
    (Kind.WRITE_BACK, Door.TRIGGER): 40,
    (Kind.DELIVER, Door.TRIGGER): 30,
    (Kind.WRITE_BACK, Door.BATCH): 20,
    (Kind.DELIVER, Door.BATCH): 10,
}

# A worker that has not been heard of for this long is taken for dead, and its jobs are handed on.
HEARTBEAT = timedelta(seconds=30)
BATCH = 100
# Seconds before a job that failed for a reason of ours is tried again, at the most.
LONGEST_PAUSE = 300.0


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job to add. `after` seconds from now at the earliest."""

    kind: Kind
    text: int
    door: Door
    after: float = 0


def add(connection: psycopg.Connection, jobs: Sequence[NewJob]) -> None:
    """Add jobs within the caller's transaction: they exist if and only if it commits."""
    if jobs:
        SyncQueries(SyncPsycopgDriver(connection)).enqueue(
            [job.kind.value for job in jobs],
            [str(job.text).encode() for job in jobs],
            [PRIORITY[job.kind, job.door] for job in jobs],
            [timedelta(seconds=job.after) for job in jobs],
        )


def install(connection: psycopg.Connection) -> list[str]:
    """Create or upgrade the queue's tables; the caller holds a lock. The names of what was done."""
    return asyncio.run(_install(connection.info.dsn, connection.info.password))


async def _install(dsn: str, password: str) -> list[str]:
    async with await psycopg.AsyncConnection.connect(dsn, password=password, autocommit=True) as connection:
        queries = Queries.from_psycopg_connection(connection)
        if not await queries.schema_is_installed():
            await queries.install()
            return ["queue"]
        return ["queue upgrade"] if (await queries.apply_upgrade()).statements else []


class _Driver(PsycopgDriver):
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


class Consumer:
    """Takes jobs off the queue until told to stop, each in a task of its own."""

    def __init__(self, listening: psycopg.AsyncConnection, asking: psycopg.AsyncConnection, most: int) -> None:
        """Two connections in autocommit; `most` jobs are in hand at once."""
        self._listening = listening
        self._manager = QueueManager(Queries(_Driver(listening, asking)))
        self._most = most

    def register(self, kind: Kind, handle: Callable[[int], Awaitable[None]]) -> None:
        """Have jobs of this kind handled with their text's id. A job that fails is not lost: it comes again."""

        async def run(job: Job) -> None:
            try:
                await handle(int(job.payload or b""))
            except Exception as error:
                # Whatever it is, dropping the job would lose a text. PgQueuer keeps the traceback in its log.
                pause = min(2.0**job.attempts, LONGEST_PAUSE)
                raise RetryRequested(timedelta(seconds=pause), type(error).__name__) from error

        self._manager.entrypoint(kind.value, on_failure="hold", accepts_context=False)(run)

    async def run(self) -> None:
        """Until `stop`; jobs in hand are finished first.

        Raises pgqueuer.errors.FailingListenerError when the database's notifications no longer arrive.
        """
        # The manager tests whether it hears itself as soon as it runs: the connection has to listen before that.
        await self._listening.execute(sql.SQL("listen {}").format(sql.Identifier(self._manager.channel)))
        await self._manager.run(
            dequeue_timeout=timedelta(seconds=30),
            batch_size=BATCH,
            max_concurrent_tasks=self._most,
            heartbeat_timeout=HEARTBEAT,
            shutdown_on_listener_failure=True,
        )

    def stop(self) -> None:
        self._manager.shutdown.set()
