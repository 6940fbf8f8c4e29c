"""What the roll-ups should say, read from the table of texts itself."""

from bisect import bisect_right
from collections import Counter
from datetime import UTC, datetime, timedelta

import psycopg

from connector.metrics.counters import SECONDS_BUCKETS
from connector.store import roll_ups
from connector.store.roll_ups import Count

WIDE = timedelta(days=365)
PERIOD = timedelta(minutes=5)
BOUNDS = (*SECONDS_BUCKETS, float("inf"))
# Period, state, channel, rule, refusal code and the upper bound of the latency.
Kind = tuple[datetime, str, str, str, str, float]


def counted(connection: psycopg.Connection) -> list[Count]:
    """All that `connector report` could count."""
    now = datetime.now(UTC)
    return roll_ups.counts(connection, now - WIDE, now + WIDE)


def in_table(connection: psycopg.Connection) -> list[Count]:
    """The same, counted in the table."""
    query = """select state, channel, coalesce(rule, ''), coalesce(code, ''), count(*) from texts
               group by 1, 2, 3, 4 order by 1, 2, 3, 4"""
    return [Count(*row) for row in connection.execute(query).fetchall()]


def outcomes_rolled_up(connection: psycopg.Connection) -> Counter[Kind]:
    """The roll-ups' outcomes, each with its period and latency."""
    query = """select period, step, channel, rule, code, bucket, sum(texts)::int
               from (table roll_ups union all table roll_up_changes) as rows where step <> 'written'
               group by 1, 2, 3, 4, 5, 6 having sum(texts) <> 0"""
    return Counter({tuple(kind): texts for *kind, texts in connection.execute(query)})


def outcomes_in_table(connection: psycopg.Connection) -> Counter[Kind]:
    """The same, counted in the table."""
    query = """select changed_at, due_at, state, channel, coalesce(rule, ''), coalesce(code, '') from texts
               where state not in ('received', 'queued', 'sending')"""
    found = Counter[Kind]()
    for changed_at, due_at, *names in connection.execute(query):
        bucket = BOUNDS[bisect_right(BOUNDS, (changed_at - due_at).total_seconds())]
        found[(_period(changed_at), *names, bucket)] += 1
    return found


def _period(moment: datetime) -> datetime:
    since_midnight = moment - moment.replace(hour=0, minute=0, second=0, microsecond=0)
    return moment - since_midnight % PERIOD
