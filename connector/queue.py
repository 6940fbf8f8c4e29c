"""The queue: PgQueuer's tables beside the ledger's, so that a job and what it is about are committed together.

A job carries the ids of texts that were committed together and runs at least once; what a second run meets is the
ledger's business. https://pgqueuer.readthedocs.io
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any

import psycopg
import structlog
from pgqueuer.db import PsycopgDriver, SyncPsycopgDriver
from pgqueuer.errors import FailingListenerError, RetryRequested
from pgqueuer.models import Job
from pgqueuer.qm import QueueManager
from pgqueuer.queries import Queries, SyncQueries
from psycopg import sql

from connector import sql as queries
from connector.model import Door

# The version that `_Queries` and sql/queue.sql were written against; its own statements do not look at a job's owner.
PGQUEUER = "1.6"
log = structlog.get_logger()
SQL = queries.load("queue")


class Kind(StrEnum):
    """What a job does with its texts. Each door has its own way in, so that one can wait while the others go on.

    A version before this one may run beside it: what it cannot do has a name that it does not know, and the names that
    it used are known here. Jobs are never added under those.
    """

    DELIVER_AGENT = "ask_agent"  # a version before does not know what a person asks for
    DELIVER_TRIGGER = "deliver_trigger"
    DELIVER_BATCH = "ask_batch"
    WRITE_BACK = "write_backs"  # a version before had one text in a job
    OLD_DELIVER = "deliver"
    OLD_WRITE_BACK = "write_back"


WRITE_BACKS = (Kind.WRITE_BACK, Kind.OLD_WRITE_BACK)


DELIVER = {Door.AGENT: Kind.DELIVER_AGENT, Door.TRIGGER: Kind.DELIVER_TRIGGER, Door.BATCH: Kind.DELIVER_BATCH}

# While one of these waits, no batch text leaves.
BEFORE_BATCHES = (Kind.DELIVER_AGENT, Kind.DELIVER_TRIGGER, Kind.OLD_DELIVER)

# A person comes first; a ticket learns before the next text of its kind leaves.
PRIORITY = {
    (Kind.WRITE_BACK, Door.AGENT): 60,
    (Kind.DELIVER_AGENT, Door.AGENT): 50,
    (Kind.WRITE_BACK, Door.TRIGGER): 40,
    (Kind.DELIVER_TRIGGER, Door.TRIGGER): 30,
    (Kind.WRITE_BACK, Door.BATCH): 20,
    (Kind.DELIVER_BATCH, Door.BATCH): 10,
}

# A worker that has not been heard of for this long is taken for dead, and its jobs are handed on.
HEARTBEAT = timedelta(seconds=30)
# A worker that has nothing to do looks this often whether there are such jobs, which nobody tells it of.
LOOK = timedelta(seconds=10)
# Texts of one job, and jobs that are taken at once: together not many more than a worker wants in hand.
JOB_SIZE = 50
BATCH = 10
JOBS_IN_HAND = 800
# Seconds between two looks into the queue: what arrives in between is taken together. Nobody waits for the first look.
REST = 0.01
# Seconds before a job that failed for a reason of ours is tried again, at the most.
LONGEST_PAUSE = 300.0
# Seconds before a job that lost the database comes again: nothing is wrong with it.
DATABASE_PAUSE = 2.0
# The database is away, or takes nothing in, or its notifications no longer arrive.
LOST = (psycopg.Error, FailingListenerError)


class Later(Exception):
    """What is left of this job has to wait for so many seconds. Nothing was lost, nothing went wrong."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"later, in {seconds:.1f} s")
        self.seconds = seconds


@dataclass(frozen=True, slots=True)
class NewJob:
    """Something to do with a text. `after` seconds from now at the earliest."""

    kind: Kind
    text: int
    door: Door
    after: float = 0


