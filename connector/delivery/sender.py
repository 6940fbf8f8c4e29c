"""The call to the platform: made in the text's send slot, and never before `sending` is committed."""

import asyncio
import contextlib
import secrets
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Protocol

import psycopg
import structlog
from psycopg_pool import ConnectionPool

from connector.batcher import Batcher
from connector.delivery.pacing import Pacer
from connector.errors import NotSent, OutcomeUnknown, Refused, Unavailable
from connector.http.exchange import BeforeSend
from connector.model import Channel, Chat, OutboundSms, Text
from connector.policy import segments
from connector.policy.daily_budget import Budgets
from connector.store import circuit_breaker, jobs, pauses, sending_claims, texts
from connector.store.daily_budget import OverBudget, Share
from connector.store.jobs import Snooze
from connector.store.rate_limit import LATE, MUCH_LATER
from connector.store.sending_claims import Answer, Attempt

log = structlog.get_logger()

Outcome = Chat | OutcomeUnknown | Refused | Unavailable | NotSent


@dataclass(frozen=True, slots=True)
class CallResult:
    """The outcome of a text's call, and the number of the claim that the call was made under."""

    claim: int
    sms: OutboundSms
    outcome: Outcome


class Client(Protocol):
    """The platform's client; see connector.ccaip.client.Client."""

    async def send(self, sms: OutboundSms, before_send: BeforeSend) -> Chat: ...


# Seconds after the start of its claim within which the first byte of a call leaves. Later, it is not sent.
CLAIM_SECONDS = 15.0
# Seconds that an answer may take beyond its timeout before the claim expires.
GRACE = 5.0
# Seconds between checks whether texts that wait for their slots have been cancelled or paused.
WAITING_CHECK_SECONDS = 0.5
# Seconds between a text's claim and its first byte within which an operator's pause is not looked for again.
PAUSE_CHECK_SECONDS = 0.5
# Seconds between attempts to undo a claim that may have been made, while the database is away.
UNDO_PAUSE = 1.0
# A clock that goes on while the process is stopped and, where available, while the machine sleeps.
CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def awake() -> float:
    """Seconds by CLOCK."""
    return time.clock_gettime(CLOCK)


