"""Admission of decided texts: apply the policy to what the store knows of them, and claim their reasons and numbers."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import psycopg
import structlog
from psycopg_pool import ConnectionPool

from connector import transitions
from connector.delivery import measures
from connector.model import Decision, OutboundSms, Skip, Text
from connector.outcome import Hold
from connector.policy.checks import Policy
from connector.policy.findings import Finding, Ruling
from connector.store import daily_budget, postgres, recipients, record_fields, suppressions, texts
from connector.store.suppressions import FieldSays
from connector.store.texts import Claim, ClaimResult
from connector.transitions import Transition

log = structlog.get_logger()

Clock = Callable[[psycopg.Connection], datetime]
# What a ticket shows while its text waits, by the check that holds it.
HOLDS = {
    "hours": "outside the hours in which this customer may be texted",
    "budget": "the daily budget of the outbound number is used up",
}
# A text to send with its message, or its transition if it is not sent now; None: the text has moved on since.
Admitted = tuple[Text, OutboundSms] | Transition | None


class Admission:
    """Admit texts for sending. One per worker process; `policies` by CRM."""

    def __init__(
        self,
        pool: ConnectionPool,
        policies: Mapping[str, Policy],
        clock: Clock = postgres.now,
        notify_holds: Collection[str] = (),
    ) -> None:
        """`notify_holds`: the CRMs whose tickets show what their texts wait for.

        Quiet hours and windows use the database's clock, because the workers' own may differ.
        """
        self._pool, self._policies, self._clock, self._notify_holds = pool, policies, clock, notify_holds
        self._budgets = {number: one for policy in policies.values() for number, one in policy.budgets.items()}

    def admit(self, asked: Sequence[tuple[Text, Decision]]) -> list[Admitted]:
        """Admit texts, in the order given. Texts to send are queued and hold their reason and number; committed."""
        with self._pool.connection() as connection:
            at = self._clock(connection)
            suppressions.follow(connection, self._field_says(asked))
            rulings = self._rulings(connection, asked, at)
            wanted = [
                self._wanted(text, decision, rulings[text.id])
                for text, decision in asked
                if rulings[text.id].against is None
            ]
            held = texts.admit(connection, wanted, at) if wanted else {}
            if marked := [(text.crm, text.ticket_id) for text, decision in asked if decision.marked_invalid]:
                record_fields.found_set(connection, marked)
        for text, _ in asked:
            measures.ruled(text.channel, rulings[text.id])
            log.info("text decided", text=text.id, ticket=text.ticket_id, checks=rulings[text.id].line)
        return [
            _as_decided(
                _admitted(text, decision, rulings[text.id], held.get(text.id), at, text.crm in self._notify_holds),
                decision,
            )
            for text, decision in asked
        ]

    def _field_says(self, asked: Sequence[tuple[Text, Decision]]) -> list[FieldSays]:
        """Return the CRM's opt-out field of each ticket, where the mapping names one."""
        return [
            FieldSays(decision.sms.end_user_number, text.crm, text.ticket_id, decision.recipient.opted_out)
            for text, decision in asked
            if self._policies[text.crm].keys.opt_out
        ]

    def _rulings(
        self, connection: psycopg.Connection, asked: Sequence[tuple[Text, Decision]], at: datetime
    ) -> dict[int, Ruling]:
        known = recipients.known(
            connection,
            [(text.id, text.crm, decision, text.request.number if text.request else None) for text, decision in asked],
        )
        numbers = {text.id: decision.sms.outbound_number for text, decision in asked}
        known = daily_budget.with_use(connection, known, numbers, self._budgets, at)
        return {
            text.id: self._policies[text.crm].allow(
                decision,
                known[text.id],
                text.channel,
                text.request.override if text.request else "",
                at,
                text.request.overrides if text.request else None,
            )
            for text, decision in asked
        }

    def _wanted(self, text: Text, decision: Decision, ruling: Ruling) -> Claim:
        # A text that repeats a reason by an override gets a reason of its own.
        reason = f"{decision.reason}:{text.id}" if ruling.overrides("reason") else decision.reason
        window = timedelta(0) if ruling.overrides("window") else self._policies[text.crm].window(decision)
        return Claim(text.id, text.revision, decision.rule, reason, ruling.sms, ruling.trace, window, decision.accepted)


def _as_decided(admitted: Admitted, decision: Decision) -> Admitted:
    """Add to a transition whom the text was meant for, and by which rule, so that it is found and counted by both."""
    if not isinstance(admitted, Transition):
        return admitted
    return replace(admitted, number=decision.sms.end_user_number, rule=decision.rule)


def _admitted(
    text: Text, decision: Decision, ruling: Ruling, held: ClaimResult | None, at: datetime, notifies_holds: bool
) -> Admitted:
    against = ruling.against
    if against is None:
        if held is None:
            return None
        if held.holder != text.id:
            return transitions.skipped_as(text.id, held.holder, ruling.trace, text.revision, decision.accepted)
        if held.number:
            return replace(text, revision=held.revision), ruling.sms
        why = "another text to this number left a moment ago"
        return transitions.skipped(text.id, Skip(why, accepted=decision.accepted), ruling.trace, text.revision)
    if against.check == "reason" and ruling.same_reason is not None:
        if decision.empty and ruling.same_reason_notified:
            skip = Skip(_too_alike(decision, ruling), accepted=decision.accepted)
            return transitions.skipped(text.id, skip, ruling.trace, text.revision)
        return transitions.skipped_as(text.id, ruling.same_reason, ruling.trace, text.revision, decision.accepted)
    if against.until is not None:
        seconds, number = (against.until - at).total_seconds(), decision.sms.end_user_number
        put_off = transitions.held(
            text.id, against.why, seconds, ruling.trace, text.revision, decision.accepted, number
        )
        return replace(put_off, hold=_hold(against)) if notifies_holds else put_off
    return transitions.skipped(text.id, Skip(against.why, accepted=decision.accepted), ruling.trace, text.revision)


def _hold(finding: Finding) -> Hold:
    """A hold until that time, by the clock of its zone; or until a person decides, with no time."""
    if finding.until is None or not finding.zone:
        return Hold(finding.why)
    local = finding.until.astimezone(ZoneInfo(finding.zone))
    return Hold(HOLDS[finding.check], f"{local:%Y-%m-%d %H:%M}, {finding.zone}")


def _too_alike(decision: Decision, ruling: Ruling) -> str:
    """Why a request counts as a repeat of an old reason: a field that would distinguish the two is empty."""
    names = ", ".join(decision.empty)
    return f"text {ruling.same_reason} was for the same reason: {names} is empty on the ticket; give it a new value"
