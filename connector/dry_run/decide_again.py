"""Decide a text again, as it would be decided today, beside what was decided. Changes nothing.

The ticket is read from the CRM, and mapping and policy are those of today. What the text itself has claimed or used
does not count against it, and neither do the connector's own write-backs to its ticket.
"""

from collections.abc import Callable, Container, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime

import psycopg

from connector import send_at
from connector.crms import Crm
from connector.delivery import deciding
from connector.delivery.admission import Clock
from connector.dry_run import differences, judging
from connector.dry_run.differences import Difference
from connector.dry_run.judging import Candidate
from connector.dry_run.verdicts import Verdict
from connector.errors import CallFailed, NotThere
from connector.mapping.rules import Mapping as TicketMapping
from connector.model import Channel, Decision, Skip, State, Text
from connector.store import decisions, outcomes, postgres, texts

# Borrows a connection for a block.
Connect = Callable[[], AbstractContextManager[psycopg.Connection]]
ERASED = "what was decided about text {} has been erased: it cannot be decided again"


@dataclass(frozen=True, slots=True)
class Comparison:
    """What was decided about a text at `decided_at` (None: never), and what would be decided at `at`. Times in UTC."""

    text: int
    crm: str
    ticket_id: str
    channel: Channel
    state: State
    then: Verdict
    now: Verdict
    differences: Sequence[Difference]
    decided_at: datetime | None
    at: datetime


def crm_of(connection: psycopg.Connection, text: int, known: Container[str]) -> str:
    """Return the CRM of a text, which is one of those known. Raises NotThere."""
    crm = _load(connection, text).crm
    if crm not in known:
        raise NotThere(f"there is no mapping for {crm} any more")
    return crm


def decide_again(
    connect: Connect, crm: Crm, mapping: TicketMapping, text_id: int, clock: Clock = postgres.now
) -> Comparison:
    """Compare the stored decision about a text with that of today.

    `connect` gives a connection before and after the CRM has answered: none is held during the call. Raises NotThere
    where there is no such text, or its data has been erased; Refused or Unavailable when the call to the CRM fails.
    """
    with connect() as connection:
        text = _load(connection, text_id)
        original = decisions.decision(connection, text_id)
        if original is None or _erased(text, original):
            raise NotThere(ERASED.format(text_id))
        then = judging.stored(connection, original)

    def own_writes(ids: Sequence[int]) -> deciding.OwnWrites:
        with connect() as connection:
            return outcomes.own_writes(connection, ids)

    [decided] = deciding.decider(crm, mapping, own_writes)([text])
    if isinstance(decided, CallFailed):
        raise decided
    with connect() as connection:
        at = _due(text, clock(connection))
        now = _verdict(connection, mapping, text, decided, at)
    return Comparison(
        text.id,
        text.crm,
        text.ticket_id,
        text.channel,
        text.state,
        then,
        now,
        differences.between(then, now),
        original.at,
        at,
    )


def _load(connection: psycopg.Connection, text_id: int) -> Text:
    text = texts.load(connection, [text_id]).get(text_id)
    if text is None:
        raise NotThere(f"there is no text {text_id}")
    return text


def _erased(text: Text, original: decisions.StoredDecision) -> bool:
    """Return whether the text's data is gone: its decision, or the request that it was decided by."""
    why = original.why not in ("", "erased")
    kept = original.sms or original.trace or why or text.state in (State.RECEIVED, State.QUEUED)
    return not kept or (text.request is None and text.channel is not Channel.TRIGGER)


def _due(text: Text, now: datetime) -> datetime:
    """Return as of when the text is decided: now, or the later time that it is scheduled for."""
    scheduled = text.request.send_at if text.request else None
    return max(now, send_at.parse(scheduled)) if scheduled else now


def _verdict(
    connection: psycopg.Connection, mapping: TicketMapping, text: Text, decided: Decision | Skip, at: datetime
) -> Verdict:
    if isinstance(decided, Skip):
        return judging.by_mapping(decided)
    candidate = Candidate(text.id, text.channel, decided, text.request)
    facts = judging.known(connection, text.crm, [candidate], mapping.budgets, at)
    return judging.by_policy(connection, mapping.policy, candidate, facts[text.id], at)
