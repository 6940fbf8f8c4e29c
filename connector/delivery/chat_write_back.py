"""Keep the chat fields of tickets current: each change of a chat's status is written, until the chat has ended.

A status never takes the place of an outcome. It waits for outcomes of its ticket, has a share of the CRM's calls that
ends before that of batches does, and waits while the CRM's circuit breaker is open.
"""

import time
from collections.abc import Mapping, Sequence

import psycopg
import structlog

from connector import backoff
from connector.crms import CRM_BATCH_SIZE, Change, Crm
from connector.delivery import isolation
from connector.delivery.backpressure import Backpressure
from connector.errors import CallFailed, RefusalScope, Refused
from connector.expressions import CannotApply
from connector.mapping.rules import Mapping as TicketMapping
from connector.store import chat_updates, pauses
from connector.store.chat_updates import Claim, Later, Written

log = structlog.get_logger()

# First and longest pause in seconds after a write without a clear result, and after a refusal.
FIRST_PAUSE, MAX_PAUSE = 5.0, 1800.0
FIRST_REFUSED, MAX_REFUSED = 60.0, 3600.0
# Calls for one CRM in one run.
MAX_CALLS = 10
# Seconds that a worker may be held up between its claim and its call. A later call might undo another worker's.
START_SECONDS = 15.0
# Maximum age in seconds of the CRM's report of its used calls.
USAGE_SECONDS = 300.0


class ChatWriteBack:
    """Write the statuses that are due. One per worker process."""

    def __init__(
        self, crms: Mapping[str, tuple[Crm, TicketMapping]], backpressure: Backpressure, calls_share: float
    ) -> None:
        """`calls_share`: the used share of the CRM's calls of the day, 0 to 1, from which on no status is written."""
        self._crms = {name: (crm, mapping) for name, (crm, mapping) in crms.items() if mapping.file.write_back.chat}
        self._backpressure, self._calls_share = backpressure, calls_share

    def write(self, connection: psycopg.Connection) -> None:
        """Write what is due, in batches. Raises CallFailed when the CRM cannot be asked for its used calls."""
        for name, (crm, mapping) in self._crms.items():
            for _ in range(MAX_CALLS):
                if not self._may_write(connection, name, crm) or not self._write_batch(connection, name, crm, mapping):
                    break

    def _may_write(self, connection: psycopg.Connection, name: str, crm: Crm) -> bool:
        if name in self._backpressure.outdated or name in pauses.everything(connection).by_account:
            return False
        return chat_updates.is_due(connection, name) and (crm.usage(USAGE_SECONDS) or 0) < self._calls_share

    def _write_batch(self, connection: psycopg.Connection, name: str, crm: Crm, mapping: TicketMapping) -> bool:
        """Write at most one batch. False: nothing is left to write, or the CRM takes nothing now."""
        began = time.monotonic()
        claims = chat_updates.claim(connection, name, CRM_BATCH_SIZE)
        written, later, changes = _rendered(claims, mapping)
        if time.monotonic() - began > START_SECONDS:
            return False  # the claims expire by themselves
        to_write = [claim for claim in claims if claim.text in changes]
        answers = _call(crm, [(claim.outcome.ticket_id, changes[claim.text]) for claim in to_write])
        gone = list[int]()
        for claim, answer in zip(to_write, answers, strict=True):
            if answer is None:
                written.append(Written(claim.text, claim.claim, claim.changes, changes[claim.text]))
            elif isinstance(answer, Refused) and answer.scope is RefusalScope.GONE:
                gone.append(claim.text)
            else:
                later.append(_later(claim, answer))
        chat_updates.record(connection, written, later, gone)
        unclear = [str(answer) for answer in answers if answer is not None and not isinstance(answer, Refused)]
        if unclear:
            log.warning("chat statuses written later", crm=name, texts=len(unclear), why=unclear[0])
        return len(claims) == CRM_BATCH_SIZE and not unclear


def _rendered(
    claims: Sequence[Claim], mapping: TicketMapping
) -> tuple[list[Written], list[Later], dict[int, dict[str, str | None]]]:
    """Statuses that the tickets have already; those that cannot be rendered; and the fields to write, by text."""
    written, later = list[Written](), list[Later]()
    changes = dict[int, dict[str, str | None]]()
    for claim in claims:
        try:
            fields = mapping.chat_fields(claim.outcome) or {}
        except CannotApply as error:
            later.append(_later(claim, Refused(f"the mapping's write_back.chat: {error}", RefusalScope.TICKET)))
            continue
        if not fields or fields == claim.written:
            written.append(Written(claim.text, claim.claim, claim.changes, fields))
        else:
            changes[claim.text] = fields
    return written, later, changes


def _call(crm: Crm, changes: Sequence[Change]) -> Sequence[CallFailed | None]:
    """The result of each change. A failure of the whole call is that of each."""
    try:
        return isolation.write(crm, changes)
    except CallFailed as error:
        return [error] * len(changes)


def _later(claim: Claim, error: CallFailed) -> Later:
    if not isinstance(error, Refused):
        return Later(claim.text, claim.claim, backoff.doubling(claim.attempts, FIRST_PAUSE, MAX_PAUSE))
    pause = backoff.doubling(claim.attempts, FIRST_REFUSED, MAX_REFUSED)
    log.error("the CRM refuses a chat status", text=claim.text, seconds=round(pause), why=str(error))
    return Later(claim.text, claim.claim, pause, str(error))
