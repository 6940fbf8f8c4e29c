"""The job queue: PgQueuer's tables in the same database, so that a job and its texts are committed together.

A job carries the ids of texts that were committed together, and runs at least once. The store of texts makes a second
run harmless. https://pgqueuer.readthedocs.io
"""

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any

import psycopg
from pgqueuer.db import SyncPsycopgDriver
from pgqueuer.queries import Queries, SyncQueries

from connector.model import Channel


class Kind(StrEnum):
    """The kind of a job. Each channel has its own kind, so that one channel can wait while the others go on."""

    DELIVER_AGENT = "deliver_agent"
    DELIVER_TRIGGER = "deliver_trigger"
    DELIVER_BATCH = "deliver_batch"
    WRITE_BACK = "write_back"


DELIVER = {Channel.AGENT: Kind.DELIVER_AGENT, Channel.TRIGGER: Kind.DELIVER_TRIGGER, Channel.BATCH: Kind.DELIVER_BATCH}
# No batch text is sent while a job of one of these kinds waits.
BEFORE_BATCHES = (Kind.DELIVER_AGENT, Kind.DELIVER_TRIGGER)
# Agents' texts come first. A ticket is written back before the next text of the same channel is sent.
PRIORITY = {
    (Kind.WRITE_BACK, Channel.AGENT): 60,
    (Kind.DELIVER_AGENT, Channel.AGENT): 50,
    (Kind.WRITE_BACK, Channel.TRIGGER): 40,
    (Kind.DELIVER_TRIGGER, Channel.TRIGGER): 30,
    (Kind.WRITE_BACK, Channel.BATCH): 20,
    (Kind.DELIVER_BATCH, Channel.BATCH): 10,
}
# Texts in one job, and jobs that one worker runs at a time: together not many more texts than a worker wants in hand.
JOB_SIZE = 50
JOBS_IN_HAND = 800


class Snooze(Exception):
    """Raised to run the rest of a job again in so many seconds. It is no failure."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"later, in {seconds:.1f} s")
        self.seconds = seconds


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job for one text, to run in `after` seconds at the earliest."""

    kind: Kind
    text: int
    channel: Channel
    after: float = 0


def write_backs(rows: Iterable[Mapping[str, Any]]) -> list[NewJob]:
    """Return a write-back for the text of each row, which has `id` and `channel`; one for a text that comes twice."""
    channels = {row["id"]: Channel(row["channel"]) for row in rows}
    return [NewJob(Kind.WRITE_BACK, text, channel) for text, channel in channels.items()]


def add(connection: psycopg.Connection, jobs: Iterable[NewJob]) -> None:
    """Add jobs in the caller's transaction. Texts of the same kind, channel and delay share jobs."""
    alike: dict[tuple[Kind, Channel, float], list[int]] = {}
    for job in jobs:
        alike.setdefault((job.kind, job.channel, job.after), []).append(job.text)
    rows = [(key, part) for key, texts in alike.items() for part in _parts(texts)]
    if rows:
        SyncQueries(SyncPsycopgDriver(connection)).enqueue(
            [kind.value for (kind, _, _), _ in rows],
            [",".join(map(str, texts)).encode() for _, texts in rows],
            [PRIORITY[kind, channel] for (kind, channel, _), _ in rows],
            [timedelta(seconds=after) for (_, _, after), _ in rows],
        )


def _parts(texts: Sequence[int]) -> Iterator[Sequence[int]]:
    return (texts[start : start + JOB_SIZE] for start in range(0, len(texts), JOB_SIZE))


def install(connection: psycopg.Connection) -> list[str]:
    """Create or upgrade the queue's tables; the names of the changes. The caller must hold the migration lock."""
    return asyncio.run(_install(connection.info.dsn, connection.info.password))


async def _install(dsn: str, password: str) -> list[str]:
    async with await psycopg.AsyncConnection.connect(dsn, password=password, autocommit=True) as connection:
        queries = Queries.from_psycopg_connection(connection)
        if not await queries.schema_is_installed():
            await queries.install()
            return ["queue"]
        return ["queue upgrade"] if (await queries.apply_upgrade()).statements else []
