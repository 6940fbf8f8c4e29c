"""Take jobs off the queue and run each in a task of its own."""

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
# A worker without a heartbeat for this long counts as dead, and its jobs go to other workers.
HEARTBEAT = timedelta(seconds=30)
# An idle worker polls for such jobs at this interval, because no notification announces them.
POLL = timedelta(seconds=10)
BATCH = 10
# Longest pause in seconds before a job is retried that failed by an error of the connector's own.
MAX_PAUSE = 300.0
# Seconds before a job is retried that lost the database connection.
DATABASE_PAUSE = 2.0
# The database is away, or rejects writes, or its notifications no longer arrive.
LOST = (psycopg.Error, FailingListenerError)


class Consumer:
    """Run queued jobs until stopped, each in a task of its own. Counts the texts in hand by kind."""

    def __init__(
        self,
        listening: psycopg.AsyncConnection,
        asking: psycopg.AsyncConnection,
        wants: Callable[[Kind, int], bool],
        most: int,
    ) -> None:
        """Both connections must be in autocommit. `wants(kind, texts in hand)`: whether to take more of this kind now.

        `most`: the approximate limit of texts of a kind in hand.
        """
        self._listening = listening
        queries = OwnedQueries(Driver(listening, asking))
        self._manager = SelectiveManager(queries)
        self._in_hand: Counter[Kind] = Counter()
        queries.owner = self._manager.queue_manager_id
        queries.room = lambda: most - min(self._in_hand[kind] for kind in (Kind.DELIVER_TRIGGER, Kind.DELIVER_BATCH))
        self._manager.wants = lambda kind: wants(kind, self._in_hand[kind])

    def register(self, kind: Kind, handle: Callable[[list[int]], Awaitable[None]]) -> None:
        """Call `handle` with the text ids of each job of this kind. A job that fails is retried."""

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
                # Dropping the job would lose a text, whatever the error. PgQueuer keeps the traceback in its log.
                log.error("a job has failed; it comes again", job=job.id, kind=kind, why=type(error).__name__)
                pause = min(2.0 ** min(job.attempts, 10), MAX_PAUSE)
                raise RetryRequested(timedelta(seconds=pause), type(error).__name__) from error
            finally:
                self._in_hand[kind] -= len(texts)

        self._manager.entrypoint(kind.value, on_failure="hold", accepts_context=False)(run)

    async def run(self) -> None:
        """Run until `stop` is called; jobs in hand are finished first. Raises one of LOST when the database is lost."""
        # The manager checks at its start that it receives its own notifications, so the connection has to listen first.
        await self._listening.execute(sql.SQL("listen {}").format(sql.Identifier(self._manager.channel)))
        await self._manager.run(
            dequeue_timeout=POLL,
            batch_size=BATCH,
            max_concurrent_tasks=jobs.JOBS_IN_HAND,
            heartbeat_timeout=HEARTBEAT,
            shutdown_on_listener_failure=True,
        )

    def stop(self) -> None:
        self._manager.shutdown.set()
