"""Delivery of texts, from the queue to their outcomes. Texts that wait at the same moment go through a step together.

    load ═► read the ticket, map ═► policy, queue with the decision ═► pace ═► sending ═► call ═► outcome

Each ═► is a commit. A text may pass through more than once, and in two workers at once, because a job runs at least
once. The store lets each transition happen once. A text found in `sending` belongs to another worker until its claim
expires.
"""

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor

import structlog
from psycopg_pool import ConnectionPool

from connector import transitions
from connector.batcher import Batcher
from connector.crms import CRM_BATCH_SIZE, Crm
from connector.delivery import deciding, measures, spans
from connector.delivery.admission import Admission
from connector.delivery.breaker import Breaker
from connector.delivery.retry_policy import RetryPolicy
from connector.delivery.sender import Sender
from connector.delivery.settlement import Settlement
from connector.errors import CallFailed, Refused, Unavailable
from connector.mapping.rules import Mapping as TicketMapping
from connector.model import Channel, Decision, OutboundSms, Skip, State, Text
from connector.outcome import Hold
from connector.store import circuit_breaker, held_notes, outcomes, pauses
from connector.store import texts as text_store
from connector.store.circuit_breaker import SendingPaused
from connector.store.daily_budget import OverBudget
from connector.store.installation import FIRST, MAYBE_SENT
from connector.store.jobs import Snooze
from connector.store.waiting_senders import WaitingSenders
from connector.transitions import UNDECIDED, Transition

log = structlog.get_logger()

# Seconds that reading tickets lingers for more of them, while more than so many texts are in progress.
READ_LINGER, MANY = 0.2, 30
# Seconds until the second try of an unknown text is tried again where its number's daily budget is used up.
UNCOUNTED_PAUSE = 60.0

# An admitted text and its message.
Ready = tuple[Text, OutboundSms]
# A text that is not sent now, and the pause that keeps it.
Paused = tuple[Text, SendingPaused]


