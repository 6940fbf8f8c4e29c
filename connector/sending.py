"""The call itself: not before its slot, not after it either, and never before `sending` is committed."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor
from typing import Protocol

import psycopg
from psycopg_pool import ConnectionPool

from connector import lane, ledger, queue
from connector.connections import MayLeave
from connector.errors import OutcomeUnknown, Refused, Unavailable
from connector.grouping import Group
from connector.model import Chat, Door, OutboundSms, Text
from connector.pace import Pace
from connector.slots import LATE, Slot

Outcome = Chat | OutcomeUnknown | Refused | Unavailable
Ready = tuple[Text, OutboundSms]


class Client(Protocol):
    """What sends: connector.ccaip.Client."""

    async def send(self, sms: OutboundSms, may_leave: MayLeave) -> Chat: ...


# Commits what became of a text.
Settle = Callable[[Text, OutboundSms, Outcome], Awaitable[None]]

# A worker that was held up longer than this between `sending` and the call may have been given up for dead, and the
# text with it: it does not call any more. Seconds, well below queue.HEARTBEAT.
LATEST = 15.0
# Seconds between two looks whether texts that wait for their slots have been taken back.
DROP = 1.0


class Sender:
    """Sends texts, each in a slot of its own, so many at once."""

    def __init__(self, pool: ConnectionPool, client: Client, pace: Pace, threads: Executor, at_once: int) -> None:
        """`threads` are for the database."""
        self._pool, self._client, self._pace, self._threads = pool, client, pace, threads
        self._claim: Group[int, bool | lane.Closed] = Group(self._claim_many, threads, 500)
        self._permits = asyncio.Semaphore(at_once)
        self._draining = False

    async def send(self, ready: Sequence[Ready], settle: Settle) -> None:
        """Send these texts and settle what became of them; those that somebody else has sent are left alone.

        Raises lane.Closed where some may not be sent now, queue.Later where the worker stops: these are as they were.
        """
        ended = await asyncio.gather(*(self._send(text, sms, settle) for text, sms in ready), return_exceptions=True)
        for error in ended:
            if isinstance(error, BaseException):
                raise error

    async def drop_cancelled(self) -> None:
        """Texts that were taken back while they waited give way: slots are for those that leave. Until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(DROP)
            if waiting := self._pace.waiting():
                with contextlib.suppress(psycopg.OperationalError):  # they are found later, at the latest in their slot
                    self._pace.drop(await loop.run_in_executor(self._threads, self._cancelled, waiting))

    def drain(self) -> None:
        """Nothing more is sent; what is under way is finished."""
        self._draining = True
        self._pace.give_up(queue.Later(0))

    async def _send(self, text: Text, sms: OutboundSms, settle: Settle) -> None:
        slot = None
        if not self._pace.unlimited:
            priority = queue.PRIORITY[queue.DELIVER[text.door], text.door]
            slot = await self._pace.slot(text.id, priority, text.door is Door.BATCH)
            if slot is None:
                return
        async with self._permits:
            if not await self._claimed(text):
                return
            outcome = await self._call(text, sms, slot)
        await settle(text, sms, outcome)

    async def _claimed(self, text: Text) -> bool:
        """Commit `sending`. False: somebody else has sent it, or taken it back."""
        if self._draining:
            raise queue.Later(0)
        [claim] = await self._claim([text.id])
        if isinstance(claim, lane.Closed):
            raise claim
        return claim

    async def _call(self, text: Text, sms: OutboundSms, slot: Slot | None) -> Outcome:
        latest = time.monotonic() + LATEST

        async def may_leave() -> None:
            """Wait for the slot to the millisecond; where it was missed, have it moved."""
            nonlocal slot
            while slot:
                await asyncio.sleep(max(slot.at - time.monotonic(), 0))
                if time.monotonic() <= slot.at + LATE:
                    break
                slot = await self._pace.another(slot, text.door is Door.BATCH)
            if time.monotonic() > latest:
                raise Unavailable("the connector was held up before it could send")

        try:
            return await self._client.send(sms, may_leave)
        except lane.Closed as closed:
            return Unavailable(str(closed), closed.seconds)
        except (OutcomeUnknown, Refused, Unavailable) as error:
            return error
        except Exception as error:  # noqa: BLE001 - whatever it is, the text must not be left in `sending`
            return OutcomeUnknown(f"an error of the connector's own ({type(error).__name__})")

    def _cancelled(self, ids: Sequence[int]) -> set[int]:
        with self._pool.connection() as connection:
            return set(ids) - ledger.to_be_sent(connection, ids)

    def _claim_many(self, ids: Sequence[int]) -> list[bool | lane.Closed]:
        with self._pool.connection() as connection:
            answers = ledger.claim(connection, ids)
        return [(answers[text] or True) if text in answers else False for text in ids]
