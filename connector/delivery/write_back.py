"""Write outcomes back to tickets. Retried for as long as it takes; a write-back never causes another text."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor

import psycopg
import structlog
from psycopg_pool import ConnectionPool

from connector import backoff
from connector.batcher import Batcher
from connector.crms import CRM_BATCH_SIZE, Change, Crm
from connector.delivery import isolation, measures, spans
from connector.delivery.breaker import Breaker
from connector.delivery.hold_notes import HoldNotes
from connector.errors import CallFailed, RefusalScope, Refused, Unavailable
from connector.expressions import CannotApply
from connector.mapping.rules import Mapping as TicketMapping
from connector.model import FieldKind, State
from connector.outcome import Outcome
from connector.store import chat_updates, circuit_breaker, record_fields
from connector.store import outcomes as outcome_store
from connector.store.jobs import Snooze
from connector.store.outcomes import WriteResult

log = structlog.get_logger()

# First and longest pause in seconds after a write that did not reach the CRM; and after a refusal, which an operator
# may have to resolve.
FIRST_PAUSE, MAX_PAUSE = 1.0, 1800.0
FIRST_REFUSED, MAX_REFUSED = 30.0, 3600.0
# Seconds that an older outcome waits after a newer one of its ticket was refused, before it is written itself.
OLDER_PAUSE = 2.0

# Seconds that an outcome waits for another text of its ticket that is about to be decided by what the ticket says.
SOON_PAUSE = 2.0

Answers = dict[int, CallFailed | None]
Fields = dict[str, str | None]


class WriteBack:
    """Write outcomes to tickets, in batches of those that are waiting. One per worker process."""

    def __init__(
        self,
        pool: ConnectionPool,
        crms: Mapping[str, tuple[Crm, TicketMapping]],
        breaker: Breaker,
        threads: Executor,
        linger: float,
        expect_more: Callable[[], bool],
    ) -> None:
        """While `expect_more()`, an outcome lingers for up to `linger` seconds, so that others join its batch."""
        self._pool, self._crms, self._breaker = pool, crms, breaker
        self._notes = HoldNotes(pool, crms)
        self._write = Batcher(self._write_many, threads, CRM_BATCH_SIZE, linger, expect_more)

    async def write_back(self, texts: Sequence[int]) -> None:
        """Write back these texts. When it returns, each is written or another attempt is queued, and committed.

        Raises Snooze when some have to wait because their CRM is paused; no attempt is counted then.
        """
        if unavailable := dict(filter(None, await self._write(texts))):
            await asyncio.gather(*(self._pause_account(crm, error) for crm, error in unavailable.items()))
            raise Snooze(circuit_breaker.PAUSE_POLL_SECONDS)

    def drain(self) -> None:
        """The worker is stopping: flush the batch and linger no more."""
        self._write.flush()

    async def _pause_account(self, crm: str, error: Refused | Unavailable) -> None:
        if isinstance(error, Unavailable):
            await self._breaker.pause(crm, str(error), error.retry_after)
        else:
            await self._breaker.trip(crm, str(error))

    def _write_many(self, texts: Sequence[int]) -> list[tuple[str, Refused | Unavailable] | None]:
        """None for each text that was handled; the CRM and its error for each that has to wait for it."""
        began = time.monotonic()
        with self._pool.connection() as connection:
            to_notify = outcome_store.pending(connection, texts)
            outcomes, newest = to_notify.outcomes, _newest_of_each_ticket(to_notify.outcomes)
            changes, answers = self._rendered(newest)
            if changes:
                outcome_store.begin_write(
                    connection,
                    {
                        one.text: self._crms[one.crm][1].asked_about(changes[one.text])
                        for one in newest
                        if one.text in changes
                    },
                )
            if to_notify.soon:
                outcome_store.look_again(connection, to_notify.soon, SOON_PAUSE)
        unavailable = self._notes.write([text for text in texts if text not in {one.text for one in outcomes}])
        with spans.writing([one for one in newest if one.text in changes]) as traced:
            for crm_name in {outcome.crm for outcome in newest}:
                part: dict[int, Change] = {
                    one.text: (one.ticket_id, changes[one.text])
                    for one in newest
                    if one.crm == crm_name and one.text in changes
                }
                try:
                    answers |= dict(
                        zip(part, isolation.write(self._crms[crm_name][0], list(part.values())), strict=True)
                    )
                except (Refused, Unavailable) as error:
                    unavailable |= {one.text: (crm_name, error) for one in outcomes if one.crm == crm_name}
                else:
                    self._breaker.passed(crm_name)
            spans.written(traced, answers | {text: error for text, (_, error) in unavailable.items()})
        results, later = _sorted([one for one in outcomes if one.text not in unavailable], answers)
        results += [WriteResult(text, version, True) for text, version in to_notify.overtaken.items()]
        with self._pool.connection() as connection:
            with connection.transaction():
                outcome_store.record(connection, results)
                self._mark_numbers(connection, newest, results)
                if shown := self._shown(newest, results):
                    chat_updates.follow(connection, shown)
            if later:
                outcome_store.retry_later(connection, later)
        measures.written(outcomes, results, began)
        if done := [one.text for one in results if not one.overtaken and one.refused is None]:
            log.info("tickets updated", texts=done)
        return [unavailable.get(text) for text in texts]

    def _shown(self, outcomes: Sequence[Outcome], results: Sequence[WriteResult]) -> list[chat_updates.Shown]:
        """What those of the tickets that were written show of their chats."""
        written = {one.text for one in results if not one.overtaken and one.refused is None}
        shown = list[chat_updates.Shown]()
        for outcome in outcomes:
            if outcome.text in written and outcome.chat:
                fields = self._crms[outcome.crm][1].chat_fields(outcome)
                if fields is not None:
                    status = str(outcome.chat.get("status", ""))
                    shown.append(chat_updates.Shown(outcome.text, status, fields))
        return shown

    def _mark_numbers(
        self, connection: psycopg.Connection, outcomes: Sequence[Outcome], results: Sequence[WriteResult]
    ) -> None:
        """Have the numbers marked that cannot be texted, where the mapping names a field for it, and marks cleared."""
        written = {one.text for one in results if not one.overtaken and one.refused is None}
        marking = [
            one
            for one in outcomes
            if one.text in written and FieldKind.PHONE_INVALID in self._crms[one.crm][1].file.record_fields
        ]
        if invalid := [one.text for one in marking if one.phone_problem]:
            record_fields.number_invalid(connection, invalid)
        if sent := [one.text for one in marking if one.state is State.SENT]:
            record_fields.number_valid(connection, sent)

    def _rendered(self, outcomes: Sequence[Outcome]) -> tuple[dict[int, Fields], Answers]:
        """By text: the fields to write; and an error where the mapping cannot render them."""
        changes: dict[int, Fields] = {}
        answers: Answers = {}
        for outcome in outcomes:
            try:
                changes[outcome.text] = self._crms[outcome.crm][1].write_back(outcome)
            except CannotApply as error:
                answers[outcome.text] = Refused(
                    f"the mapping's write_back.{outcome.state}: {error}", RefusalScope.TICKET
                )
        return changes, answers


def _newest_of_each_ticket(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """The newest outcome of each ticket. `outcomes` must be ordered newest first."""
    newest: dict[tuple[str, str], Outcome] = {}
    for outcome in outcomes:
        newest.setdefault((outcome.crm, outcome.ticket_id), outcome)
    return list(newest.values())


def _sorted(
    outcomes: Sequence[Outcome], answers: Answers
) -> tuple[list[WriteResult], dict[int, tuple[float, str | None]]]:
    """Finished write-backs, and those to retry. An older outcome is overtaken once a newer one is written."""
    results, later = list[WriteResult](), dict[int, tuple[float, str | None]]()
    written_tickets = {
        (one.crm, one.ticket_id) for one in outcomes if one.text in answers and answers[one.text] is None
    }
    for outcome in outcomes:
        if outcome.text in answers:
            error = answers[outcome.text]
            if error is None:
                results.append(WriteResult(outcome.text, outcome.version))
            elif isinstance(error, Refused) and error.scope is RefusalScope.GONE:
                log.warning("the ticket is gone", text=outcome.text, ticket=outcome.ticket_id, why=str(error))
                results.append(WriteResult(outcome.text, outcome.version, refused=str(error)))
            else:
                later[outcome.text] = _pause(outcome, error)
        elif (outcome.crm, outcome.ticket_id) in written_tickets:
            results.append(WriteResult(outcome.text, outcome.version, overtaken=True))
        else:
            later[outcome.text] = OLDER_PAUSE, None
    return results, later


def _pause(outcome: Outcome, error: CallFailed) -> tuple[float, str | None]:
    """Seconds until the next attempt, and the CRM's reason if it refused. Only an operator gives up a write-back."""
    where = {"text": outcome.text, "ticket": outcome.ticket_id}
    # Counts attempts of one kind in a row: a brief failure does not lengthen the pause after a refusal.
    attempts = outcome.attempts if outcome.refused_before == isinstance(error, Refused) else 0
    if isinstance(error, Refused):
        pause = backoff.doubling(attempts, FIRST_REFUSED, MAX_REFUSED)
        log.error("the CRM refuses an outcome", **where, seconds=round(pause), why=str(error))
        return pause, str(error)
    pause = backoff.doubling(attempts, FIRST_PAUSE, MAX_PAUSE)
    log.warning("ticket updated later", **where, seconds=round(pause), why=str(error))
    return pause, None