class Delivery:
    """Deliver texts. One per worker process."""

    def __init__(
        self,
        pool: ConnectionPool,
        crms: Mapping[str, tuple[Crm, TicketMapping]],
        admission: Admission,
        sender: Sender,
        retry_policy: RetryPolicy,
        breaker: Breaker,
        people: WaitingSenders,
        settlement: Settlement,
        threads: Executor,
    ) -> None:
        """`retry_policy` decides for single texts. `people`: the texts that have priority over batches."""
        self._pool, self._sender, self._retry_policy, self._settlement = pool, sender, retry_policy, settlement
        self._breaker, self._people = breaker, people
        self._crms, self._threads = crms, threads
        self._load = Batcher(self._load_many, threads, 500)
        self._decide = {
            crm_name: Batcher(
                deciding.decider(*crms[crm_name], self._own_writes),
                threads,
                CRM_BATCH_SIZE,
                READ_LINGER,
                lambda: self.under_way > MANY,
            )
            for crm_name in crms
        }
        self._admit = Batcher(admission.admit, threads, 500)
        self.under_way = 0

    async def deliver(self, ids: Sequence[int]) -> None:
        """Deliver these texts as far as possible now. Their states are committed when it returns.

        Raises Snooze when some have to wait because they, or an account, are paused, or because the worker is stopping.
        """
        loaded = [one for one in await self._load(ids) if one is not None and not one[0].early]
        paused = [(text, pause) for text, pause in loaded if pause]
        texts = [text for text, pause in loaded if not pause]
        maybe_sent = [text for text in texts if text.maybe_sent and text.state is State.QUEUED]
        fresh = [text for text in texts if text.state in UNDECIDED and text not in maybe_sent]
        unknown = [text for text in texts if text.state is State.UNKNOWN and text.early is False]
        self.under_way += len(fresh)
        try:
            with self._people.waiting([text.id for text in fresh if text.channel is not Channel.BATCH]):
                decided, waits = await self._decided(fresh)
                self._people.left({text.id for text in fresh} - {text.id for text, _ in decided})
                await self._give_up([*maybe_sent, *(text for text, _ in decided if text.maybe_sent)])
                ready = [(text, sms) for text, sms in decided if not text.maybe_sent]
                paused += await self._send([(text, text.sms) for text in unknown if text.sms] + ready)
        finally:
            self.under_way -= len(fresh)
        if await self._refused(paused) or waits:
            raise Snooze(max((pause.retry_after for _, pause in paused), default=circuit_breaker.PAUSE_POLL_SECONDS))

    async def _give_up(self, texts: Sequence[Text]) -> None:
        """These texts may have been sent before the database was restored: their outcome is unknown."""
        for text in texts:
            log.error("the outcome is unknown", text=text.id, ticket=text.ticket_id, why=MAYBE_SENT)
        await self._settlement.settle([transitions.maybe_sent(text.id, text.revision, MAYBE_SENT) for text in texts])

    async def _decided(self, texts: Sequence[Text]) -> tuple[list[Ready], bool]:
        """Decide these texts: those to send now, queued with their decisions; and whether some have to wait.

        The others have their outcome.
        """
        parts = await asyncio.gather(
            *(
                self._decided_by(crm_name, [text for text in texts if text.crm == crm_name])
                for crm_name in {text.crm for text in texts}
            )
        )
        return [one for ready, _ in parts for one in ready], any(waits for _, waits in parts)

    async def _decided_by(self, crm_name: str, texts: Sequence[Text]) -> tuple[list[Ready], bool]:
        if pause := self._breaker.current_pause(crm_name):
            return await self._waiting(texts, pause)
        people = any(text.channel is Channel.AGENT for text in texts)
        try:
            with spans.deciding(texts) as traced:
                decisions = dict(zip(texts, await self._decide[crm_name](texts, urgent=people), strict=True))
                spans.decided(traced, decisions)
        except (Unavailable, Refused) as error:
            return await self._waiting(texts, await self._paused_by(crm_name, error))
        self._breaker.passed(crm_name)
        left = [
            text for text, one in decisions.items() if deciding.may_be_newer(one) and self._breaker.outdated(crm_name)
        ]
        for text in left:
            del decisions[text]
        wanted = [(text, decision) for text, decision in decisions.items() if isinstance(decision, Decision)]
        admitted = await self._admit(wanted)
        skipped = [
            transitions.skipped(text.id, skip, revision=text.revision)
            for text, skip in decisions.items()
            if isinstance(skip, Skip)
        ]
        for text, skip in decisions.items():
            if isinstance(skip, Skip):
                measures.skipped(text.channel, skip)
                # the reason in words is not logged: it may quote the ticket
                log.info("text skipped", text=text.id, ticket=text.ticket_id, check=skip.check)
        failed = [
            self._retry_policy.after_reading(text, error)
            for text, error in decisions.items()
            if isinstance(error, CallFailed)
        ]
        moves = skipped + failed + [move for move in admitted if isinstance(move, Transition)]
        await self._settlement.settle(moves)
        measures.settled(texts, moves)
        return [one for one in admitted if isinstance(one, tuple)], bool(left)

    async def _paused_by(self, crm_name: str, error: Unavailable | Refused) -> SendingPaused:
        """Pause the CRM after an error that affects all its tickets. No attempt is counted for any text."""
        if isinstance(error, Unavailable):
            await self._breaker.pause(crm_name, str(error), error.retry_after)
        else:
            await self._breaker.trip(crm_name, str(error))
        return SendingPaused(
            f"{crm_name} cannot be used: {error}", isinstance(error, Refused), circuit_breaker.PAUSE_POLL_SECONDS
        )

    async def _waiting(self, texts: Sequence[Text], pause: SendingPaused) -> tuple[list[Ready], bool]:
        """Send none of these now; whether some have to wait."""
        return [], await self._refused([(text, pause) for text in texts])

    async def _refused(self, paused: Sequence[Paused]) -> bool:
        """Fail attended texts at once, unless the pause ends within seconds. Others wait; whether there are any."""
        people = [
            (text, transitions.failed(text.id, str(pause), text.revision))
            for text, pause in paused
            if pause.until_resumed and text.attended and text.state in UNDECIDED and not text.maybe_sent
        ]
        moves = [move for _, move in people]
        await self._settlement.settle(moves)
        measures.settled([text for text, _ in people], moves)
        holds = {
            text.id: pause.hold
            for text, pause in paused
            if pause.by_operator and not text.attended and self._crms[text.crm][1].notifies_holds
        }
        if holds:
            await asyncio.get_running_loop().run_in_executor(self._threads, self._note, holds)
        return len(people) < len(paused)

    async def _send(self, ready: Sequence[Ready]) -> list[Paused]:
        """Send these texts. Each is settled as soon as its own call ends. Those that a pause kept from being sent."""
        ended = await asyncio.gather(*(self._send_one(text, sms) for text, sms in ready), return_exceptions=True)
        for error in ended:
            if isinstance(error, BaseException) and not isinstance(error, SendingPaused):
                raise error
        return [
            (text, pause) for (text, _), pause in zip(ready, ended, strict=True) if isinstance(pause, SendingPaused)
        ]

    async def _send_one(self, text: Text, sms: OutboundSms) -> None:
        with spans.sending(text) as span:
            try:
                result = await self._sender.send(text, sms)
            except OverBudget as error:
                if text.state is State.UNKNOWN:  # its first try was not counted: there was no budget yet
                    raise Snooze(UNCOUNTED_PAUSE) from None
                await self._settlement.settle([transitions.over_budget(text.id, text.revision, str(error))])
                return
            if result:
                spans.answered(span, result.outcome)
                assessment = await self._breaker.assess(text, result.outcome)
                move = self._retry_policy.after_call(text, result, assessment)
                await self._settlement.settle([move])
                measures.called(result.outcome)
                measures.settled([text], [move])

    def _own_writes(self, ids: Sequence[int]) -> deciding.OwnWrites:
        with self._pool.connection() as connection:
            return outcomes.own_writes(connection, ids)

    def _note(self, holds: Mapping[int, Hold]) -> None:
        with self._pool.connection() as connection:
            held_notes.pause(connection, holds)

    def _load_many(self, ids: Sequence[int]) -> list[tuple[Text, SendingPaused | None] | None]:
        """Each text, and the operator's pause that covers it. After a restore, texts wait for the operator's word."""
        with self._pool.connection() as connection:
            texts, paused = text_store.load(connection, ids), pauses.covering(connection, ids)
            maybe_sent = [text.id for text in texts.values() if text.maybe_sent]
            after_them = [text.id for text in texts.values() if text.after_maybe_sent]
            pause = circuit_breaker.current_pause(connection) if maybe_sent or after_them else None
        if pause:
            paused = dict.fromkeys(maybe_sent, pause) | paused
        paused = dict.fromkeys(after_them, pause or FIRST) | paused
        return [(texts[text], paused.get(text)) if text in texts else None for text in ids]
