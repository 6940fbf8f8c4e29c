"""The worker's loop: connect to the queue, take jobs until asked to stop, and reconnect to a database that is away."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence

import structlog

from connector import backoff
from connector.delivery.backpressure import Backpressure
from connector.store import installation, postgres
from connector.store.jobs import Kind
from connector.worker import consumer as consumer_store
from connector.worker.consumer import Consumer

log = structlog.get_logger()

# Shortest and longest pause in seconds between attempts to reach a database that is away.
FIRST_PAUSE, MAX_PAUSE = 0.5, 15.0

Handle = Callable[[Sequence[int]], Awaitable[None]]


async def consume(
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
                consumer = Consumer(listening, asking, backpressure.wants, backpressure.max_in_hand)
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
