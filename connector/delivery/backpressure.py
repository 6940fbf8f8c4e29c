"""What a worker takes off the queue now, and what it leaves there for later."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from connector.store.circuit_breaker import PLATFORM, Closed
from connector.store.jobs import JOBS_IN_HAND, Kind

# Texts of one kind in hand: enough for full groups of CRM calls, few enough that what was read is still true when sent.
FEWEST, MOST = 50, JOBS_IN_HAND
SECONDS = 10


def in_hand(per_second: float) -> int:
    """How many texts of a kind a worker takes: what can leave within some seconds. 0 is no limit of requests."""
    return max(FEWEST, min(MOST, int(per_second * SECONDS))) if per_second else MOST


@dataclass(slots=True)
class Backpressure:
    """One per worker. `closed`: why which remote account is not used; `batches_wait`: the CRM's calls are for people.

    `crms` are the CRMs of this worker; `outdated` those for which it has an older mapping than others.
    """

    most: int
    crms: Collection[str] = ()
    closed: Mapping[str, Closed] = field(default_factory=dict)
    batches_wait: bool = False
    outdated: Collection[str] = ()

    def wants(self, kind: Kind, in_hand: int) -> bool:
        """Whether to take more jobs of this kind, with so many of its texts in hand."""
        crms = [self.closed.get(crm) for crm in self.crms]
        without_crm = bool(crms) and all(crms)
        if kind is Kind.WRITE_BACK:
            return not without_crm
        in_the_way = [self.closed.get(PLATFORM), *(crms if without_crm else [])]
        if kind is Kind.DELIVER_AGENT:
            # A person gets an answer at once, also that texting is stopped; a pause of seconds is waited for.
            return all(closed is None or closed.stopped for closed in in_the_way)
        if any(in_the_way) or (kind is Kind.DELIVER_BATCH and self.batches_wait):
            return False
        return in_hand < self.most
