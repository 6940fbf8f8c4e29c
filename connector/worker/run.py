"""The worker process: takes jobs off the queue and passes each to delivery or write-back."""

import asyncio
import contextlib
import gc
import os
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import structlog
from psycopg_pool import ConnectionPool

from connector import backoff, bootstrap, crms, logs
from connector.backfill import feeder
from connector.backfill.feeder import Feeder
from connector.ccaip.client import Account, Client
from connector.crms import Crm
from connector.delivery import opt_out_fields, pacing
from connector.delivery.admission import Admission
from connector.delivery.backpressure import Backpressure, in_hand
from connector.delivery.breaker import Breaker
from connector.delivery.chat_write_back import ChatWriteBack
from connector.delivery.pipeline import Delivery
from connector.delivery.retry_policy import RetryPolicy
from connector.delivery.sender import Sender
from connector.delivery.write_back import WriteBack
from connector.errors import CallFailed
from connector.mapping.rules import Mapping as TicketMapping
from connector.metrics import counters, exposition
from connector.metrics.exposition import Metrics
from connector.metrics.readings import Readings
from connector.policy.daily_budget import Budgets
from connector.settings import Settings
from connector.store import (
    audit,
    circuit_breaker,
    gauges,
    installation,
    mapping_version,
    opt_outs,
    postgres,
    rate_limit,
    retention,
    roll_ups,
)
from connector.store.jobs import Kind
from connector.store.postgres import Asking
from connector.store.waiting_senders import WaitingSenders
from connector.worker import chat_events, chat_follower, chat_reconciler, maintenance
from connector.worker import consumer as consumer_store
from connector.worker.consumer import Consumer
from connector.worker.maintenance import Maintenance, MaintenanceTask

log = structlog.get_logger()

# Threads for the database and the CRM: one for each kind of batched call, and some to spare. Further connections.
STEP_THREADS, MORE_CONNECTIONS = 8, 9
# Shortest and longest pause in seconds between attempts to reach a database that is away.
FIRST_PAUSE, MAX_PAUSE = 0.5, 15.0
# Intervals of the maintenance tasks, in seconds.
REQUEUE_SECONDS, ROLL_UP_SECONDS, HOUSE_SECONDS, FREE_SECONDS = 30.0, 60.0, 3600.0, 86_400.0
# Seconds between requests for the CRM's usage while batches wait, if no other call to the CRM reports it.
USAGE_SECONDS = 300.0
# Seconds beyond the longest call for which a stopping worker waits for jobs that the database does not release.
END_SECONDS = 1.0
NICE = 10

Handle = Callable[[Sequence[int]], Awaitable[None]]


