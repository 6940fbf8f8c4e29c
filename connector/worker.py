"""The worker: takes jobs off the queue and knows which part of the pipe each is for."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import structlog

from connector import backoff, ccaip, chats, crms, database, house, lane, pace, parts, queue, slots, upkeep
from connector.admission import Admission
from connector.backfill import feeding
from connector.backfill.feeding import Feeder
from connector.crms import Crm
from connector.delivery import Delivery
from connector.errors import CallFailed
from connector.gate import Gate, in_hand
from connector.mapping import Mapping as TicketMapping
from connector.sending import Sender
from connector.settings import Settings
from connector.upkeep import Duty, Upkeep
from connector.verdicts import Verdicts
from connector.write_back import WriteBack

log = structlog.get_logger()

# Threads for the database and the CRM: one for each kind of grouped call, and some to spare.
STEP_THREADS = 8
# Seconds between tries to reach a database that is away.
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 15.0
# Seconds between the turns of what is done beside the texts.
REQUEUE_SECONDS, HOUSE_SECONDS = 60.0, 3600.0
# While batches wait, the CRM is asked for its usage once in so many seconds, if nobody else asks it anything.
USAGE_SECONDS = 300.0
NICE = 10

Handle = Callable[[Sequence[int]], Awaitable[None]]


async def work(settings: Settings, url: str, stop: asyncio.Event) -> None:
    """Deliver and write back until `stop`; what is in hand is finished first, what has not begun is put back."""
    with contextlib.ExitStack() as stack:
        account = parts.account(settings)
        client = ccaip.Client(account)
        stack.callback(client.close)
        connected = {stem: (crms.connect(stem, one.file), one) for stem, one in parts.mappings(settings).items()}
        for crm, _ in connected.values():
            stack.callback(crm.close)
        pool = stack.enter_context(database.pool(url, STEP_THREADS + 2))
        threads = stack.enter_context(ThreadPoolExecutor(STEP_THREADS, "step"))
        loop = asyncio.get_running_loop()
        warming = [loop.run_in_executor(threads, _warm_up, stem, crm) for stem, (crm, _) in connected.items()]
        await asyncio.gather(*warming)

        ask = database.Asking(pool, threads)
        gate = Gate(in_hand(settings.ccaip_requests_per_second))
        reserve = partial(ask, slots.reserve, slots.DatabaseClock(), _rates(settings))
        pacing = pace.Pace(settings.ccaip_requests_per_second, reserve)
        sender = Sender(pool, client, pacing, threads, settings.ccaip_requests_at_once)
        verdicts = Verdicts(
            partial(_close, ask, gate, upkeep.stop), partial(_close, ask, gate, lane.hold),
            settings.busy_seconds, settings.unknown_try_again,
        )
        admission = Admission(pool, {stem: mapping.policy for stem, (_, mapping) in connected.items()})
        delivery = Delivery(pool, connected, admission, sender, verdicts, threads)
        write_back = WriteBack(
            pool, connected, threads, settings.write_back_hold_seconds, lambda: delivery.under_way > 0
        )
        handlers: dict[queue.Kind, Handle] = dict.fromkeys(queue.Kind, delivery.deliver)
        handlers |= dict.fromkeys(queue.WRITE_BACKS, write_back.write_back)
        feeder = Feeder({stem: crm for stem, (crm, _) in connected.items()}, settings.batch_rate)
        keeper = Upkeep(
            pool, threads, gate, _duties(settings, account, [one for _, one in connected.values()], feeder),
            lambda: _calls_are_short(settings, [crm for crm, _ in connected.values()], gate),
        )
        keeping = [asyncio.create_task(keeper.run()), asyncio.create_task(sender.drop_cancelled())]
        try:
            await _consume(url, gate, handlers, [sender.drain, write_back.drain], stop)
        finally:
            for task in keeping:
                task.cancel()
            await asyncio.wait(keeping)
    log.info("worker stopped")


async def _consume(
    url: str,
    gate: Gate,
    handlers: Mapping[queue.Kind, Handle],
    drains: Sequence[Callable[[], None]],
    stop: asyncio.Event,
) -> None:
    """Take jobs until `stop`; then call the `drains`. A database that goes away is waited for."""
    failures = 0
    while not stop.is_set():
        try:
            async with await database.connect(url) as listening, await database.connect(url) as asking:
                consumer = queue.Consumer(listening, asking, gate.wants, gate.most)
                for kind, handle in handlers.items():
                    consumer.register(kind, handle)
                log.info("worker ready")
                failures = 0
                stopping = asyncio.create_task(_stop_on(stop, consumer, drains))
                try:
                    await consumer.run()
                finally:
                    stopping.cancel()
        except queue.LOST as error:
            pause = backoff.doubling(failures, FIRST_PAUSE, LONGEST_PAUSE)
            failures += 1
            log.error("the database does not answer", why=type(error).__name__, seconds=round(pause, 1))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), pause)


async def _stop_on(stop: asyncio.Event, consumer: queue.Consumer, drains: Sequence[Callable[[], None]]) -> None:
    await stop.wait()
    consumer.stop()
    for drain in drains:
        drain()


def _rates(settings: Settings) -> slots.Rates:
    return slots.Rates.of(settings.ccaip_requests_per_second or 1, settings.batch_share)


async def _close(
    ask: database.Asking, gate: Gate, how: Callable[[psycopg.Connection, Any], None], what: Any
) -> None:
    """Close the lane: committed for all workers, and known to this one's gate at once."""
    try:
        await ask(how, what)
        gate.closed = await ask(lane.look)
    except psycopg.OperationalError as error:
        # The text's outcome matters more; the next text will meet the same, and say so again.
        log.error("the lane could not be closed", why=type(error).__name__)


def _duties(
    settings: Settings, account: ccaip.Account, found: Sequence[TicketMapping], feeder: Feeder
) -> list[Duty]:
    numbers = sorted({number for mapping in found for number in mapping.outbound_numbers})
    duties = [
        upkeep.prober(account, numbers),
        Duty("feed back-fills", feeding.SECONDS, feeder.feed),
        Duty("requeue", REQUEUE_SECONDS, house.requeue),
        Duty("keep house", HOUSE_SECONDS, partial(house.keep, retention_days=settings.retention_days)),
    ]
    return [*duties, chats.finder(account)] if settings.unknown_from_chats else duties


def _calls_are_short(settings: Settings, connected: Sequence[Crm], gate: Gate) -> bool:
    """Whether a CRM has so few of the day's calls left that batches leave them to people and triggers."""
    newest = USAGE_SECONDS if gate.batches_wait else None
    return any((crm.usage(newest) or 0) >= settings.batch_calls_share for crm in connected)


def _warm_up(stem: str, crm: Crm) -> None:
    try:
        crm.warm_up()
    except CallFailed as error:
        log.warning("the CRM cannot be used yet", crm=stem, why=str(error))


def _stand_back() -> None:
    """Behind whatever else shares this machine: a web side's senders wait for an acknowledgement."""
    os.nice(NICE)
    # Where Linux shares a machine out by sessions, only the session's own niceness counts (sched(7), autogroup).
    if os.getsid(0) == os.getpid():
        with contextlib.suppress(OSError):
            Path("/proc/self/autogroup").write_text(f"{NICE}", encoding="ascii")


def run(settings: Settings, url: str) -> None:
    """Work until SIGTERM or SIGINT."""

    _stand_back()

    async def until_signalled() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await work(settings, url, stop)

    asyncio.run(until_signalled())
