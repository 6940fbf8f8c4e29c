"""The requests-a-second promise. It is the customer's, not ours: one row in the database keeps it for all workers.

The row holds when the last requests left. A slot is given out so that no window of a second ever holds more than the
limit, and as early as that allows. The slot of a request that could not leave in it is moved.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import psycopg

from connector import lane, people, queue, sql

SQL = sql.load("pace")
LANE = {"lane": lane.PLATFORM}

# No slot is nearer than this: until then `sending` can be committed.
SOON = 0.015
# A request may leave so much after its slot. The window is longer by more than that, because what was late and what is
# punctual must not meet in one second. The rest is for what the network adds to one and not to the other.
LATE = 0.003
SLACK = 0.014
# Slots come at least so close to each other, as a share of their usual distance: what was missed can be made up for.
CLOSEST = 0.9
# No slot lies further ahead than this, unless the database's clock has been set back.
FURTHEST = 60.0
# What the database said of its clock is compared for so long, in seconds; a larger difference is a clock that was set.
REMEMBERED = 10.0
SET = 0.1


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `most` requests in each window of `window` seconds."""

    most: int
    window: float

    @classmethod
    def of(cls, per_second: float) -> "Limit":
        """For example 10 a second: at most 10 in each second. 0.5 a second: at most one in each two seconds."""
        most = max(math.floor(per_second), 1)
        return cls(most, max(1.0, 1 / per_second) + SLACK)


@dataclass(frozen=True, slots=True)
class Rates:
    """What all together may send, and what batches may, who leave some for people."""

    everybody: Limit
    batches: Limit

    @classmethod
    def of(cls, per_second: float, batch_share: float) -> "Rates":
        return cls(Limit.of(per_second), Limit.of(per_second * batch_share))


class Slot(NamedTuple):
    """When a request may leave: by our monotonic clock, and by the database's, in seconds."""

    at: float
    stamp: float


class DatabaseClock:
    """How far our monotonic clock is ahead of the database's, for one process; any number of threads.

    The database looks at its clock before we hear of it, by as much as the machine is busy: sometimes by 10 ms. So what
    was heard soonest counts, of the last seconds.
    """

    def __init__(self) -> None:
        # When each was heard and how far we were ahead; the least first, which is also the oldest.
        self._heard: list[tuple[float, float]] = []

    @property
    def ahead(self) -> float:
        """In seconds. Something has to have been heard."""
        return self._heard[0][1]

    def heard(self, theirs: float, ours: float) -> None:
        """The database's clock said `theirs`, and we heard of it at `ours`. In seconds."""
        ahead = ours - theirs
        kept = [(at, least) for at, least in self._heard if at > ours - REMEMBERED and ahead - SET < least < ahead]
        self._heard = [*kept, (ours, ahead)]


def following(recent: Sequence[float], limit: Limit, now: float) -> float:
    """The earliest time for one more request, when those of `recent` (oldest first) have been given out."""
    earliest = now
    if recent:
        earliest = max(earliest, recent[-1] + CLOSEST * limit.window / limit.most)
    if len(recent) >= limit.most:
        earliest = max(earliest, recent[-limit.most] + limit.window)
    return earliest


@dataclass(slots=True)
class Given:
    """The stamps given out last, oldest first, as many as one window holds: to everybody, and of those to batches."""

    everybody: list[float]
    batches: list[float]

    def one_more(self, rates: Rates, batch: bool, soon: float) -> float:
        """The earliest that is not before `soon`."""
        stamp = following(self.everybody, rates.everybody, soon)
        if batch:
            stamp = max(stamp, following(self.batches, rates.batches, soon))
            self.batches = [*self.batches, stamp][-rates.batches.most :]
        self.everybody = [*self.everybody, stamp][-rates.everybody.most :]
        return stamp

    def instead_of(self, missed: float, rates: Rates, batch: bool, soon: float) -> float:
        """The slot that was missed is moved to `soon`; where a window was given out since, it is one more instead.

        To move it puts off the slot ten further on by as much, where one more would leave a whole slot unused. Of those
        that were given out since, none is ten further on: they only have to keep away from those before it, as they do.
        """
        if missed in self.everybody and (not batch or missed in self.batches):
            later = max(soon, missed)
            self.everybody, self.batches = (
                sorted(later if at == missed else at for at in listed) for listed in (self.everybody, self.batches)
            )
            return later
        self.everybody, self.batches = (
            [at for at in listed if at != missed] for listed in (self.everybody, self.batches)
        )
        return self.one_more(rates, batch, soon)


def reserve(
    connection: psycopg.Connection, clock: DatabaseClock, rates: Rates, count: int, batch: bool = False,
    instead_of: float | None = None,
) -> list[Slot]:
    """The next `count` slots, committed; or one `instead_of` the one with this stamp. Raises lane.Closed.

    None at all for a batch while somebody who comes first waits, at whichever worker.
    """
    if batch and instead_of is None and people.wait(connection, queue.BEFORE_BATCHES):
        return []
    with connection.transaction():
        row = connection.execute(SQL["open"], LANE).fetchone()
        recent, recent_batch, now, stopped_why, confirmed, held_until, held_why = row or ([], [], 0.0, *[None] * 4)
        clock.heard(now, time.monotonic())
        if closed := lane.closed(
            lane.PLATFORM, stopped_why, confirmed, held_until and held_until - now, held_why
        ):
            raise closed
        given = Given(*([at for at in listed if at < now + FURTHEST] for listed in (recent, recent_batch)))
        if instead_of is None:
            stamps = [given.one_more(rates, batch, now + SOON) for _ in range(count)]
        else:
            stamps = [given.instead_of(instead_of, rates, batch, now + SOON)]
        kept = {"recent": given.everybody, "recent_batch": given.batches}
        then = connection.execute(SQL["keep"], LANE | kept).fetchone()
        clock.heard(then[0] if then else now, time.monotonic())
    return [Slot(stamp + clock.ahead, stamp) for stamp in stamps]
