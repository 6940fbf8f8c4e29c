"""The gauges that are read from the database at a scrape. A new one is a line of GAUGES and a query of the same name.

A query returns the label values, then one number for each metric; a number that is null is left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from connector.metrics.readings import Reading
from connector.store import circuit_breaker, leases, queries

SQL = queries.load(__file__)
# Seconds to connect, and milliseconds for each statement. A scrape must not burden a busy database.
CONNECT_SECONDS, STATEMENT_MS = 2, 2000


@dataclass(frozen=True, slots=True)
class Gauge:
    """The metrics of one query: (name, help) of each, with the same labels."""

    query: str
    labels: Sequence[str]
    metrics: Sequence[tuple[str, str]]


GAUGES = (
    Gauge(
        "waiting",
        ("state", "channel"),
        (
            ("connector_texts_waiting", "Texts not sent yet (state: received, queued, held, sending)."),
            ("connector_texts_waiting_age_seconds", "Seconds that the longest waiting of them has been due."),
        ),
    ),
    Gauge(
        "unknown",
        (),
        (
            ("connector_texts_unknown", "Texts whose outcome is unknown until a person settles them."),
            ("connector_texts_unknown_age_seconds", "Seconds since the oldest of them became unknown."),
        ),
    ),
    Gauge(
        "outcomes",
        ("crm",),
        (
            ("connector_write_backs_waiting", "Outcomes that their tickets do not have yet."),
            ("connector_write_backs_refused", "Those of them that the CRM refuses."),
            ("connector_write_backs_waiting_age_seconds", "Seconds since the oldest of them became known."),
        ),
    ),
    Gauge(
        "breakers",
        ("account", "state"),
        (("connector_breaker_state", "1: the account is closed (in use), paused, tripped, or waits_for_person."),),
    ),
    Gauge(
        "workers",
        (),
        (
            ("connector_workers", "Workers that were heard of within 30 seconds."),
            ("connector_worker_heartbeat_age_seconds", "Seconds since the newest heartbeat of any worker."),
        ),
    ),
    Gauge(
        "rate",
        (),
        (("connector_rate_limit_booked_seconds", "Seconds for which the slots of the rate limit are taken ahead."),),
    ),
)


def read(url: str) -> list[Reading]:
    """Read all gauges, over a connection of their own. Raises psycopg.Error when the database cannot be read."""
    conninfo = make_conninfo("", **conninfo_to_dict(url) | {"connect_timeout": CONNECT_SECONDS})
    options = f"-c statement_timeout={STATEMENT_MS} -c default_transaction_read_only=on"
    with psycopg.connect(conninfo, autocommit=True, options=options) as connection:
        return readings(connection)


def readings(connection: psycopg.Connection) -> list[Reading]:
    """Read all gauges."""
    return [reading for gauge in GAUGES for reading in _readings(connection, gauge)]


def _readings(connection: psycopg.Connection, gauge: Gauge) -> list[Reading]:
    asked = {
        "platform": circuit_breaker.PLATFORM,
        "alive": leases.ALIVE,
        "every": leases.ALIVE_SECONDS,
        "silent": leases.SILENT_SECONDS,
    }
    rows = connection.execute(SQL[gauge.query], asked).fetchall()
    count = len(gauge.labels)
    return [
        Reading(
            name,
            words,
            gauge.labels,
            [(row[:count], row[count + place]) for row in rows if row[count + place] is not None],
        )
        for place, (name, words) in enumerate(gauge.metrics)
    ]
