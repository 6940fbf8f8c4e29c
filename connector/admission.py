"""Whether decided texts may leave: what the ledger knows of them, the policy, and their claims on reason and number."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import psycopg
import structlog
from psycopg_pool import ConnectionPool

from connector import ledger, recipients, steps
from connector.ledger import Wanted
from connector.model import Decision, OutboundSms, Skip, Text
from connector.policy import Policy, Ruling
from connector.steps import Move

log = structlog.get_logger()

Clock = Callable[[], datetime]
# A text that may leave, as it is to leave; or what becomes of it instead; None: it is past this already.
Admitted = OutboundSms | Move | None


def now() -> datetime:
    """The clock that workers go by."""
    return datetime.now(UTC)


class Admission:
    """Admits texts. One per worker process; `policies` by CRM."""

    def __init__(self, pool: ConnectionPool, policies: Mapping[str, Policy], clock: Clock = now) -> None:
        self._pool, self._policies, self._clock = pool, policies, clock

    def admit(self, asked: Sequence[tuple[Text, Decision]]) -> list[Admitted]:
        """In the order given. Those that may leave are queued, committed, with their reason and their number theirs."""
        at = self._clock()
        with self._pool.connection() as connection:
            rulings = self._rulings(connection, asked, at)
            wanted = [
                self._wanted(text, decision, rulings[text.id])
                for text, decision in asked if rulings[text.id].against is None
            ]
            held = ledger.decide(connection, wanted, at) if wanted else {}
        log.info("texts decided", decided={text.id: rulings[text.id].line for text, _ in asked})
        return [_admitted(text, rulings[text.id], held.get(text.id), at) for text, _ in asked]

    def _rulings(
        self, connection: psycopg.Connection, asked: Sequence[tuple[Text, Decision]], at: datetime
    ) -> dict[int, Ruling]:
        known = recipients.known(connection, [
            (text.id, text.crm, decision, text.ask.number if text.ask else None) for text, decision in asked
        ])
        return {
            text.id: self._policies[text.crm].allow(
                decision, known[text.id], text.door, text.ask.override if text.ask else "", at
            )
            for text, decision in asked
        }

    def _wanted(self, text: Text, decision: Decision, ruling: Ruling) -> Wanted:
        # What is sent once more, knowingly, has a reason of its own.
        reason = f"{decision.reason}:{text.id}" if ruling.overrides("reason") else decision.reason
        window = timedelta(0) if ruling.overrides("window") else self._policies[text.crm].window(decision)
        return Wanted(text.id, decision.rule, reason, ruling.sms, ruling.trace, window)


def _admitted(text: Text, ruling: Ruling, held: ledger.Held | None, at: datetime) -> Admitted:
    against = ruling.against
    if against is None:
        if held is None:
            return None
        if held.holder != text.id:
            return steps.skipped_as(text.id, held.holder, ruling.trace)
        if held.number:
            return ruling.sms
        return steps.skipped(text.id, Skip("another text to this number left a moment ago"), ruling.trace)
    if against.check == "reason" and ruling.same_reason is not None:
        return steps.skipped_as(text.id, ruling.same_reason, ruling.trace)
    if against.until is not None:
        return steps.held(text.id, against.why, (against.until - at).total_seconds(), ruling.trace)
    return steps.skipped(text.id, Skip(against.why), ruling.trace)
