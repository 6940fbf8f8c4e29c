"""The call itself: not before its slot, not after it either, and never before `sending` is committed.

Calls are made by threads. What they bring back is committed together, as soon as the worker comes to it.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Protocol

import psycopg
from psycopg_pool import ConnectionPool

from connector import lane, ledger, queue
from connector.errors import OutcomeUnknown, Refused, Unavailable
from connector.grouping import Group
from connector.model import Chat, Door, OutboundSms, Text
from connector.pace import LATE, Pace, Slot

Outcome = Chat | OutcomeUnknown | Refused | Unavailable
Ready = tuple[Text, OutboundSms]


class Client(Protocol):
    """What sends: connector.ccaip.Client."""

    def send(self, sms: OutboundSms, may_leave: Callable[[], None]) -> Chat: ...


# Commits what became of these texts.
Settle = Callable[[Sequence[tuple[Text, OutboundSms, Outcome]]], Coroutine[None, None, None]]

# A worker that was held up longer than this between `sending` and the call may have been given up for dead, and the
# text with it: it does not call any more. Seconds, well below queue.HEARTBEAT.
LATEST = 15.0
# Seconds between two looks whether texts that wait for their slots have been taken back.
DROP = 1.0


@dataclass(slots=True)
class _Permits:
    """How many calls may begin now. Those who wait are served in their order."""

    free: int
    waiting: deque[asyncio.Future[None]] = field(default_factory=deque)

    async def take(self, most: int) -> int:
        """At least one, at most `most`, as soon as there are any."""
        while not self.free:
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self.waiting.append(turn)
            await turn
        taken = min(self.free, most)
        self.free -= taken
        self._call_next()
        return taken

    def give(self, count: int) -> None:
        self.free += count
        self._call_next()

    def _call_next(self) -> None:
        while self.free and self.waiting:
            turn = self.waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return


@dataclass(slots=True)
class _Batch:
    """Calls that were begun together; `done` when each has been settled."""

    left: int
    done: asyncio.Future[None]


_CameBack = tuple[Text, OutboundSms, Outcome, _Batch]


class Sender:
    """Sends texts, each in a slot of its own, as many at once as there are threads."""

    def __init__(
        self,
        pool: ConnectionPool,
        client: Client,
        pace: Pace,
        threads: Executor,
        send_threads: Executor,
        at_once: int,
    ) -> None:
        """`send_threads` are as many as `at_once`; `threads` are for the database."""
        self._pool, self._client, self._pace = pool, client, pace
        self._threads, self._send_threads = threads, send_threads
        self._claim: Group[int, bool | lane.Closed] = Group(self._claim_many, threads, 500)
        self._permits = _Permits(at_once)
        self._came_back: deque[_CameBack] = deque()
        self._settling: set[asyncio.Task[None]] = set()
        self._collecting = self._draining = False

    async def send(self, ready: Sequence[Ready], settle: Settle) -> None:
        """Send these texts and settle what became of them; those that somebody else has sent are left alone.

        Raises lane.Closed where some may not be sent now, queue.Later where the worker stops: these are as they were.
        """
        if self._pace.unlimited:
            return await self._send_at_once(ready, settle)
        sent = await asyncio.gather(*(self._send_in_a_slot(one, settle) for one in ready), return_exceptions=True)
        for error in sent:
            if isinstance(error, BaseException):
                raise error
        return None

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

    async def _send_at_once(self, ready: Sequence[Ready], settle: Settle) -> None:
        """As many as there are permits, then the next."""
        batches: list[_Batch] = []
        try:
            start = 0
            while start < len(ready):
                permits = await self._permits.take(len(ready) - start)
                batches.append(await self._begin(ready[start : start + permits], None, settle))
                start += permits
        finally:
            for batch in batches:
                await batch.done

    async def _send_in_a_slot(self, one: Ready, settle: Settle) -> None:
        text, _ = one
        priority = queue.PRIORITY[queue.DELIVER[text.door], text.door]
        slot = await self._pace.slot(text.id, priority, text.door is Door.BATCH)
        if slot is None:
            return
        await self._permits.take(1)
        await (await self._begin([one], slot, settle)).done

    async def _begin(self, ready: Sequence[Ready], slot: Slot | None, settle: Settle) -> _Batch:
        """Commit `sending` and begin the calls; a permit is held for each. Raises like `send`."""
        loop = asyncio.get_running_loop()
        try:
            claims = await self._claimed(ready)
        except BaseException:
            self._permits.give(len(ready))
            raise
        claimed = [one for one, claim in zip(ready, claims, strict=True) if claim is True]
        self._permits.give(len(ready) - len(claimed))
        batch = _Batch(len(claimed), loop.create_future())
        latest = time.monotonic() + LATEST
        for text, sms in claimed:
            self._send_threads.submit(self._call_in, loop, text, sms, slot, latest, batch, settle)
        closed = next((claim for claim in claims if isinstance(claim, lane.Closed)), None)
        if not claimed:
            batch.done.set_result(None)
        if closed:
            await batch.done
            raise closed
        return batch

    async def _claimed(self, ready: Sequence[Ready]) -> list[bool | lane.Closed]:
        if self._draining:
            raise queue.Later(0)
        return await self._claim([text.id for text, _ in ready])

    def _call_in(
        self, loop: asyncio.AbstractEventLoop, text: Text, sms: OutboundSms, slot: Slot | None, latest: float,
        batch: _Batch, settle: Settle,
    ) -> None:  # fmt: skip
        """In a thread: call, and hand over what came back."""
        outcome: Outcome

        def may_leave() -> None:
            """Wait for the slot to the millisecond; where it was missed, give it back and take another one."""
            nonlocal slot
            while slot:
                time.sleep(max(slot.at - time.monotonic(), 0))
                if time.monotonic() <= slot.at + LATE:
                    break
                another = self._pace.another(slot, text.door is Door.BATCH)
                slot = asyncio.run_coroutine_threadsafe(another, loop).result()
            if time.monotonic() > latest:
                raise Unavailable("the connector was held up before it could send")

        try:
            outcome = self._client.send(sms, may_leave)
        except lane.Closed as closed:
            outcome = Unavailable(str(closed), closed.seconds)
        except (OutcomeUnknown, Refused, Unavailable) as error:
            outcome = error
        except Exception as error:  # noqa: BLE001 - whatever it is, the text must not be left in `sending`
            outcome = OutcomeUnknown(f"an error of the connector's own ({type(error).__name__})")
        self._came_back.append((text, sms, outcome, batch))
        if not self._collecting:
            self._collecting = True
            loop.call_soon_threadsafe(self._collect, settle)

    def _collect(self, settle: Settle) -> None:
        self._collecting = False  # before looking, so that nothing that comes now is left lying
        came_back = []
        while self._came_back:
            came_back.append(self._came_back.popleft())
        if came_back:
            self._permits.give(len(came_back))
            task = asyncio.create_task(_settle(settle, came_back))
            self._settling.add(task)
            task.add_done_callback(self._settling.discard)

    def _cancelled(self, ids: Sequence[int]) -> set[int]:
        with self._pool.connection() as connection:
            return set(ids) - ledger.to_be_sent(connection, ids)

    def _claim_many(self, ids: Sequence[int]) -> list[bool | lane.Closed]:
        with self._pool.connection() as connection:
            claimed, closed = ledger.claim(connection, ids)
        return [True if text in claimed else closed or False for text in ids]


async def _settle(settle: Settle, came_back: Sequence[_CameBack]) -> None:
    """Commit what came back, and let those know who wait for it."""
    error: BaseException | None = None
    try:
        await settle([(text, sms, outcome) for text, sms, outcome, _ in came_back])
    except Exception as raised:  # noqa: BLE001 - whatever it is, those who wait have to hear of it
        error = raised
    for *_, batch in came_back:
        batch.left -= 1
        if batch.done.done():
            continue
        if error:
            batch.done.set_exception(error)
        elif not batch.left:
            batch.done.set_result(None)