async def work(settings: Settings, url: str, stop: asyncio.Event) -> int:
    """Deliver and write back until `stop` is set. Jobs in progress are finished, others are put back into the queue.

    The exit status: 1 when an outcome could not be committed.
    """
    async with contextlib.AsyncExitStack() as stack:
        account = bootstrap.account(settings)
        client = Client(account)
        stack.push_async_callback(client.close)
        connected = {stem: (crms.connect(stem, one.file), one) for stem, one in bootstrap.mappings(settings).items()}
        for crm, _ in connected.values():
            stack.callback(crm.close)
        pool = stack.enter_context(postgres.pool(url, STEP_THREADS + MORE_CONNECTIONS))
        threads = stack.enter_context(ThreadPoolExecutor(STEP_THREADS, "step"))
        loop = asyncio.get_running_loop()
        warming = [loop.run_in_executor(threads, _warm_up, stem, crm) for stem, (crm, _) in connected.items()]
        await asyncio.gather(*warming)

        budgets = bootstrap.budgets(mapping for _, mapping in connected.values())
        _expose(settings, url, budgets, stack)
        ask = Asking(pool, threads)
        backpressure = Backpressure(in_hand(settings.ccaip_requests_per_second), connected.keys())
        breaker, people = Breaker(ask, backpressure), WaitingSenders(ask)
        rates = _rates(settings)
        pace_ = pacing.Pacer(
            settings.ccaip_requests_per_second,
            lambda count, batch, claimed: ask(rate_limit.reserve, rates, count, batch, claimed),
            lambda seconds, batch: ask(rate_limit.put_off, seconds, batch),
        )
        sender = Sender(
            pool,
            client,
            pace_,
            threads,
            settings.ccaip_requests_at_once,
            settings.ccaip_read_timeout,
            people.left,
            budgets=budgets,
        )
        tell_holds = [stem for stem, (_, mapping) in connected.items() if mapping.tells_holds]
        retry_policy = RetryPolicy(settings.busy_seconds, settings.unknown_try_again, tell_holds)
        policies = {stem: mapping.policy for stem, (_, mapping) in connected.items()}
        admission = Admission(pool, policies, tell_holds=tell_holds)
        delivery = Delivery(pool, connected, admission, sender, retry_policy, breaker, people, threads)
        write_back = WriteBack(
            pool, connected, breaker, threads, settings.write_back_hold_seconds, lambda: delivery.under_way > 0
        )
        handlers: dict[Kind, Handle] = dict.fromkeys(Kind, delivery.deliver)
        handlers[Kind.WRITE_BACK] = write_back.write_back
        keeper = _maintenance(settings, account, connected, pool, backpressure, breaker)
        gc.freeze()  # what is loaded by now stays: the garbage collector need not search it again
        keeping = [asyncio.create_task(one) for one in (keeper.run(), sender.drop_waiting(), people.run())]
        try:
            longest = settings.ccaip_connect_timeout + settings.ccaip_read_timeout + END_SECONDS
            await _consume(url, backpressure, handlers, [sender.drain, write_back.drain, delivery.drain], stop, longest)
        finally:
            for task in keeping:
                task.cancel()
            await asyncio.wait(keeping)
            await asyncio.to_thread(keeper.sign_off)
    log.info("worker stopped")
    return 1 if delivery.lost else 0


async def _consume(
    url: str,
    backpressure: Backpressure,
    handlers: Mapping[Kind, Handle],
    drains: Sequence[Callable[[], None]],
    stop: asyncio.Event,
    longest: float,
) -> None:
    """Take jobs until `stop` is set; then call the `drains` and wait up to `longest` seconds for jobs in hand.

    Reconnects to a database that is away.
    """
    failures = 0
    while not stop.is_set():
        try:
            async with await postgres.connect(url) as listening, await postgres.connect(url) as asking:
                await asyncio.to_thread(installation.check, url)
                consumer = Consumer(listening, asking, backpressure.wants, backpressure.most)
                for kind, handle in handlers.items():
                    consumer.register(kind, handle)
                log.info("worker ready")
                failures = 0
                stopping = asyncio.create_task(_stop_on(stop, consumer, drains))
                try:
                    await _until_its_end(consumer, stop, longest)
                finally:
                    stopping.cancel()
        except consumer_store.LOST as error:
            pause = backoff.doubling(failures, FIRST_PAUSE, MAX_PAUSE)
            failures += 1
            log.error("the database does not answer", why=type(error).__name__, seconds=round(pause, 1))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), pause)


