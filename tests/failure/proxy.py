"""A way between two processes that can be cut, or stalled as if the bytes were on their way for long."""

import asyncio
import contextlib
import threading
from collections.abc import Awaitable
from typing import Any

Address = tuple[str, int]

# The two directions of a way: towards its target, and back from it.
TO, FROM = "to", "from"
BYTES = 65_536


class Carrier:
    """A thread that carries the bytes of all ways."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True, name="carrier")
        self._thread.start()

    def run(self, what: Awaitable[Any]) -> Any:
        """What comes of it."""

        async def wait() -> Any:
            return await what

        return asyncio.run_coroutine_threadsafe(wait(), self.loop).result(30)

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


class Proxy:
    """A way to `target`: an address, or the path of a socket. It has an address that stays the same when it is cut."""

    def __init__(self, carrier: Carrier, target: Address | str) -> None:
        self._carrier, self._target = carrier, target
        self._carried: set[asyncio.Task[None]] = set()
        self._gates: dict[str, asyncio.Event] = {}
        self._server: asyncio.Server | None = None
        self.address: Address = ("127.0.0.1", 0)
        self.cut_off, self.stalled = False, False
        carrier.run(self._open())

    async def _open(self) -> None:
        for direction in (TO, FROM):
            self._gates[direction] = asyncio.Event()
            self._gates[direction].set()
        self._server = await asyncio.start_server(self._accept, *self.address)
        self.address = self._server.sockets[0].getsockname()[:2]

    def cut(self) -> None:
        """End all connections and take no more."""
        self.cut_off = True
        self._carrier.run(self._close())

    def mend(self) -> None:
        """Take connections again, and let bytes pass."""
        if self.cut_off:
            self._carrier.run(self._open())
        self.cut_off = False
        self.flow()

    def stall(self, *directions: str) -> None:
        """Take connections and keep them, but let no byte pass in these directions; without any, in both."""
        self.stalled = True
        self._carrier.run(self._set(directions or (TO, FROM), False))

    def flow(self) -> None:
        """Let the bytes that were stalled go on, as if they had been late."""
        self.stalled = False
        self._carrier.run(self._set((TO, FROM), True))

    async def _set(self, directions: tuple[str, ...], flows: bool) -> None:
        for direction in directions:
            backpressure = self._gates[direction]
            backpressure.set() if flows else backpressure.clear()

    async def _close(self) -> None:
        if self._server:
            self._server.close()
        for task in self._carried:
            task.cancel()
        await asyncio.gather(*self._carried, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._carried.add(task)
        far: asyncio.StreamWriter | None = None
        try:
            far_reader, far = await self._connect()
            async with asyncio.TaskGroup() as both:
                both.create_task(self._carry(reader, far, TO))
                both.create_task(self._carry(far_reader, writer, FROM))
        except (asyncio.CancelledError, OSError, ExceptionGroup):
            for end in (writer, far):
                if end:
                    end.transport.abort()
        finally:
            self._carried.discard(task)
            for end in (writer, far):
                if end:
                    end.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if isinstance(self._target, str):
            return await asyncio.open_unix_connection(self._target)
        return await asyncio.open_connection(*self._target)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, direction: str) -> None:
        while data := await reader.read(BYTES):
            await self._gates[direction].wait()
            writer.write(data)
            await writer.drain()
        await self._gates[direction].wait()
        with contextlib.suppress(OSError):
            writer.write_eof()
