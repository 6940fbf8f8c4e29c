"""Retention: personal data is erased when its retention period ends; and repair of missing jobs and stale claims.

Keys are kept: an event that is delivered again years later is still a duplicate, and a reason is never texted twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import psycopg
import structlog

from connector.model import Channel
from connector.store import jobs, queries
from connector.store.jobs import Kind, NewJob

log = structlog.get_logger()
SQL = queries.load(__file__)

# Rows that are erased in one transaction.
CRM_BATCH_SIZE = 2000
# The queue's own log holds ids and tracebacks, for the diagnosis of recent faults.
QUEUE_LOG_DAYS = 7
# A client repeats a request with the same key within minutes.
IDEMPOTENCY_DAYS = 7
# A link expires within minutes; a day allows for clocks that differ.
USED_LINK_DAYS = 1
# A caller's request count matters only within its minute.
USE_DAYS = 1
# Counts of past days are kept for questions about them; nothing uses them. A text's late answer may still correct them.
BUDGET_DAYS = 30
# A number that a person looked up is needed while the page of that person is open.
LOOKUP_DAYS = 1
# A pause that has ended by itself matters no more.
ENDED_PAUSE_DAYS = 1

# The repairs, and the log message of each.
JOBS = ("requeue", "jobs_of_later", "beats_of_later", "texts_of_later")
CLAIMS = ("reasons_of_none", "numbers_of_none")
REPAIRED = {
    "requeue": "jobs that the queue had given up are done again",
    "jobs_of_later": "the database's clock was set back: jobs that it had put off are due as they were meant",
    "beats_of_later": "the database's clock was set back: workers that it had heard of in the future are given up",
    "texts_of_later": "the database's clock was set back: texts that wait are due as they were meant",
    "reasons_of_none": "reasons that were held by texts that are over are free again",
    "numbers_of_none": "numbers that were held by texts that are over are free again",
    "without_job": "texts that had no job have one again",
}


@dataclass(frozen=True, slots=True)
class Erased:
    """The numbers of rows that were emptied or deleted."""

    events: int = 0
    texts: int = 0
    queue_log: int = 0
    idempotency: int = 0
    used_links: int = 0
    use: int = 0
    plans: int = 0
    opt_out_reviews: int = 0
    chat_events: int = 0
    chats: int = 0
    pauses: int = 0
    bulk_actions: int = 0
    person_lookups: int = 0
    budgets: int = 0
    budget_corrections: int = 0
    record_fields: int = 0


def keep(connection: psycopg.Connection, retention_days: float) -> Erased:
    """Erase data older than its retention period. 0 days keeps events, texts, plans and chat events forever."""
    days = {
        "events": retention_days,
        "texts": retention_days,
        "queue_log": QUEUE_LOG_DAYS,
        "idempotency": IDEMPOTENCY_DAYS,
        "used_links": USED_LINK_DAYS,
        "use": USE_DAYS,
        "plans": retention_days,
        "opt_out_reviews": retention_days,
        "chat_events": retention_days,
        "chats": retention_days,
        "pauses": ENDED_PAUSE_DAYS,
        "bulk_actions": retention_days,
        "person_lookups": LOOKUP_DAYS,
        "budgets": BUDGET_DAYS,
        "budget_corrections": BUDGET_DAYS,
        "record_fields": retention_days,
    }
    erased = Erased(**{name: _all_of(connection, f"erase_{name}", many) if many else 0 for name, many in days.items()})
    if erased != Erased():
        log.info("retention ended", events=erased.events, texts=erased.texts, queue_log=erased.queue_log)
    return erased


def _all_of(connection: psycopg.Connection, query: str, days: float) -> int:
    count = 0
    while rows := connection.execute(SQL[query], {"days": days, "most": CRM_BATCH_SIZE}).rowcount:
        count += rows
    return count


def requeue(connection: psycopg.Connection) -> None:
    """Repair the queue: give each text with work left a job, and make jobs due that a clock change has put off.

    A safety net: in normal operation it finds nothing to repair.
    """
    with connection.transaction():
        _repaired(connection, JOBS)
        lost = connection.execute(SQL["without_job"], {"kind": Kind.WRITE_BACK.value}).fetchall()
        jobs.add(
            connection,
            [
                NewJob(Kind.WRITE_BACK if decided else jobs.DELIVER[Channel(channel)], text, Channel(channel))
                for text, channel, decided in lost
            ],
        )
    if lost:
        log.warning(REPAIRED["without_job"], rows=len(lost))
    free(connection, all_texts=False)


def free(connection: psycopg.Connection, all_texts: bool = True) -> None:
    """Release reasons and numbers held by texts that ended without sending: of the last hours, or of all texts."""
    with connection.transaction():
        _repaired(connection, CLAIMS, all=all_texts)


def _repaired(connection: psycopg.Connection, names: Sequence[str], **asked: bool) -> None:
    for name in names:
        if rows := connection.execute(SQL[name], asked or None).rowcount:
            log.warning(REPAIRED[name], rows=rows)
