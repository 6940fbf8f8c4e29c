"""What a worker takes off the queue now, and what it leaves there for later."""

from dataclasses import dataclass

from connector.lane import Closed
from connector.queue import JOBS_IN_HAND, WRITE_BACKS, Kind

# Texts of one kind in hand: enough for full groups of CRM calls, few enough that what was read is still true when sent.
FEWEST, MOST = 50, JOBS_IN_HAND
SECONDS = 10


def in_hand(per_second: float) -> int:
    """How many texts of a kind a worker takes: what can leave within some seconds. 0 is no limit of requests."""
    return max(FEWEST, min(MOST, int(per_second * SECONDS))) if per_second else MOST


@dataclass(slots=True)
class Gate:
    """One per worker. `closed`: why no text may leave; `batches_wait`: the CRM's calls of the day are for people."""

    most: int
    closed: Closed | None = None
    batches_wait: bool = False

    def wants(self, kind: Kind, in_hand: int) -> bool:
        """Whether to take more jobs of this kind, with so many of its texts in hand."""
        if kind in WRITE_BACKS:
            return True
        if kind is Kind.DELIVER_AGENT:
            # A person gets an answer at once, also that texting is stopped; a pause of seconds is waited for.
            return self.closed is None or self.closed.stopped
        if self.closed or (kind is Kind.DELIVER_BATCH and self.batches_wait):
            return False
        return in_hand < self.most
