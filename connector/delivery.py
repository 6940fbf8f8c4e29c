"""Texts, from queued to their outcomes. Whatever waits at the same moment goes through each step together.

    load ═► read the ticket, map ═► policy, queue with the decision ═► pace ═► sending ═► call ═► outcome

Each ═► is a commit. A text may come through here more than once (a job runs at least once): the ledger lets each step
happen once. One that is found in `sending` was left there by a worker that died: its outcome is unknown.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor

import psycopg
import structlog
from psycopg_pool import ConnectionPool

from connector import lane, ledger, queue, steps
from connector.admission import Admission
from connector.crms import MOST, Crm
from connector.errors import Refused, Unavailable
from connector.grouping import Group
from connector.mapping import Mapping as TicketMapping
from connector.model import Decision, Door, OutboundSms, Skip, State, Text
from connector.sending import Outcome, Ready, Sender
from connector.steps import Move
from connector.verdicts import Verdicts

log = structlog.get_logger()

# Seconds that a reading of tickets waits for more of them, while so many texts are under way that it is worth it.
READ_HOLD, MANY = 0.2, 30
# Seconds between tries to commit an outcome that is known, when the database is away.
SETTLE_PAUSE = 1.0

DELETED = "the ticket does not exist, or the connector's user cannot see it"
OWN_CHANGE = "the change was the connector's own"

UNDECIDED = (State.RECEIVED, State.QUEUED)


class Delivery:
    """Delivers texts. One per worker process."""

    def __init__(
        self,
        pool: ConnectionPool,
        crms: Mapping[str, tuple[Crm, TicketMapping]],
        admission: Admission,
        sender: Sender,
        verdicts: Verdicts,
        threads: Executor,
    ) -> None:
        """`verdicts` say what an error means for a text, and for all of them."""
        self._pool, self._sender, self._verdicts = pool, sender, verdicts
        self._load = Group(self._load_many, threads, 500)
        self._decide = {
            stem: Group(_decider(*crms[stem]), threads, MOST, READ_HOLD, lambda: self.under_way > MANY)
            for stem in crms
        }
        self._admit = Group(admission.admit, threads, 500)
        self._move = Group(self._move_many, threads, 500)
        self.under_way = 0

    async def deliver(self, ids: Sequence[int]) -> None:
        """Take these texts as far as they get now. When it returns, where each of them is has been committed.

        Raises queue.Later when some have to wait because the lane is closed or the worker stops.
        """
        texts = [text for text in await self._load(ids) if text is not None and not text.early]
        fresh = [text for text in texts if text.state in UNDECIDED]
        unknown = [text for text in texts if text.state is State.UNKNOWN and text.early is False]
        await self._settle([self._verdicts.on_death(text) for text in texts if text.state is State.SENDING])
        self.under_way += len(fresh)
        try:
            ready = [(text, text.sms) for text in unknown if text.sms] + await self._decided(fresh)
            await self._send(ready)
        finally:
            self.under_way -= len(fresh)

    async def _decided(self, texts: Sequence[Text]) -> list[Ready]:
        """Those of these texts that are to be sent now, queued with what was decided. The others have their outcome."""
        parts = await asyncio.gather(*(
            self._decided_by(stem, [text for text in texts if text.crm == stem])
            for stem in {text.crm for text in texts}
        ))
        return [one for part in parts for one in part]

    async def _decided_by(self, stem: str, texts: Sequence[Text]) -> list[Ready]:
        people = any(text.door is Door.AGENT for text in texts)
        try:
            decisions = dict(zip(texts, await self._decide[stem](texts, urgent=people), strict=True))
        except (Unavailable, Refused) as error:
            await self._settle([self._verdicts.on_reading(text, error) for text in texts])
            return []
        wanted = [(text, decision) for text, decision in decisions.items() if isinstance(decision, Decision)]
        admitted = list(zip((text for text, _ in wanted), await self._admit(wanted), strict=True))
        skipped = [steps.skipped(text.id, skip) for text, skip in decisions.items() if isinstance(skip, Skip)]
        await self._settle(skipped + [move for _, move in admitted if isinstance(move, Move)])
        return [(text, sms) for text, sms in admitted if isinstance(sms, OutboundSms)]

    async def _send(self, ready: Sequence[Ready]) -> None:
        try:
            await self._sender.send(ready, self._sent)
        except lane.Closed as closed:
            if closed.stopped:  # a person waits for an answer
                people = [text for text, _ in ready if text.door is Door.AGENT]
                await self._settle([steps.failed_waiting(text.id, str(closed)) for text in people])
            raise queue.Later(closed.seconds) from None

    async def _sent(self, text: Text, sms: OutboundSms, outcome: Outcome) -> None:
        await self._settle([await self._verdicts.on_sending(text, sms, outcome)])

    async def _settle(self, moves: Sequence[Move]) -> None:
        """Commit where texts are. What is known now must not be lost to a database that is away for a while."""
        while moves:
            try:
                await self._move(moves)
            except psycopg.OperationalError:
                await asyncio.sleep(SETTLE_PAUSE)
            else:
                return

    def _load_many(self, ids: Sequence[int]) -> list[Text | None]:
        with self._pool.connection() as connection:
            texts = ledger.load(connection, ids)
        return [texts.get(text) for text in ids]

    def _move_many(self, moves: Sequence[Move]) -> list[bool]:
        try:
            with self._pool.connection() as connection:
                moved = ledger.move(connection, moves)
        except psycopg.OperationalError as error:
            log.error("the database does not answer", texts=len(moves), why=type(error).__name__)
            raise
        return [move.id in moved for move in moves]


def _decider(crm: Crm, mapping: TicketMapping) -> Callable[[Sequence[Text]], list[Decision | Skip]]:
    """Reads the tickets of many texts in one call and maps each."""

    def decide(texts: Sequence[Text]) -> list[Decision | Skip]:
        own = {text.id for text in texts if crm.is_own(text.changed_by)}
        tickets = crm.read([text.ticket_id for text in texts if text.id not in own])
        return [
            Skip(OWN_CHANGE, told=False) if text.id in own
            else mapping.decide(ticket, text.ask) if (ticket := tickets.get(text.ticket_id))
            else Skip(DELETED, told=False)
            for text in texts
        ]

    return decide
