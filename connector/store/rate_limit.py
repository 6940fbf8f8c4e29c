"""The rate limit in requests per second. It belongs to the customer's account: one row enforces it for all workers.

Send slots are evenly spaced. The row holds the time of the next slot; one statement takes the slot and moves the time
on. The result is a duration, so that clocks need not be compared.
"""

import math
import time
from dataclasses import dataclass

import psycopg

from connector.store import circuit_breaker, jobs, queries, waiting_senders

SQL = queries.load(__file__)

# Shortest time in seconds until a slot: `sending` has to be committed before it.
SOON = 0.02
# Seconds that a request may leave after its slot. A later request delays all following slots by as much, so that late
# and punctual requests do not fall into the same second. A much later request takes another slot.
LATE, MUCH_LATER = 0.01, 0.3
# Seconds that the slots of one second are stretched by. LATE is part of it; the rest allows for latency to the database
# and to the platform that differs between requests.
SLACK = 0.03
# Seconds that a slot may lie ahead. A slot further ahead means that the database's clock was set back.
FURTHEST = 60.0
# Seconds until batch slots are requested again while an agent's or a trigger's text waits.
STAND_BACK = 0.1


def spacing(per_second: float) -> float:
    """Seconds between two slots, such that no second holds more than the limit. 0.103 for 10 per second."""
    most = max(math.floor(per_second), 1)
    return (max(1.0, 1 / per_second) + SLACK) / most


@dataclass(frozen=True, slots=True)
class Rates:
    """Seconds between slots, for all texts and for batches alone. Batches leave some slots to agents and triggers."""

    everybody: float
    batches: float

    @classmethod
    def of(cls, per_second: float, batch_share: float) -> "Rates":
        return cls(spacing(per_second), spacing(per_second * batch_share))


@dataclass(frozen=True, slots=True)
class Grant:
    """Reserved slots, by this process's monotonic clock. If there are none, request again in `ask_again` seconds."""

    slots: list[float]
    ask_again: float = 0.0


def reserve(
    connection: psycopg.Connection, rates: Rates, count: int, batch: bool = False, claimed: bool = False
) -> Grant:
    """Reserve the next `count` slots; committed when it returns. Raises SendingPaused while the account is paused.

    A batch gets none before its share of the slots is due, or while an agent's or a trigger's text waits at any worker.
    `claimed`: the text is claimed and missed its slot, so it gets one in any case.
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
    # The database's clock is read at an unknown moment of the round trip; its middle is the best estimate.
    now, (first, ask_again, *why_not) = (begun + time.monotonic()) / 2, row
    if paused := circuit_breaker.sending_paused(circuit_breaker.PLATFORM, *why_not):
        raise paused
    if ask_again > 0:
        return Grant([], ask_again)
    apart = rates.batches if batch and count > 1 else rates.everybody
    return Grant([now + first + number * apart for number in range(count)])


def put_off(connection: psycopg.Connection, seconds: float, batch: bool) -> None:
    """Delay all slots that are not reserved yet, because a request left so many seconds after its slot."""
    connection.execute(SQL["put_off"], {"account": circuit_breaker.PLATFORM, "seconds": seconds, "batch": batch})
