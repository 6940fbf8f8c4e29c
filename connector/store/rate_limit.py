"""The requests-a-second promise. It is the customer's, not ours: one row in the database keeps it for all workers.

Slots are evenly spaced. The row holds when the next one is; whoever asks takes it, and moves it on, in one statement.
The answer is a duration, so that no clock has to be compared with another.
"""

import math
import time
from dataclasses import dataclass

import psycopg

from connector.store import circuit_breaker, jobs, queries, waiting_senders

SQL = queries.load(__file__)

# No slot is nearer than this: until then `sending` can be committed.
SOON = 0.02
# A request may leave so much after its slot without more ado. One that is later puts off those that come after it by as
# much: what was late and what is punctual must not meet in one second. One that is much later asks for another slot.
LATE, MUCH_LATER = 0.01, 0.3
# Ten gaps are so much longer than a second. LATE is part of it; the rest is for what the way to the database and to the
# platform adds to one request and not to another.
SLACK = 0.03
# No slot lies further ahead than this, unless the database's clock has been set back.
FURTHEST = 60.0
# Seconds before slots for batches are asked for again, where somebody who comes before them waits.
STAND_BACK = 0.1


def spacing(per_second: float) -> float:
    """Seconds between two slots, so that no second holds more. For example 10 a second: 0.103."""
    most = max(math.floor(per_second), 1)
    return (max(1.0, 1 / per_second) + SLACK) / most


@dataclass(frozen=True, slots=True)
class Rates:
    """How far apart all slots are, and those of batches, which leave some for people. In seconds."""

    everybody: float
    batches: float

    @classmethod
    def of(cls, per_second: float, batch_share: float) -> "Rates":
        return cls(spacing(per_second), spacing(per_second * batch_share))


@dataclass(frozen=True, slots=True)
class Grant:
    """When requests may leave, by our monotonic clock; without any, in how many seconds to ask again."""

    slots: list[float]
    ask_again: float = 0.0


def reserve(
    connection: psycopg.Connection, rates: Rates, count: int, batch: bool = False, claimed: bool = False
) -> Grant:
    """The next `count` slots, committed. Raises Closed.

    None for a batch before its share of the slots is due, or while somebody who comes first waits, at whichever worker.
    Its text may be `claimed` already, and missed its slot: then it has to leave.
    """
    stands_back = batch and not claimed
    if stands_back and waiting_senders.wait(connection, jobs.BEFORE_BATCHES):
        return Grant([], STAND_BACK)
    begun, asked = (
        time.monotonic(),
        {
            "account": circuit_breaker.PLATFORM,
            "soon": SOON,
            "furthest": FURTHEST,
            "count": count,
            "batch": batch,
            "stands_back": stands_back,
            "apart": rates.everybody,
            "apart_batches": rates.batches,
        },
    )
    row = connection.execute(SQL["reserve"], asked).fetchone()
    if row is None:
        connection.execute(SQL["begin"], {"account": circuit_breaker.PLATFORM})
        return reserve(connection, rates, count, batch, claimed)
    # Half of the way there and back: nobody knows which half the database was slow in.
    now, (first, ask_again, *why_not) = (begun + time.monotonic()) / 2, row
    if closed := circuit_breaker.closed(circuit_breaker.PLATFORM, *why_not):
        raise closed
    if ask_again > 0:
        return Grant([], ask_again)
    apart = rates.batches if batch and count > 1 else rates.everybody
    return Grant([now + first + number * apart for number in range(count)])


def put_off(connection: psycopg.Connection, seconds: float, batch: bool) -> None:
    """A request left so much after its slot: the slots that are still to be given out are as much later."""
    connection.execute(SQL["put_off"], {"account": circuit_breaker.PLATFORM, "seconds": seconds, "batch": batch})
