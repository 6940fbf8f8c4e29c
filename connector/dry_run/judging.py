"""Judge a text as delivery would, with what the store knows, or as delivery did. Changes nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

import psycopg

from connector.dry_run.verdicts import Check, Result, Verdict
from connector.model import Channel, Decision, Skip, State, TextRequest
from connector.policy.checks import Known, Policy
from connector.policy.daily_budget import Budgets
from connector.policy.findings import Said
from connector.store import daily_budget, pseudonyms, recipients
from connector.store.decisions import StoredDecision


@dataclass(frozen=True, slots=True)
class Candidate:
    """A text and what the mapping decided about it. A negative `id`: a ticket that has no text."""

    id: int
    channel: Channel
    decision: Decision
    request: TextRequest | None = None


def known(
    connection: psycopg.Connection, crm: str, candidates: Sequence[Candidate], budgets: Budgets, at: datetime
) -> dict[int, Known]:
    """Return what the policy has to know of these texts, by id. What a text itself has claimed or used is left out."""
    if not candidates:
        return {}
    asked = [(one.id, crm, one.decision, one.request.number if one.request else None) for one in candidates]
    numbers = {one.id: one.decision.sms.outbound_number for one in candidates}
    found = recipients.known(connection, asked)
    found = daily_budget.with_use(connection, found, numbers, budgets, at)
    return daily_budget.without_own(connection, found, numbers, budgets, at)


def by_policy(
    connection: psycopg.Connection, policy: Policy, candidate: Candidate, facts: Known, at: datetime
) -> Verdict:
    """Return what the policy makes of a text as of `at` (UTC)."""
    request, decision = candidate.request or TextRequest(), candidate.decision
    ruling = policy.allow(decision, facts, candidate.channel, request.override, at, request.overrides)
    checks = [Check(one.check, one.said, one.why, _until(one.until, one.zone)) for one in ruling.findings]
    against = ruling.against
    return Verdict(
        Result.SEND if against is None else Result.SKIP if against.until is None else Result.WAIT,
        against.why if against else "",
        against.check if against else "",
        decision.rule,
        ruling.sms,
        pseudonyms.of_number(connection, ruling.sms.end_user_number),
        checks,
    )


def by_mapping(skip: Skip) -> Verdict:
    """Return the verdict where the mapping itself skips a text."""
    return Verdict(Result.SKIP, skip.why, skip.check, skip.accepted.rule if skip.accepted else None)


def stored(connection: psycopg.Connection, found: StoredDecision) -> Verdict:
    """Return the verdict that a text got, as far as it is kept."""
    checks = [Check(one["check"], Said(one["said"]), one["why"]) for one in found.trace]
    against = next((one for said in (Said.STOP, Said.HOLD) for one in checks if one.said is said), None)
    number = found.number
    if number is None and found.sms:
        number = pseudonyms.of_number(connection, found.sms.end_user_number)
    result, why = Result.SEND, ""
    if found.state is State.SKIPPED:
        result, why = Result.SKIP, found.why
    elif against:
        result, why = Result.WAIT if against.said is Said.HOLD else Result.SKIP, against.why
    elif found.sms is None:
        result, why = Result.NONE, found.why
    check = against.check if against and result is not Result.SEND else ""
    return Verdict(result, why, check, found.rule, found.sms, number, checks)


def _until(until: datetime | None, zone: str) -> str:
    if until is None:
        return ""
    return f"{until.astimezone(ZoneInfo(zone or 'UTC')):%Y-%m-%d %H:%M} ({zone or 'UTC'})"
