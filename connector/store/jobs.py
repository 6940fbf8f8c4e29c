"""The queue: PgQueuer's tables beside the texts, so that a job and its subject are committed together.

A job carries the ids of texts that were committed together and runs at least once; the store of texts makes a second
run harmless. https://pgqueuer.readthedocs.io
"""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

import psycopg
import structlog
from pgqueuer.db import SyncPsycopgDriver
from pgqueuer.queries import Queries, SyncQueries

from connector.model import Door

log = structlog.get_logger()


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
# Texts of one job, and jobs that are taken at once: together not many more than a worker wants in hand.
JOB_SIZE = 50
JOBS_IN_HAND = 800


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
