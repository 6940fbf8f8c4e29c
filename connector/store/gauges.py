"""The gauges that are read from the database at a scrape. A new one is a line of GAUGES and a query of the same name.

A query returns the label values, then one number for each metric; a number that is null is left out. Daily budgets
are a case of their own, because their limits are in the mapping files.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from connector.metrics.readings import Reading
from connector.policy.daily_budget import Budgets
from connector.policy.opt_outs import Source
from connector.store import circuit_breaker, daily_budget, leases, postgres, queries

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
        "settled",
        ("quantile",),
        (
            (
                "connector_texts_unknown_settled_seconds",
                "Seconds from becoming unknown to being settled, of texts that were settled within 7 days.",
            ),
        ),
    ),
    Gauge(
        "settled_count",
        (),
        (("connector_texts_unknown_settled", "Unknown texts that were settled within 7 days."),),
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
        "refused_fields",
        ("crm", "field"),
        (
            (
                "connector_field_writes_refused",
                "Tickets whose field (opt_out, phone_invalid, chat_status) is to be written and that the CRM refuses.",
            ),
        ),
    ),
    Gauge(
        "breakers",
        ("account", "state"),
        (("connector_breaker_state", "1: the account is closed (in use), paused, tripped, or waits_for_person."),),
    ),
    Gauge(
        "operator_pauses",
        ("scope",),
        (("connector_operator_pauses", "Pauses by operators that are in force (scope: all, account, channel, rule)."),),
    ),
    Gauge(
        "opt_outs",
        ("source",),
        (("connector_opt_outs", f"Entries of the suppression list (source: {', '.join(Source)})."),),
    ),
    Gauge(
        "opt_out_reviews",
        (),
        (
            ("connector_opt_out_reviews_pending", "Messages that may be an opt-out and wait for a person's decision."),
            ("connector_opt_out_reviews_overdue", "Those of them that are older than two business days."),
        ),
    ),
    Gauge(
        "chat_sources",
        ("source",),
        (
            (
                "connector_chat_source_age_seconds",
                "Seconds since a source of chat events (webhook, list) last delivered one. Missing if it never did.",
            ),
        ),
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


def read(url: str, budgets: Budgets) -> list[Reading]:
    """Read all gauges, over a connection of their own. Raises psycopg.Error when the database cannot be read."""
    conninfo = make_conninfo("", **conninfo_to_dict(url) | {"connect_timeout": CONNECT_SECONDS})
    options = f"-c statement_timeout={STATEMENT_MS} -c default_transaction_read_only=on"
    with psycopg.connect(conninfo, autocommit=True, options=options) as connection:
        return readings(connection) + _budgets(connection, budgets)


def readings(connection: psycopg.Connection) -> list[Reading]:
    """Read all gauges but those of daily budgets."""
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


def _budgets(connection: psycopg.Connection, budgets: Budgets) -> list[Reading]:
    """The day's budgets. Numbered from 1 in the order of the mapping files: no label holds an outbound number."""
    uses = daily_budget.used(connection, budgets, postgres.now(connection))
    rows = [
        ((f"{place}", budget.unit), float(budget.used(uses[number])), float(budget.limit))
        for place, (number, budget) in enumerate(budgets.items(), 1)
    ]
    labels = ("budget", "unit")
    used, limit = [(key, used) for key, used, _ in rows], [(key, limit) for key, _, limit in rows]
    return [
        Reading("connector_daily_budget_used", "What an outbound number has used of its budget today.", labels, used),
        Reading("connector_daily_budget_limit", "The daily budget of an outbound number.", labels, limit),
    ]
