"""Count what delivery does, for metrics: decisions, calls, and how long texts take."""

import time
from collections.abc import Iterable, Mapping, Sequence

from connector.delivery.sender import Outcome
from connector.errors import NotSent, OutcomeUnknown, RefusalCode, Refused, Unavailable
from connector.metrics import counters
from connector.model import OUTCOMES, Channel, Chat, Skip, State, Text
from connector.outcome import Outcome as TextOutcome
from connector.policy.findings import Ruling, Said
from connector.store.outcomes import WriteResult
from connector.transitions import Transition

RESULTS: Mapping[type, str] = {
    Chat: "accepted",
    Refused: "refused",
    Unavailable: "unavailable",
    OutcomeUnknown: "unknown",
    NotSent: "not_sent",
}
CODES = frozenset(code.value for code in RefusalCode)


def ruled(channel: Channel, ruling: Ruling) -> None:
    """Count a decision of the policy, by the check that decided."""
    against = ruling.against
    if against is None:
        counters.DECISIONS.labels(channel.value, counters.NONE, "allowed").inc()
        return
    result = "held" if against.said is Said.HOLD else "skipped"
    counters.DECISIONS.labels(channel.value, counters.known(against.check, counters.CHECKS), result).inc()


def skipped(channel: Channel, skip: Skip) -> None:
    """Count a decision that was made before the policy: by the ticket, its phone, or the mapping."""
    counters.DECISIONS.labels(channel.value, counters.known(skip.check, counters.CHECKS), "skipped").inc()


def called(outcome: Outcome) -> None:
    """Count a call to CCAI Platform."""
    code = outcome.code.value if isinstance(outcome, Refused) and outcome.code else None
    counters.CALLS.labels(RESULTS.get(type(outcome), counters.OTHER), counters.known(code, CODES)).inc()


def settled(texts: Iterable[Text], moves: Sequence[Transition]) -> None:
    """Observe how long these texts took, where these transitions are their outcomes."""
    to_state = {move.id: move.to_state for move in moves}
    for text in texts:
        state = to_state.get(text.id)
        if state is State.SENT:
            counters.SENT_SECONDS.labels(text.channel.value).observe(time.monotonic() - text.arrived)
        if text.attended and state in OUTCOMES:
            counters.CLICK_SECONDS.observe(time.monotonic() - text.arrived)


def written(outcomes: Iterable[TextOutcome], results: Iterable[WriteResult], began: float) -> None:
    """Observe how long the first outcomes took that tickets now have. `began`: time.monotonic() when they were read."""
    written = {one.text for one in results if not one.overtaken and one.refused is None}
    for outcome in outcomes:
        if outcome.text in written and outcome.version == 1:
            counters.WRITTEN_SECONDS.labels(outcome.crm).observe(outcome.age + time.monotonic() - began)
