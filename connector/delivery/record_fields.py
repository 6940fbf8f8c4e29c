"""Write the CRM's checkboxes beside the write-back: opt-outs, and numbers that cannot be texted.

Retried until the CRM has the value. A worker that is killed leaves it to be written: another claims it later.
"""

from collections.abc import Callable, Mapping

import psycopg
import structlog

from connector import backoff
from connector.crms import CRM_BATCH_SIZE, Crm
from connector.errors import CallFailed, RefusalScope, Refused
from connector.mapping.rules import Mapping as TicketMapping
from connector.model import FieldKind, FieldState
from connector.store import pauses, record_fields
from connector.store.record_fields import FieldResult, FieldWrite

log = structlog.get_logger()

# Seconds between looks for values to write.
WRITE_SECONDS = 2.0
# First and longest pause in seconds after a failed attempt, and after a refusal.
FIRST_PAUSE, MAX_PAUSE = 1.0, 1800.0
FIRST_REFUSED, MAX_REFUSED = 30.0, 3600.0

Crms = Mapping[str, tuple[Crm, TicketMapping]]
Answers = dict[str, CallFailed | None]


def writer(crms: Crms) -> Callable[[psycopg.Connection], None]:
    """Return the maintenance task that writes the fields of these CRMs. A paused CRM is left alone."""

    def write(connection: psycopg.Connection) -> None:
        paused = pauses.everything(connection).by_account
        for name, (crm, mapping) in crms.items():
            if name not in paused:
                for kind, field in mapping.file.record_fields.items():
                    _write(connection, name, crm, kind, field)

    return write


def _write(connection: psycopg.Connection, name: str, crm: Crm, kind: FieldKind, field: str) -> None:
    token, claimed = record_fields.claim(connection, name, kind, CRM_BATCH_SIZE)
    if not claimed:
        return
    answers: Answers = {}
    try:
        unread = [write.ticket_id for write in claimed if write.before is None]
        found = crm.read_field(field, unread) if unread else {}
        answers |= {ticket: _gone() for ticket in unread if ticket not in found}
        before = {write.ticket_id: write.before for write in claimed}
        before |= record_fields.keep_before(connection, name, kind, found)
        ready = [
            write
            for write in claimed
            if write.ticket_id not in answers
            and before[write.ticket_id] is False
            and _differs(write, found.get(write.ticket_id))
        ]
        values = [(write.ticket_id, str(write.value).lower()) for write in ready]
        written = crm.write_field(field, values) if values else []
        answers |= {write.ticket_id: answer for write, answer in zip(ready, written, strict=True)}
    except CallFailed as error:
        answers |= {write.ticket_id: error for write in claimed if write.ticket_id not in answers}
    results = [_result(kind, write, answers.get(write.ticket_id)) for write in claimed]
    record_fields.record(connection, name, kind, token, results)


def _gone() -> CallFailed:
    return Refused("there is no such record, or the connector's user cannot see it", RefusalScope.GONE)


def _differs(write: FieldWrite, state: FieldState | None) -> bool:
    """Return whether the field has another value, as far as it was just read."""
    return state is None or state.value is not write.value


def _result(kind: FieldKind, write: FieldWrite, error: CallFailed | None) -> FieldResult:
    where = {"field": kind.value, "ticket": write.ticket_id}
    if error is None:
        log.info("a field of a record is as it should be", **where, value=write.value)
        return FieldResult(write.ticket_id, write.version)
    if isinstance(error, Refused) and error.scope is RefusalScope.GONE:
        log.warning("a field has no record", **where, why=str(error))
        return FieldResult(write.ticket_id, write.version, refused=str(error))
    refused = isinstance(error, Refused)
    first, longest = (FIRST_REFUSED, MAX_REFUSED) if refused else (FIRST_PAUSE, MAX_PAUSE)
    pause = backoff.doubling(write.attempts, first, longest)
    if refused:
        log.error("the CRM refuses a field", **where, seconds=round(pause), why=str(error))
    else:
        log.warning("a field of a record is written later", **where, seconds=round(pause), why=str(error))
    return FieldResult(write.ticket_id, write.version, pause, str(error) if refused else None)
