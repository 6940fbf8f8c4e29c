"""The worker: takes jobs off the queue and knows which part of the pipe each is for."""

import asyncio
import contextlib
import signal
from concurrent.futures import ThreadPoolExecutor

import psycopg
import structlog

from connector import ccaip, crms, database, mapping_check, pace, queue
from connector.crms import Crm
from connector.delivery import Delivery
from connector.errors import CallFailed
from connector.mapping import Mapping
from connector.settings import Settings, require_ccaip
from connector.write_back import WriteBack

log = structlog.get_logger()

# Threads for the database and the CRM: one for each kind of grouped call, and some to spare.
STEP_THREADS = 8
# Texts in hand at once: enough for full groups of CRM calls, few enough that what was read is still true when sent.
IN_HAND = 400


def mappings(settings: Settings) -> dict[str, Mapping]:
    """The mapping of each CRM that has a file. Raises BadMapping or BadSettings."""
    return {
        stem: Mapping(
            mapping_check.load(settings.mappings_dir / f"{stem}.toml"),
            settings.ccaip_outbound_number,
            settings.countries,
        )
        for stem in crms.stems(settings.mappings_dir)
    }


def account(settings: Settings) -> ccaip.Account:
    """The CCAI Platform account of these settings. Raises BadSettings."""
    require_ccaip(settings)
    return ccaip.Account(
        address=settings.ccaip_address,
        subdomain=settings.ccaip_subdomain,
        token=settings.ccaip_token.get_secret_value(),
        chat_type=settings.ccaip_chat_type,
        agent_spelling=settings.ccaip_agent_spelling,
        connect_timeout=settings.ccaip_connect_timeout,
        read_timeout=settings.ccaip_read_timeout,
    )


async def work(settings: Settings, url: str, stop: asyncio.Event) -> None:
    """Deliver and write back until `stop`; what is in hand is finished first."""
    with contextlib.ExitStack() as stack:
        client = ccaip.Client(account(settings))
        stack.callback(client.close)
        connected = {stem: (crms.connect(stem, one.file), one) for stem, one in mappings(settings).items()}
        for crm, _ in connected.values():
            stack.callback(crm.close)
        pool = stack.enter_context(database.pool(url, STEP_THREADS + 2))
        threads = stack.enter_context(ThreadPoolExecutor(STEP_THREADS, "step"))
        send_threads = stack.enter_context(ThreadPoolExecutor(settings.send_threads, "send"))
        loop = asyncio.get_running_loop()
        warming = [loop.run_in_executor(threads, _warm_up, stem, crm) for stem, (crm, _) in connected.items()]
        await asyncio.gather(*warming)

        def reserve(slots: int) -> float:
            with pool.connection() as connection:
                return pace.reserve(connection, slots, settings.ccaip_requests_per_second)

        async def reserve_slots(slots: int) -> float:
            return await loop.run_in_executor(threads, reserve, slots)

        delivery = Delivery(
            pool, connected, client.send, pace.Pace(settings.ccaip_requests_per_second, reserve_slots),
            threads, send_threads, settings.busy_seconds,
        )
        write_back = WriteBack(
            pool, connected, threads, settings.write_back_hold_seconds, lambda: delivery.under_way > 0
        )
        async with (
            await psycopg.AsyncConnection.connect(url, autocommit=True) as listening,
            await psycopg.AsyncConnection.connect(url, autocommit=True) as asking,
        ):
            consumer = queue.Consumer(listening, asking, IN_HAND)
            consumer.register(queue.Kind.DELIVER, delivery.deliver)
            consumer.register(queue.Kind.WRITE_BACK, write_back.write_back)
            log.info("worker ready", crms=sorted(connected))
            stopping = asyncio.create_task(_stop_on(stop, consumer))
            try:
                await consumer.run()
            finally:
                stopping.cancel()
    log.info("worker stopped")


async def _stop_on(stop: asyncio.Event, consumer: queue.Consumer) -> None:
    await stop.wait()
    consumer.stop()


def _warm_up(stem: str, crm: Crm) -> None:
    try:
        crm.warm_up()
    except CallFailed as error:
        log.warning("the CRM cannot be used yet", crm=stem, why=str(error))


def run(settings: Settings, url: str) -> None:
    """Work until SIGTERM or SIGINT."""

    async def until_signalled() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await work(settings, url, stop)

    asyncio.run(until_signalled())
