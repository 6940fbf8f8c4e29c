"""Backpressure: which kinds of jobs a worker takes off the queue now, and which it leaves there."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from connector.store.circuit_breaker import PLATFORM, SendingPaused
from connector.store.jobs import JOBS_IN_HAND, Kind

# Texts of one kind in hand: enough to fill batched CRM calls, few enough that a ticket that was read is still current
# when its text is sent.
MIN_IN_HAND, MAX_IN_HAND = 50, JOBS_IN_HAND
IN_HAND_SECONDS = 10


def in_hand(per_second: float) -> int:
    """Texts of one kind that a worker takes: as many as leave in IN_HAND_SECONDS. `per_second` 0: no limit."""
    return max(MIN_IN_HAND, min(MAX_IN_HAND, int(per_second * IN_HAND_SECONDS))) if per_second else MAX_IN_HAND


@dataclass(slots=True)
class Backpressure:
    """One per worker. `max_in_hand`: limit of texts in hand per kind. `paused`: the current pauses, by account.

    `batches_paused`: the operator's pause of the batch channel. `batches_wait`: the CRM's remaining calls are reserved
    for agents and triggers. `crms`: the CRMs of this worker;
    `outdated`: those for which its mapping is older than that of other workers.
    """

    max_in_hand: int
    crms: Collection[str] = ()
    paused: Mapping[str, SendingPaused] = field(default_factory=dict)
    batches_paused: SendingPaused | None = None
    batches_wait: bool = False
    outdated: Collection[str] = ()

    def wants(self, kind: Kind, in_hand: int) -> bool:
        """Whether to take more jobs of this kind, given the number of its texts in hand."""
        crms = [self.paused.get(crm) for crm in self.crms]
        without_crm = bool(crms) and all(crms)
        if kind is Kind.WRITE_BACK:
            return not without_crm
        in_the_way = [self.paused.get(PLATFORM), *(crms if without_crm else [])]
        if kind is Kind.DELIVER_AGENT:
            # When the breaker is tripped, an agent gets a failure at once; a pause of seconds is waited out.
            return all(pause is None or pause.until_resumed for pause in in_the_way)
        if any(in_the_way) or (kind is Kind.DELIVER_BATCH and (self.batches_paused or self.batches_wait)):
            return False
        return in_hand < self.max_in_hand
