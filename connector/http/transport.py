"""Reused connections to one server, for calls of an event loop and, through an event loop, of threads.

The most recently used connection is used next: it is warm, and surplus connections become idle and are closed. One pool
for all of them would more than double the cost of a call.
"""

import asyncio
import contextlib
import functools
import threading
import time
from collections import deque
from collections.abc import Awaitable, Mapping

import httpx

from connector.http.config import Network
from connector.http.exchange import Answer, BeforeSend, Bounds, Connection, Exchange, NoResponse


class Connections:
    """Connections for any number of concurrent calls in one event loop."""

    def __init__(self, address: str, bounds: Bounds, network: Network | None = None) -> None:
        network = network or Network()
        self._address, self._bounds = httpx.URL(address), bounds
        self._tls, self._proxy = network.tls(), network.proxy_for(address)
        self._kept: deque[tuple[float, Connection]] = deque()
        self._url = functools.lru_cache(maxsize=16)(lambda path: self._address.copy_with(raw_path=path.encode("ascii")))

    async def call(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        content: bytes = b"",
        before_send: BeforeSend | None = None,
    ) -> Answer:
        """Make one call, never repeated here, without following redirects. Raises NeverSent or NoResponse.

        `before_send` is awaited when the connection is established; the first byte is sent when it returns. An
        exception of `before_send` is passed on, and nothing has been sent then.
        """
        headers = {"Accept-Encoding": "gzip", **headers}
        request = httpx.Request(method, self._url(path), headers=headers, content=content)
        connection = self._kept.pop()[1] if self._kept else Connection(self._tls, self._proxy, self._bounds)
        try:
            answer = await Exchange(connection, self._bounds, before_send).answer(request)
        except BaseException:
            await connection.aclose()
            raise
        await self._keep(connection)
        return answer

    async def close(self) -> None:
        """Close all connections. Call it when no call is in progress."""
        while self._kept:
            await self._kept.pop()[1].aclose()

    async def _keep(self, connection: Connection) -> None:
        now = time.monotonic()
        if connection.keeps():
            self._kept.append((now, connection))
        else:
            await connection.aclose()
        while self._kept and self._kept[0][0] + self._bounds.idle_seconds < now:
            await self._kept.popleft()[1].aclose()


class Caller:
    """Calls from any number of threads, of which `at_once` run at a time, in an event loop in a thread of its own."""

    def __init__(self, connections: Connections, at_once: int = 1) -> None:
        self._connections, self._permits = connections, threading.Semaphore(at_once)
        self._starting = threading.Lock()
        self._running: tuple[asyncio.AbstractEventLoop, threading.Thread] | None = None

    def call(
        self, method: str, path: str, headers: Mapping[str, str], content: bytes = b"", seconds: float | None = None
    ) -> Answer:
        """Make one call, like Connections.call, in at most so many seconds in total; None: as its bounds say."""
        with self._permits:
            call = _within(seconds, self._connections.call(method, path, headers, content))
            return asyncio.run_coroutine_threadsafe(call, self._loop()).result()

    def close(self) -> None:
        """Close all connections. Call it when no call is in progress."""
        with self._starting:
            running, self._running = self._running, None
        if running:
            loop, thread = running
            asyncio.run_coroutine_threadsafe(self._connections.close(), loop).result()
            loop.call_soon_threadsafe(loop.stop)
            thread.join()

    def _loop(self) -> asyncio.AbstractEventLoop:
        with self._starting:
            if self._running is None:
                loop = asyncio.new_event_loop()
                self._running = loop, threading.Thread(target=_run, args=[loop], name="http", daemon=True)
                self._running[1].start()
            return self._running[0]


async def _within(seconds: float | None, call: Awaitable[Answer]) -> Answer:
    try:
        async with asyncio.timeout(seconds):
            return await call
    except TimeoutError:
        raise NoResponse("TimedOut") from None


def _run(loop: asyncio.AbstractEventLoop) -> None:
    with contextlib.closing(loop):
        loop.run_forever()
