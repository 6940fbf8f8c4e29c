"""The worker process: takes jobs off the queue and passes each to delivery or write-back."""

import asyncio
import contextlib
import gc
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import structlog

from connector import bootstrap, crms, logs
from connector.ccaip.client import Client
from connector.crms import Crm
from connector.delivery import pacing
from connector.delivery.admission import Admission
from connector.delivery.backpressure import Backpressure, in_hand
from connector.delivery.breaker import Breaker
from connector.delivery.pipeline import Delivery
from connector.delivery.retry_policy import RetryPolicy
from connector.delivery.sender import Sender
from connector.delivery.settlement import Settlement
from connector.delivery.write_back import WriteBack
from connector.errors import CallFailed
from connector.metrics import counters, exposition
from connector.metrics.exposition import Metrics
from connector.metrics.readings import Readings
from connector.policy.daily_budget import Budgets
from connector.settings import Settings
from connector.store import gauges, postgres, rate_limit
from connector.store.jobs import Kind
from connector.store.postgres import Asking
from connector.store.waiting_senders import WaitingSenders
from connector.worker import job_loop, maintenance_tasks

log = structlog.get_logger()

# Threads for the database and the CRM: one for each kind of batched call, and some to spare. Further connections.
STEP_THREADS, MORE_CONNECTIONS = 8, 10
# Seconds beyond the longest call for which a stopping worker waits for jobs that the database does not release.
END_SECONDS = 1.0
NICE = 10


async def work(settings: Settings, url: str, stop: asyncio.Event) -> int:
    """Deliver and write back until `stop` is set. Jobs in progress are finished, others are put back into the queue.

    The exit status: 1 when an outcome could not be committed.
    """
    async with contextlib.AsyncExitStack() as stack:
        account = bootstrap.account(settings)
        client = Client(account)
        stack.push_async_callback(client.close)
        connected = {
            crm_name: (crms.connect(crm_name, one.file), one) for crm_name, one in bootstrap.mappings(settings).items()
        }
        for crm, _ in connected.values():
            stack.callback(crm.close)
        pool = stack.enter_context(postgres.pool(url, STEP_THREADS + MORE_CONNECTIONS))
        steps = stack.enter_context(postgres.pool(url, STEP_THREADS, postgres.BY_INDEX))
        threads = stack.enter_context(ThreadPoolExecutor(STEP_THREADS, "step"))
        loop = asyncio.get_running_loop()
        warming = [loop.run_in_executor(threads, _warm_up, crm_name, crm) for crm_name, (crm, _) in connected.items()]
        await asyncio.gather(*warming)

        budgets = bootstrap.budgets(mapping for _, mapping in connected.values())
        _expose(settings, url, budgets, stack)
        ask = Asking(pool, threads)
        backpressure = Backpressure(in_hand(settings.ccaip_requests_per_second), connected.keys())
        breaker, people = Breaker(ask, backpressure), WaitingSenders(ask)
        rates = _rates(settings)
        pacer = pacing.Pacer(
            settings.ccaip_requests_per_second,
            lambda count, batch, claimed: ask(rate_limit.reserve, rates, count, batch, claimed),
            lambda seconds, batch: ask(rate_limit.put_off, seconds, batch),
        )
        sender = Sender(
            steps,
            client,
            pacer,
            threads,
            settings.ccaip_requests_at_once,
            settings.ccaip_read_timeout,
            people.left,
            budgets=budgets,
        )
        notify_holds = [crm_name for crm_name, (_, mapping) in connected.items() if mapping.notifies_holds]
        retry_policy = RetryPolicy(settings.busy_seconds, settings.unknown_try_again, notify_holds)
        policies = {crm_name: mapping.policy for crm_name, (_, mapping) in connected.items()}
        admission = Admission(steps, policies, notify_holds=notify_holds)
        settlement = Settlement(steps, threads)
        delivery = Delivery(steps, connected, admission, sender, retry_policy, breaker, people, settlement, threads)
        write_back = WriteBack(
            steps, connected, breaker, threads, settings.write_back_hold_seconds, lambda: delivery.under_way > 0
        )
        handlers: dict[Kind, job_loop.Handle] = dict.fromkeys(Kind, delivery.deliver)
        handlers[Kind.WRITE_BACK] = write_back.write_back
        maintenance = maintenance_tasks.build(settings, account, connected, pool, backpressure, breaker)
        gc.freeze()  # what is loaded by now stays: the garbage collector need not search it again
        keeping = [asyncio.create_task(one) for one in (maintenance.run(), sender.drop_waiting(), people.run())]
        try:
            longest = settings.ccaip_connect_timeout + settings.ccaip_read_timeout + END_SECONDS
            await job_loop.consume(
                url, backpressure, handlers, [sender.drain, write_back.drain, settlement.drain], stop, longest
            )
        finally:
            for task in keeping:
                task.cancel()
            await asyncio.wait(keeping)
            await asyncio.to_thread(maintenance.sign_off)
    log.info("worker stopped")
    return 1 if settlement.lost else 0


def _expose(settings: Settings, url: str, budgets: Budgets, stack: contextlib.AsyncExitStack) -> None:
    """Serve this worker's metrics until the stack ends, if a port is set for them."""
    counters.RATE_LIMIT.set(settings.ccaip_requests_per_second)
    if settings.worker_metrics_port:
        metrics = Metrics(Readings(partial(gauges.read, url, budgets), logs.errors.copy))
        host, port = settings.worker_metrics_host, settings.worker_metrics_port
        stack.callback(exposition.serve(host, port, settings.metrics_keys, metrics.text))


def _rates(settings: Settings) -> rate_limit.Rates:
    return rate_limit.Rates.of(settings.ccaip_requests_per_second or 1, settings.batch_share)


def _warm_up(crm_name: str, crm: Crm) -> None:
    try:
        crm.warm_up()
    except CallFailed as error:
        log.warning("the CRM cannot be used yet", crm=crm_name, why=str(error))


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