async def _until_its_end(consumer: Consumer, stop: asyncio.Event, longest: float) -> None:
    """Run the consumer. After `stop` it has `longest` seconds to finish: a lost database must not block the exit."""
    running = asyncio.create_task(consumer.run())
    asked = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait([running, asked], return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait([running], timeout=longest)
        if not running.done():
            log.error("the worker ends although jobs could not be let go; they are done elsewhere, or later")
            running.cancel()
            await asyncio.wait([running], timeout=1)
        elif not running.cancelled():
            running.result()
    finally:
        asked.cancel()


async def _stop_on(stop: asyncio.Event, consumer: Consumer, drains: Sequence[Callable[[], None]]) -> None:
    await stop.wait()
    consumer.stop()
    for drain in drains:
        drain()


def _expose(settings: Settings, url: str, budgets: Budgets, stack: contextlib.AsyncExitStack) -> None:
    """Serve this worker's metrics until the stack ends, if a port is set for them."""
    counters.RATE_LIMIT.set(settings.ccaip_requests_per_second)
    if settings.worker_metrics_port:
        metrics = Metrics(Readings(partial(gauges.read, url, budgets), logs.errors.copy))
        host, port = settings.worker_metrics_host, settings.worker_metrics_port
        stack.callback(exposition.serve(host, port, settings.metrics_keys, metrics.text))


def _rates(settings: Settings) -> rate_limit.Rates:
    return rate_limit.Rates.of(settings.ccaip_requests_per_second or 1, settings.batch_share)


def _maintenance(
    settings: Settings,
    account: Account,
    connected: Mapping[str, tuple[Crm, TicketMapping]],
    pool: ConnectionPool,
    backpressure: Backpressure,
    breaker: Breaker,
) -> Maintenance:
    numbers = sorted({number for _, mapping in connected.values() for number in mapping.outbound_numbers})
    alone = {stem: crm for stem, (crm, _) in connected.items()}
    mappings = {stem: mapping for stem, (_, mapping) in connected.items()}
    words = bootstrap.opt_out_words(mappings)
    tasks = [
        MaintenanceTask("feed back-fills", feeder.SECONDS, Feeder(alone, settings.batch_rate, mappings).feed),
        chat_events.task(settings.ccaip_customer_senders, words),
        MaintenanceTask("requeue", REQUEUE_SECONDS, retention.requeue),
        MaintenanceTask("free", FREE_SECONDS, retention.free),
        MaintenanceTask("keep house", HOUSE_SECONDS, partial(retention.keep, retention_days=settings.retention_days)),
        MaintenanceTask("keep audit", HOUSE_SECONDS, partial(audit.keep, days=settings.audit_retention_days)),
        MaintenanceTask("roll-ups", ROLL_UP_SECONDS, roll_ups.sum_up),
    ]
    tasks += [
        MaintenanceTask("opt-out fields", opt_out_fields.WRITE_SECONDS, opt_out_fields.writer(connected)),
        MaintenanceTask("CRM opt-outs", opt_out_fields.FOLLOW_SECONDS, opt_out_fields.follower(connected)),
        MaintenanceTask("opt-out reviews", HOUSE_SECONDS, opt_outs.say_overdue),
    ]
    if settings.unknown_from_chats:
        tasks.append(chat_reconciler.finder(account))
    if any(mapping.file.write_back.chat for _, mapping in connected.values()):
        writer = ChatWriteBack(connected, backpressure, settings.chat_calls_share)
        tasks.append(MaintenanceTask("write chat statuses", settings.chat_write_seconds, writer.write))
        if settings.chat_poll_seconds:
            tasks.append(chat_follower.follower(account, settings.chat_poll_seconds))
    probes = {circuit_breaker.PLATFORM: maintenance.platform_probe(account, numbers)} | {
        stem: crm.probe for stem, crm in alone.items()
    }
    fingerprints = mapping_version.fingerprints(settings.mappings_dir, alone)
    return Maintenance(
        pool,
        backpressure,
        breaker,
        tasks,
        probes,
        fingerprints,
        lambda: _calls_are_short(settings, alone, backpressure),
    )


def _calls_are_short(settings: Settings, connected: Mapping[str, Crm], backpressure: Backpressure) -> bool:
    """Whether a CRM has so few of the day's calls left that they are reserved for agents and triggers."""
    newest = USAGE_SECONDS if backpressure.batches_wait else None
    used = {stem: share for stem, crm in connected.items() if (share := crm.usage(newest)) is not None}
    for stem, share in used.items():
        counters.CRM_CALLS_LEFT.labels(stem).set(max(1 - share, 0))
    return any(share >= settings.batch_calls_share for share in used.values())


def _warm_up(stem: str, crm: Crm) -> None:
    try:
        crm.warm_up()
    except CallFailed as error:
        log.warning("the CRM cannot be used yet", crm=stem, why=str(error))


def _stand_back() -> None:
    """Lower this process's priority: clients of a web process on this machine wait for their responses."""
    os.nice(NICE)
    # With autogrouping, Linux uses only the niceness of the session (sched(7)).
    if os.getsid(0) == os.getpid():
        with contextlib.suppress(OSError):
            Path("/proc/self/autogroup").write_text(f"{NICE}", encoding="ascii")


def run(settings: Settings, url: str) -> int:
    """Run the worker until SIGTERM or SIGINT; the exit status."""

    _stand_back()

    async def until_signalled() -> int:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        return await work(settings, url, stop)

    return asyncio.run(until_signalled())
