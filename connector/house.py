"""Keeping house: what people said and are called leaves after its retention, or when one of them asks for it.

The keys stay: an event that comes again years later is still a duplicate, and a reason that was texted stays texted.
"""

from dataclasses import dataclass

import psycopg
import structlog
from psycopg.rows import dict_row

from connector import phone, queue, recipients, sql
from connector.model import Door, State

log = structlog.get_logger()
SQL = sql.load("house")

# Rows that are erased in one transaction.
MOST = 2000
# The queue's own log holds ids and tracebacks, and is for looking into a fault of these days.
QUEUE_LOG_DAYS = 7
# Who repeats a request with its key does it within minutes.
IDEMPOTENCY_DAYS = 7
# A link is worth nothing within minutes; a day more, should clocks differ.
USED_LINK_DAYS = 1


@dataclass(frozen=True, slots=True)
class Erased:
    """How many rows were emptied or deleted."""

    events: int = 0
    texts: int = 0
    queue_log: int = 0
    idempotency: int = 0
    used_links: int = 0
    plans: int = 0


def keep(connection: psycopg.Connection, retention_days: float) -> Erased:
    """Erase what is older than its retention; 0 days keeps events and texts forever."""
    days = {
        "events": retention_days, "texts": retention_days, "queue_log": QUEUE_LOG_DAYS,
        "idempotency": IDEMPOTENCY_DAYS, "used_links": USED_LINK_DAYS, "plans": retention_days,
    }
    erased = Erased(**{
        name: _all_of(connection, f"erase_{name}", many) if many else 0 for name, many in days.items()
    })
    if erased != Erased():
        log.info("retention ended", events=erased.events, texts=erased.texts, queue_log=erased.queue_log)
    return erased


def _all_of(connection: psycopg.Connection, query: str, days: float) -> int:
    count = 0
    while rows := connection.execute(SQL[query], {"days": days, "most": MOST}).rowcount:
        count += rows
    return count


def requeue(connection: psycopg.Connection) -> None:
    """Have jobs that the queue gave up done after all."""
    if rows := connection.execute(SQL["requeue"]).rowcount:
        log.warning("jobs that the queue had given up are done again", jobs=rows)


def purge(connection: psycopg.Connection, number: str) -> Erased:
    """Erase one person's number (E.164), messages and events; what is not sent yet is cancelled, and its ticket told.

    One transaction. A text that is being sent right now keeps its row until the outcome is there: purge again then.
    """
    with connection.transaction(), connection.cursor(row_factory=dict_row) as cursor:
        found = cursor.execute(SQL["of_phone"], {"number": number}).fetchall()
        ids = [row["id"] for row in found if row["state"] != State.SENDING]
        cancelled = cursor.execute(SQL["cancel"], {"ids": ids}).fetchall()
        queue.add(connection, [
            queue.NewJob(queue.Kind.WRITE_BACK, row["id"], Door(row["door"])) for row in cancelled
        ])
        cursor.execute(SQL["forget_texts"], {"ids": ids})
        recipients.forget(connection, number)
        tickets = list({row["ticket_id"] for row in found})
        events = cursor.execute(SQL["forget_events"], {"tickets": tickets, "digits": phone.national(number)}).rowcount
    log.info("one person was erased", to=phone.mask(number), texts=len(ids), events=events)
    return Erased(events=events, texts=len(ids))
