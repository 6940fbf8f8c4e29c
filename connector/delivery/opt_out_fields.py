"""Write the CRM's opt-out field after opt-outs and opt-ins by text. Retried until the CRM has the value.

A worker that is killed leaves the value to be written: another claims it later. docs/opt-outs.md
"""

from collections.abc import Callable, Mapping, Sequence

import psycopg
import structlog

from connector import backoff
from connector.crms import CRM_BATCH_SIZE, Crm
from connector.delivery import isolation
from connector.errors import CallFailed, RefusalScope, Refused
from connector.mapping.rules import Mapping as TicketMapping
from connector.model import Ticket
from connector.store import opt_out_fields, pauses, suppressions
from connector.store.opt_out_fields import FieldResult, FieldWrite
from connector.store.suppressions import FieldSays

log = structlog.get_logger()

# Seconds between looks for values to write.
WRITE_SECONDS = 2.0
# First and longest pause in seconds after a failed attempt, and after a refusal.
FIRST_PAUSE, MAX_PAUSE = 1.0, 1800.0
FIRST_REFUSED, MAX_REFUSED = 30.0, 3600.0
# Seconds between looks at the CRM's own opt-outs, and seconds after which each is compared with its ticket.
FOLLOW_SECONDS, RECHECK_SECONDS = 300.0, 3600.0

Crms = Mapping[str, tuple[Crm, TicketMapping]]
Answers = dict[str, CallFailed | None]


def writer(crms: Crms) -> Callable[[psycopg.Connection], None]:
    """Return the maintenance task that writes the fields of these CRMs. A paused CRM is left alone."""

    def write(connection: psycopg.Connection) -> None:
        for name, (crm, mapping) in _usable(connection, crms):
            if mapping.file.opt_outs.field:
                _write(connection, name, crm, mapping.file.opt_outs.field)

    return write


def follower(crms: Crms) -> Callable[[psycopg.Connection], None]:
    """Return the maintenance task that lifts the CRM's own opt-outs once their tickets no longer say so."""

    def follow(connection: psycopg.Connection) -> None:
        usable = dict(_usable(connection, crms))
        entries = suppressions.take_unchecked(connection, RECHECK_SECONDS, CRM_BATCH_SIZE)
        for name, (crm, mapping) in usable.items():
            mine = [(number, ticket) for number, owner, ticket in entries if owner == name]
            if mine and mapping.file.policy.opt_out:
                found = isolation.read(crm, [ticket for _, ticket in mine])
                suppressions.follow(connection, _says(name, mapping, mine, found))

    return follow


def _usable(connection: psycopg.Connection, crms: Crms) -> list[tuple[str, tuple[Crm, TicketMapping]]]:
    paused = pauses.everything(connection).by_account
    return [(name, connected) for name, connected in crms.items() if name not in paused]


def _says(
    name: str,
    mapping: TicketMapping,
    entries: Sequence[tuple[str, str]],
    found: Mapping[str, Ticket | CallFailed],
) -> list[FieldSays]:
    """Return what the tickets say that could be read. A ticket that is gone lifts nothing."""
    return [
        FieldSays(number, name, ticket_id, mapping.opted_out(ticket))
        for number, ticket_id in entries
        if isinstance(ticket := found.get(ticket_id), Ticket)
    ]


def _write(connection: psycopg.Connection, name: str, crm: Crm, field: str) -> None:
    token, claimed = opt_out_fields.claim(connection, name, CRM_BATCH_SIZE)
    if not claimed:
        return
    answers: Answers = {}
    try:
        unread = [write.ticket_id for write in claimed if write.before is None]
        before, answers = _read(crm, field, unread) if unread else ({}, {})
        opt_out_fields.keep_before(connection, name, before)
        ready = [write for write in claimed if write.ticket_id not in answers and _is_ours(write, before)]
        values = [(write.ticket_id, str(write.opted_out).lower()) for write in ready]
        written = crm.write_field(field, values) if values else []
        answers |= {write.ticket_id: answer for write, answer in zip(ready, written, strict=True)}
    except CallFailed as error:
        answers |= {write.ticket_id: error for write in claimed if write.ticket_id not in answers}
    opt_out_fields.record(connection, name, token, [_result(write, answers.get(write.ticket_id)) for write in claimed])


def _read(crm: Crm, field: str, tickets: Sequence[str]) -> tuple[dict[str, bool], Answers]:
    """Return the fields' values by ticket, and the errors of the others."""
    found = isolation.read(crm, tickets)
    values = {ticket.id: bool(ticket.values[field]) for ticket in found.values() if isinstance(ticket, Ticket)}
    errors: Answers = {ticket: error for ticket, error in found.items() if isinstance(error, CallFailed)}
    gone = Refused("the ticket does not exist, or the connector's user cannot see it", RefusalScope.GONE)
    return values, errors | {ticket: gone for ticket in tickets if ticket not in found}


def _is_ours(write: FieldWrite, before: Mapping[str, bool]) -> bool:
    """Return whether the value is to be written. A field that was set before the connector's first write is left."""
    if write.before is None:
        return write.opted_out and not before[write.ticket_id]
    return write.opted_out or not write.before


def _result(write: FieldWrite, error: CallFailed | None) -> FieldResult:
    if error is None:
        log.info("an opt-out field is as it should be", ticket=write.ticket_id, opted_out=write.opted_out)
        return FieldResult(write.ticket_id, write.version)
    if isinstance(error, Refused) and error.scope is RefusalScope.GONE:
        log.warning("an opt-out field has no record", ticket=write.ticket_id, why=str(error))
        return FieldResult(write.ticket_id, write.version, refused=str(error))
    refused = isinstance(error, Refused)
    first, longest = (FIRST_REFUSED, MAX_REFUSED) if refused else (FIRST_PAUSE, MAX_PAUSE)
    pause = backoff.doubling(write.attempts, first, longest)
    say = log.error if refused else log.warning
    say("an opt-out field is written later", ticket=write.ticket_id, seconds=round(pause), why=str(error))
    return FieldResult(write.ticket_id, write.version, pause, str(error) if refused else None)