def add(connection: psycopg.Connection, jobs: Iterable[NewJob]) -> None:
    """Add jobs within the caller's transaction: they exist if and only if it commits. Those alike become one."""
    alike: dict[tuple[Kind, Door, float], list[int]] = {}
    for job in jobs:
        alike.setdefault((job.kind, job.door, job.after), []).append(job.text)
    rows = [(key, part) for key, texts in alike.items() for part in _parts(texts)]
    if rows:
        SyncQueries(SyncPsycopgDriver(connection)).enqueue(
            [kind.value for (kind, _, _), _ in rows],
            [",".join(map(str, texts)).encode() for _, texts in rows],
            [PRIORITY[kind, door] for (kind, door, _), _ in rows],
            [timedelta(seconds=after) for (_, _, after), _ in rows],
        )


def _parts(texts: Sequence[int]) -> Iterator[Sequence[int]]:
    return (texts[start : start + JOB_SIZE] for start in range(0, len(texts), JOB_SIZE))


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


class _Queries(Queries):
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
        jobs = await super().dequeue(min(batch_size, max(self.room() // JOB_SIZE, 1)), *args, **more)
        self._rested = clock() + REST
        return jobs

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


class _Manager(QueueManager):
    """Asks for the kinds of jobs that this worker wants now."""

    wants: Callable[[Kind], bool]

    def entrypoints_below_capacity_limits(self) -> set[Any]:
        return {name for name in super().entrypoints_below_capacity_limits() if self.wants(Kind(name))}


class Consumer:
    """Takes jobs off the queue until told to stop, each in a task of its own. Counts the texts in hand, by kind."""

    def __init__(
        self,
        listening: psycopg.AsyncConnection,
        asking: psycopg.AsyncConnection,
        wants: Callable[[Kind, int], bool],
        most: int,
    ) -> None:
        """Two connections in autocommit. `wants(kind, texts in hand)`: whether to take more of this kind now.

        About `most` texts of a kind are in hand at once.
        """
        self._listening = listening
        queries = _Queries(_Driver(listening, asking))
        self._manager = _Manager(queries)
        self._in_hand: Counter[Kind] = Counter()
        queries.owner = self._manager.queue_manager_id
        queries.room = lambda: most - min(self._in_hand[kind] for kind in (Kind.DELIVER_TRIGGER, Kind.DELIVER_BATCH))
        self._manager.wants = lambda kind: wants(kind, self._in_hand[kind])

    def register(self, kind: Kind, handle: Callable[[list[int]], Awaitable[None]]) -> None:
        """Have jobs of this kind handled with their texts' ids. A job that fails is not lost: it comes again."""

        async def run(job: Job) -> None:
            texts = [int(text) for text in (job.payload or b"").split(b",")]
            self._in_hand[kind] += len(texts)
            try:
                await handle(texts)
            except Later as later:
                raise RetryRequested(timedelta(seconds=later.seconds), "later") from None
            except psycopg.Error as error:
                log.error("the database does not answer", job=job.id, kind=kind, why=type(error).__name__)
                raise RetryRequested(timedelta(seconds=DATABASE_PAUSE), type(error).__name__) from None
            except Exception as error:
                # Whatever it is, dropping the job would lose a text. PgQueuer keeps the traceback in its log.
                log.error("a job has failed; it comes again", job=job.id, kind=kind, why=type(error).__name__)
                pause = min(2.0 ** min(job.attempts, 10), LONGEST_PAUSE)
                raise RetryRequested(timedelta(seconds=pause), type(error).__name__) from error
            finally:
                self._in_hand[kind] -= len(texts)

        self._manager.entrypoint(kind.value, on_failure="hold", accepts_context=False)(run)

    async def run(self) -> None:
        """Until `stop`; jobs in hand are finished first. Raises one of LOST when the database goes away."""
        # The manager tests whether it hears itself as soon as it runs: the connection has to listen before that.
        await self._listening.execute(sql.SQL("listen {}").format(sql.Identifier(self._manager.channel)))
        await self._manager.run(
            dequeue_timeout=LOOK,
            batch_size=BATCH,
            max_concurrent_tasks=JOBS_IN_HAND,
            heartbeat_timeout=HEARTBEAT,
            shutdown_on_listener_failure=True,
        )

    def stop(self) -> None:
        self._manager.shutdown.set()
