"""Takes jobs off the queue and runs each in a task of its own."""

from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import timedelta

import psycopg
import structlog
from pgqueuer.errors import FailingListenerError, RetryRequested
from pgqueuer.models import Job
from psycopg import sql

from connector.store import jobs
from connector.store.jobs import Kind, Snooze
from connector.worker.pgqueuer_overrides import Driver, OwnedQueries, SelectiveManager

log = structlog.get_logger()
# A worker that has not been heard of for this long is taken for dead, and its jobs are handed on.
HEARTBEAT = timedelta(seconds=30)
# A worker that has nothing to do looks this often whether there are such jobs, which nobody tells it of.
LOOK = timedelta(seconds=10)
BATCH = 10
# Seconds before a job that failed for a reason of ours is tried again, at the most.
MAX_PAUSE = 300.0
# Seconds before a job that lost the database comes again: nothing is wrong with it.
DATABASE_PAUSE = 2.0
# The database is away, or takes nothing in, or its notifications no longer arrive.
LOST = (psycopg.Error, FailingListenerError)


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
        queries = OwnedQueries(Driver(listening, asking))
        self._manager = SelectiveManager(queries)
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
            except Snooze as later:
                raise RetryRequested(timedelta(seconds=later.seconds), "later") from None
            except psycopg.Error as error:
                log.error("the database does not answer", job=job.id, kind=kind, why=type(error).__name__)
                raise RetryRequested(timedelta(seconds=DATABASE_PAUSE), type(error).__name__) from None
            except Exception as error:
                # Whatever it is, dropping the job would lose a text. PgQueuer keeps the traceback in its log.
                log.error("a job has failed; it comes again", job=job.id, kind=kind, why=type(error).__name__)
                pause = min(2.0 ** min(job.attempts, 10), MAX_PAUSE)
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
            max_concurrent_tasks=jobs.JOBS_IN_HAND,
            heartbeat_timeout=HEARTBEAT,
            shutdown_on_listener_failure=True,
        )

    def stop(self) -> None:
        self._manager.shutdown.set()
