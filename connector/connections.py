"""Kept HTTP/1.1 connections to one server. A call has one to itself, and says on which side of leaving it failed.

They live in the worker's event loop: a thread for each call costs more than the call, because threads of one
interpreter hold each other up. The connection that was used last is used next: it is warm, and those that are not
needed fall out of use. https://github.com/MagicStack/httptools reads the answers.
"""

import asyncio
import select
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx
from httptools import HttpParserError, HttpResponseParser

# Seconds that a connection may be idle. Shorter than the five after which common servers close it: a request that meets
# such a close would have an unknown outcome.
KEEP_ALIVE = 4.0
# Bytes of an answer, head and body: a larger one is none.
LARGEST = 1_000_000


class NeverLeft(Exception):
    """Nothing of the request has left. Its text is the kind of error."""


class NoAnswer(Exception):
    """The request may have left, and no answer came that can be read. Its text is the kind of error."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, whatever it says. The names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    content: bytes


MayLeave = Callable[[], Awaitable[None]]


async def at_once() -> None:
    """Nothing is to be waited for."""


class Connections:
    """For any number of calls at once in one event loop. Timeouts in seconds: to connect, and for the whole answer."""

    def __init__(self, address: str, connect_timeout: float, read_timeout: float) -> None:
        parts = urlsplit(address)
        tls = parts.scheme == "https"
        self._host, self._port = parts.hostname or "", parts.port or (443 if tls else 80)
        self._named = parts.netloc.rpartition("@")[2]
        self._connect_timeout, self._read_timeout = connect_timeout, read_timeout
        self._trusted = httpx.create_ssl_context(trust_env=False) if tls else None  # once: it takes longer than a call
        self._idle: list[tuple[float, _Connection]] = []

    async def post(
        self, path: str, headers: Mapping[str, str], content: bytes, may_leave: MayLeave = at_once
    ) -> Answer:
        """One call, never repeated here, no redirect followed. Raises NeverLeft or NoAnswer.

        `may_leave` is awaited when the connection stands; the first byte leaves when it returns. What it raises is
        raised, and nothing has left.
        """
        request = self._request(path, headers, content)
        connection = self._take() or await self._connect()
        try:
            await may_leave()
            answer = await self._exchange(connection, request)
        except BaseException:
            connection.abort()
            raise
        if connection.usable():
            self._idle.append((time.monotonic(), connection))
        else:
            connection.abort()
        return answer

    def close(self) -> None:
        """End all connections; for when no call is under way."""
        while self._idle:
            self._idle.pop()[1].abort()

    def _request(self, path: str, headers: Mapping[str, str], content: bytes) -> bytes:
        named = {"Host": self._named, "Accept-Encoding": "identity", "Content-Length": str(len(content)), **headers}
        lines = "".join(f"{name}: {value}\r\n" for name, value in named.items())
        return f"POST {path} HTTP/1.1\r\n{lines}\r\n".encode("ascii") + content

    def _take(self) -> "_Connection | None":
        """One that was used a moment ago and still stands."""
        while self._idle:
            since, connection = self._idle.pop()
            if time.monotonic() < since + KEEP_ALIVE and connection.usable() and not connection.readable():
                return connection
            connection.abort()
        return None

    async def _connect(self) -> "_Connection":
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._connect_timeout):
                _, connection = await loop.create_connection(_Connection, self._host, self._port, ssl=self._trusted)
        except (OSError, UnicodeError) as error:
            raise NeverLeft(type(error).__name__) from None
        return connection

    async def _exchange(self, connection: "_Connection", request: bytes) -> Answer:
        if not connection.usable():  # it was closed while the request had to wait
            raise NeverLeft("ConnectionClosed")
        try:
            answer = connection.ask(request)
            # No timeout that throws away what is there: a process that was stopped for a while finds both at once.
            await asyncio.wait([answer], timeout=self._read_timeout)
            if answer.done():
                return answer.result()
            answer.cancel()
            raise NoAnswer("TimeoutError")
        except OSError as error:
            raise NoAnswer(type(error).__name__) from None


class _Connection(asyncio.Protocol):
    """One connection, one answer at a time."""

    def __init__(self) -> None:
        self._answer: _Incoming | None = None

    def ask(self, request: bytes) -> asyncio.Future[Answer]:
        """Send this; the answer to come, or OSError or NoAnswer instead."""
        self._transport.write(request)
        self._answer = _Incoming()
        return self._answer.whole

    def usable(self) -> bool:
        """Whether it stands, and nothing came that was not asked for."""
        return not self._transport.is_closing() and (self._answer is None or self._answer.kept)

    def readable(self) -> bool:
        """Whether something came that the event loop has not told of yet: the end, or what nobody asked for."""
        poll = select.poll()
        poll.register(self._transport.get_extra_info("socket"), select.POLLIN)
        return bool(poll.poll(0))

    def abort(self) -> None:
        self._transport.abort()

    def connection_made(self, transport: Any) -> None:
        self._transport: asyncio.Transport = transport

    def data_received(self, data: bytes) -> None:
        if self._answer is None or self._answer.whole.done():
            self._transport.abort()
        else:
            self._answer.feed(data)

    def connection_lost(self, error: Exception | None) -> None:
        if self._answer:
            self._answer.end(error)


class _Incoming:
    """An answer as it comes in. The methods `on_…` are called by the parser."""

    def __init__(self) -> None:
        self.whole: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        # Whether the connection may be used again after it.
        self.kept = False
        self._parser = HttpResponseParser(self)
        self._headers: dict[str, str] = {}
        self._content = bytearray()
        self._until_end = False
        self._size = 0

    def feed(self, data: bytes) -> None:
        """Some more of it."""
        self._size += len(data)
        if self._size > LARGEST:
            self._fail(NoAnswer("TooLarge"))
            return
        try:
            self._parser.feed_data(data)
        except HttpParserError as error:
            self.kept = False
            self._fail(NoAnswer(type(error).__name__))

    def end(self, error: Exception | None) -> None:
        """The connection has ended."""
        if self._until_end and error is None:
            self.on_message_complete()
        self._fail(error or NoAnswer("ConnectionClosed"))

    def on_message_begin(self) -> None:
        self.kept = self._until_end = False
        if not self.whole.done():
            self._headers, self._content = {}, bytearray()

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.setdefault(name.decode("latin-1").lower(), value.decode("latin-1"))

    def on_headers_complete(self) -> None:
        self._until_end = not self._headers.keys() & {"content-length", "transfer-encoding"}

    def on_body(self, body: bytes) -> None:
        self._content += body

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        if status >= 200 and not self.whole.done():  # below: the answer itself is still to come
            self.kept = self._parser.should_keep_alive()
            self.whole.set_result(Answer(status, self._headers, bytes(self._content)))

    def _fail(self, error: Exception) -> None:
        if not self.whole.done():
            self.whole.set_exception(error)