class Sender:
    """Send texts, each in a slot of its own, at most `at_once` at a time."""

    def __init__(
        self,
        pool: ConnectionPool,
        client: Client,
        pace: Pacer,
        threads: Executor,
        at_once: int,
        answer_seconds: float,
        left: Callable[[Sequence[int]], None] = lambda _: None,
        clock: Callable[[], float] = awake,
        budgets: Budgets | None = None,
    ) -> None:
        """`threads`: for database calls. `answer_seconds`: longest time from the first byte of a call to its end.

        `left` is called with each text that waits no longer. `budgets`: the daily budgets, by outbound number.
        """
        self._left, self._budgets = left, budgets or {}
        self._pool, self._client, self._pace, self._threads = pool, client, pace, threads
        self._good_for, self._clock = CLAIM_SECONDS + answer_seconds + GRACE, clock
        self._claim: Batcher[Attempt, Answer | None] = Batcher(self._claim_many, threads, 500)
        self._paused: Batcher[int, circuit_breaker.SendingPaused | None] = Batcher(self._paused_many, threads, 500)
        self._permits = asyncio.Semaphore(at_once)
        self._draining = False

    async def drop_waiting(self) -> None:
        """Drop texts that are cancelled or paused while they wait, so that they use no slots. Run until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(WAITING_CHECK_SECONDS)
            if waiting := self._pace.waiting():
                with contextlib.suppress(psycopg.Error):  # found in a later check, or when their slot comes
                    cancelled, paused = await loop.run_in_executor(self._threads, self._not_now, waiting)
                    self._pace.drop(cancelled)
                    self._pace.refuse(paused)

    def drain(self) -> None:
        """Start no more calls; calls in progress are finished."""
        self._draining = True
        self._pace.give_up(Snooze(0))

    async def send(self, text: Text, sms: OutboundSms) -> CallResult | None:
        """Send one text in its slot. None: another worker has sent it, or it was cancelled.

        Raises SendingPaused or OverBudget where it may not be sent now, Snooze where the worker stops: it is as it was.
        """
        slot = None
        if not self._pace.unlimited:
            priority = jobs.PRIORITY[jobs.DELIVER[text.channel], text.channel]
            slot = await self._pace.slot(text.id, priority, text.channel is Channel.BATCH)
            if slot is None:
                return None
        async with self._permits:
            # From before the claim is requested: every delay in between counts.
            latest = self._clock() + CLAIM_SECONDS
            claim = await self._claimed(text, sms)
            self._left([text.id])
            if claim is None:
                return None
            return CallResult(claim, sms, await self._call(text, sms, slot, latest))

    async def _claimed(self, text: Text, sms: OutboundSms) -> int | None:
        """Commit `sending`; the claim's number. None: the text is claimed by another worker, or cancelled."""
        if self._draining:
            raise Snooze(0)
        one = Attempt(text.id, text.revision, secrets.randbits(63), self._share(text, sms))
        try:
            [claim] = await self._claim([one])
        except psycopg.Error:
            await self._undo(one)
            raise
        if isinstance(claim, circuit_breaker.SendingPaused | OverBudget):
            raise claim
        return claim

    def _share(self, text: Text, sms: OutboundSms) -> Share | None:
        budget = self._budgets.get(sms.outbound_number)
        size = segments.measure(sms.message).segments if budget else 0
        return Share(sms.outbound_number, budget, size, text.channel is Channel.BATCH) if budget else None

    async def _undo(self, one: Attempt) -> None:
        """Undo a claim that may have been made. Nothing is sent for it, so the text need not become unknown."""
        end = self._clock() + self._good_for
        while self._clock() < end and not self._draining:
            try:
                await asyncio.get_running_loop().run_in_executor(self._threads, self._unclaim, one)
            except psycopg.Error:
                await asyncio.sleep(UNDO_PAUSE)
            else:
                return

    async def _call(self, text: Text, sms: OutboundSms, slot: float | None, latest: float) -> Outcome:
        left = False

        async def before_send() -> None:
            """Wait for the slot, or for another if it was missed by far. Check the claim's deadline last: the first
            byte leaves as soon as this returns.
            """
            nonlocal slot, left
            batch = text.channel is Channel.BATCH
            while slot is not None and self._clock() <= latest:
                await asyncio.sleep(max(slot - time.monotonic(), 0))
                late = time.monotonic() - slot
                if late <= MUCH_LATER:
                    if late > LATE:
                        self._pace.late(late, batch)
                    break
                slot = await self._pace.another(batch)
            checked = latest - CLAIM_SECONDS
            while self._clock() <= latest and self._clock() - checked > PAUSE_CHECK_SECONDS:
                checked = self._clock()
                await self._require_no_pause(text)
            if self._clock() > latest:
                raise NotSent("the connector was held up before it could send")
            left = True

        try:
            return await self._client.send(sms, before_send)
        except (OutcomeUnknown, Refused, Unavailable, NotSent) as error:
            return error
        except circuit_breaker.SendingPaused as pause:
            return NotSent(str(pause))
        except Exception as error:  # noqa: BLE001 - the text must not be left in `sending`, whatever the error
            log.error("an error of the connector's own in a call", text=text.id, why=type(error).__name__)
            if not left:
                return NotSent(f"nothing was sent: an error of the connector's own ({type(error).__name__})")
            return OutcomeUnknown(f"an error of the connector's own ({type(error).__name__})")

    async def _require_no_pause(self, text: Text) -> None:
        """Raise SendingPaused if an operator has paused the text since its claim, or if that cannot be found out."""
        try:
            [pause] = await self._paused([text.id])
        except psycopg.Error:
            raise NotSent("the connector lost its database before it could send") from None
        if pause:
            raise pause

    def _not_now(self, ids: Sequence[int]) -> tuple[set[int], dict[int, circuit_breaker.SendingPaused]]:
        """Those of these texts that are cancelled, and the pauses of those that an operator has paused."""
        with self._pool.connection() as connection:
            return set(ids) - texts.to_be_sent(connection, ids), pauses.covering(connection, ids)

    def _paused_many(self, ids: Sequence[int]) -> list[circuit_breaker.SendingPaused | None]:
        with self._pool.connection() as connection:
            paused = pauses.covering(connection, ids)
        return [paused.get(text) for text in ids]

    def _claim_many(self, tries: Sequence[Attempt]) -> list[Answer | None]:
        with self._pool.connection() as connection:
            answers = sending_claims.start_sending(connection, tries, self._good_for)
        return [answers.get(one.token) for one in tries]

    def _unclaim(self, one: Attempt) -> None:
        with self._pool.connection() as connection:
            sending_claims.undo_sending(connection, [one])
