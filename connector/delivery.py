"""One text, from queued to its outcome. Whatever waits at the same moment goes through each step together.

    load ═► read the ticket, map ═► queue with the decision ═► pace ═► sending ═► call ═► outcome

Each ═► is a commit. A text may come through here more than once (a job runs at least once): the ledger lets each step
happen once. One that is found in `sending` was left there by a worker that died: its outcome is unknown.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from datetime import UTC, datetime

import psycopg
import structlog
from psycopg_pool import ConnectionPool

from connector import backoff, ledger, phone, queue
from connector.crms import MOST, Crm
from connector.errors import Blame, OutcomeUnknown, Refused, Unavailable
from connector.grouping import Group
from connector.mapping import Mapping as TicketMapping
from connector.model import Chat, Decision, Door, OutboundSms, Skip, State, Text
from connector.pace import Pace

log = structlog.get_logger()

# A call that certainly did nothing is tried so many times, with pauses that double from the first to the longest.
MOST_ATTEMPTS = 12
FIRST_PAUSE, LONGEST_PAUSE = 2.0, 600.0
# While the customer is in another session: as long again as it has been waiting, and the time is bounded instead.
BUSY_FIRST_PAUSE, BUSY_LONGEST_PAUSE = 60.0, 900.0
# Seconds between tries to commit an outcome that is known, when the database is away.
SETTLE_PAUSE = 1.0

DIED = "the connector stopped while the text was being sent"
DELETED = "the ticket does not exist, or the connector's user cannot see it"
OWN_CHANGE = "the change was the connector's own"


class Delivery:
    """Delivers texts. One per worker process."""

    def __init__(
        self,
        pool: ConnectionPool,
        crms: Mapping[str, tuple[Crm, TicketMapping]],
        send: Callable[[OutboundSms], Chat],
        pace: Pace,
        threads: Executor,
        send_threads: Executor,
        busy_seconds: float,
    ) -> None:
        """`busy_seconds`: for how long a trigger's or batch's text waits for another session to end."""
        self._send, self._pace, self._send_threads, self._busy_seconds = send, pace, send_threads, busy_seconds
        self._load = Group(self._load_many, threads, 500)
        self._decide = {stem: Group(_decider(*crms[stem]), threads, MOST) for stem in crms}
        self._queue = Group(self._queue_many, threads, 500)
        self._move = Group(self._move_many, threads, 500)
        self._pool = pool
        self.under_way = 0

    async def deliver(self, text_id: int) -> None:
        """Take this text as far as it gets now. When it returns, where the text is has been committed."""
        text = await self._load(text_id)
        if text is None or text.early:
            return
        if text.state is State.SENDING:
            await self._settle(ledger.unknown(text.id, DIED))
        elif text.state in (State.RECEIVED, State.QUEUED):
            self.under_way += 1
            try:
                await self._settle(await self._outcome(text))
            finally:
                self.under_way -= 1

    async def _outcome(self, text: Text) -> ledger.Move | None:
        try:
            decision = await self._decide[text.crm](text)
        except (Unavailable, Refused) as error:
            return self._again_or_failed(text, error)
        if isinstance(decision, Skip):
            return ledger.skipped(text.id, decision)
        holder = await self._queue((text.id, decision))
        if holder is None:
            return None  # somebody else took it past this step
        if holder != text.id:
            return ledger.skipped_as(text.id, holder)
        await self._pace.slot(queue.PRIORITY[queue.Kind.DELIVER, text.door])
        if not await self._move(ledger.claim(text.id)):
            return None
        return await self._call(text, decision.sms)

    async def _call(self, text: Text, sms: OutboundSms) -> ledger.Move:
        masked = phone.mask(sms.end_user_number)
        try:
            chat = await asyncio.get_running_loop().run_in_executor(self._send_threads, self._send, sms)
        except OutcomeUnknown as error:
            log.error("the outcome is unknown", text=text.id, ticket=text.ticket_id, to=masked, why=str(error))
            return ledger.unknown(text.id, str(error))
        except (Unavailable, Refused) as error:
            return self._again_or_failed(text, error)
        log.info("text sent", text=text.id, ticket=text.ticket_id, to=masked, chat=chat.id, status=chat.status)
        return ledger.sent(text.id, chat)

    def _again_or_failed(self, text: Text, error: Refused | Unavailable) -> ledger.Move:
        """Nothing was sent, that is certain. Whether to try again, and when."""
        why = str(error)
        if isinstance(error, Refused) and error.blame is Blame.BUSY:
            waited = (datetime.now(UTC) - text.busy_since).total_seconds() if text.busy_since else 0
            pause = backoff.jittered(min(max(waited, BUSY_FIRST_PAUSE), BUSY_LONGEST_PAUSE))
            if text.door is not Door.AGENT and waited + pause <= self._busy_seconds:
                return ledger.again(text.id, why, pause, busy=True)
        elif isinstance(error, Unavailable) and text.attempts < MOST_ATTEMPTS:
            pause = max(backoff.doubling(text.attempts, FIRST_PAUSE, LONGEST_PAUSE), error.retry_after or 0)
            log.warning("text held back", text=text.id, ticket=text.ticket_id, seconds=round(pause), why=why)
            return ledger.again(text.id, why, pause)
        level = log.error if isinstance(error, Refused) and error.blame is Blame.SETTINGS else log.warning
        level("text failed", text=text.id, ticket=text.ticket_id, why=why)
        return ledger.failed(text.id, why)

    async def _settle(self, move: ledger.Move | None) -> None:
        """Commit where the text is. What is known now must not be lost to a database that is away for a while."""
        while move is not None:
            try:
                await self._move(move)
            except psycopg.OperationalError as error:
                log.error("the database does not answer", text=move.id, state=move.to_state, why=type(error).__name__)
                await asyncio.sleep(SETTLE_PAUSE)
            else:
                return

    def _load_many(self, ids: Sequence[int]) -> list[Text | None]:
        with self._pool.connection() as connection:
            texts = ledger.load(connection, ids)
        return [texts.get(text) for text in ids]

    def _queue_many(self, decisions: Sequence[tuple[int, Decision]]) -> list[int | None]:
        with self._pool.connection() as connection:
            holders = ledger.decide(connection, dict(decisions))
        return [holders.get(text) for text, _ in decisions]

    def _move_many(self, moves: Sequence[ledger.Move]) -> list[bool]:
        with self._pool.connection() as connection:
            moved = ledger.move(connection, moves)
        return [move.id in moved for move in moves]


def _decider(crm: Crm, mapping: TicketMapping) -> Callable[[Sequence[Text]], list[Decision | Skip]]:
    """Reads the tickets of many texts in one call and maps each."""

    def decide(texts: Sequence[Text]) -> list[Decision | Skip]:
        own = {text.id for text in texts if crm.is_own(text.changed_by)}
        tickets = crm.read([text.ticket_id for text in texts if text.id not in own])
        return [
            Skip(OWN_CHANGE, told=False) if text.id in own
            else mapping.decide(ticket) if (ticket := tickets.get(text.ticket_id))
            else Skip(DELETED, told=False)
            for text in texts
        ]

    return decide
