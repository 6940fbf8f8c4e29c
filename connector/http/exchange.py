"""One HTTP/1.1 call over a connection of its own: when it leaves, and on which side of leaving it failed.

httpx makes the call. Its `trace` extension is awaited when the connection stands and no byte of the request has left:
https://www.python-httpx.org/advanced/extensions/#trace
"""

import asyncio
import importlib.util
import select
import ssl
import sys
import zlib
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

import httpx

# A part of httpx looks for this module several times a call, in all folders: a third of what a call costs. Python does
# not look for one that is noted as missing.
if importlib.util.find_spec("sniffio") is None:
    sys.modules["sniffio"] = None  # type: ignore[assignment]

# Seconds that an answer has beyond its timeout: a process that was stopped finds the end of its time and the answer at
# the same moment, and reads the answer first.
MOMENT = 0.1
# That the other side has ended the connection. Where a system cannot tell it from bytes to be read, it says so later.
ENDED = getattr(select, "POLLRDHUP", select.POLLHUP)


class NeverSent(Exception):
    """Nothing of the request has left. Its text is the kind of error."""


class NoResponse(Exception):
    """The request may have left, and no answer came that can be read. Its text is the kind of error."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, whatever it says. The names of headers are in lower case; content that cannot be read is empty."""

    status: int
    headers: Mapping[str, str]
    content: bytes


BeforeSend = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Bounds:
    """Seconds until a connection stands, with proxy and TLS; seconds for the whole answer after that; and bytes of the
    answer, as it comes and decompressed. Seconds that a connection may be idle.
    """

    connect_seconds: float
    answer_seconds: float
    answer_bytes: int = 1_000_000
    idle_seconds: float = 4.0  # less than the five after which common servers close: a call that meets it is unknown


class Connection(httpx.AsyncHTTPTransport):
    """One connection, one call at a time. httpx makes it anew where it was idle for long, or readable before a call."""

    def __init__(self, tls: ssl.SSLContext, proxy: httpx.Proxy | None, bounds: Bounds) -> None:
        only = httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=bounds.idle_seconds)
        super().__init__(verify=tls, proxy=proxy, limits=only, trust_env=False)
        self._stream: Any = None
        self._used = False

    def made(self, stream: Any) -> None:
        """Its stream is another one now."""
        self._stream, self._used = stream, False

    async def aclose(self) -> None:
        """End it, also where a deadline met it in the middle of TLS: httpx leaves that open."""
        await super().aclose()
        if self._stream:
            await self._stream.aclose()

    def is_over(self) -> bool:
        """Whether the other side has ended it, or said what nobody asked for. TLS says something at the beginning."""
        unasked = 0 if self._stream.get_extra_info("ssl_object") and not self._used else select.POLLIN
        poll = select.poll()
        poll.register(self._stream.get_extra_info("socket"), ENDED | unasked)
        return bool(poll.poll(0))

    def keeps(self) -> bool:
        """Whether it stands after an answer, and no more came than that. httpx would take the rest for the next answer,
        and has no public name for it.
        """
        self._used = True
        connections: list[Any] = self._pool.connections
        return any(not one._connection._h11_state.trailing_data[0] for one in connections)


class _Step(Enum):
    CONNECTING = auto()
    WAITING = auto()
    LEFT = auto()


class Exchange:
    """One call over this connection. Afterwards the connection is of use only if the call was answered."""

    def __init__(self, connection: Connection, bounds: Bounds, before_send: BeforeSend | None) -> None:
        self._connection, self._bounds, self._may_leave = connection, bounds, before_send
        self._step = _Step.CONNECTING
        self._end: asyncio.TimerHandle | None = None

    async def answer(self, request: httpx.Request) -> Answer:
        """Send it, once. Raises NeverLeft, NoAnswer, or what `may_leave` raised."""
        request.extensions["trace"] = self._trace
        try:
            async with asyncio.timeout(self._bounds.connect_seconds) as self._deadline:
                response = await self._connection.handle_async_request(request)
                return await self._read(response)
        except (httpx.TransportError, OSError, UnicodeError) as error:
            if self._step is _Step.WAITING:
                raise
            raise (NoResponse if self._step is _Step.LEFT else NeverSent)(_kind(error)) from None
        finally:
            if self._end:
                self._end.cancel()

    async def _trace(self, event: str, info: Mapping[str, Any]) -> None:
        if event.endswith((".connect_tcp.complete", ".start_tls.complete")):
            self._connection.made(info["return_value"])
        elif event == "http11.send_request_headers.started" and info["request"].method != b"CONNECT":  # a proxy's
            await self._leave()

    async def _leave(self) -> None:
        self._deadline.reschedule(None)
        if self._may_leave:
            self._step = _Step.WAITING
            await self._may_leave()
            if self._connection.is_over():  # it had time to end
                raise NeverSent("ConnectionClosed")
        self._step = _Step.LEFT
        self._end = asyncio.get_running_loop().call_later(self._bounds.answer_seconds, self._end_soon)

    def _end_soon(self) -> None:
        self._deadline.reschedule(asyncio.get_running_loop().time() + MOMENT)

    async def _read(self, response: httpx.Response) -> Answer:
        content, most = bytearray(), self._bounds.answer_bytes
        async for part in response.aiter_raw():
            content += part
            if len(content) > most:
                raise NoResponse("TooLarge")
        # Of a header that comes twice, the first counts.
        raw = reversed(response.headers.raw)
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in raw}
        return Answer(response.status_code, headers, _decompressed(content, headers.get("content-encoding"), most))


def _decompressed(content: bytes | bytearray, encoding: str | None, most: int) -> bytes:
    if encoding in (None, "", "identity"):
        return bytes(content)
    reader = zlib.decompressobj(wbits=47)  # gzip or zlib
    try:
        whole = reader.decompress(content, most + 1)
    except zlib.error:
        return b""
    if len(whole) > most:
        raise NoResponse("TooLarge")
    return whole if reader.eof else b""


def _kind(error: BaseException) -> str:
    """The kind of error, never its text, which may hold what was to be sent: the system's where there is one. A proxy's
    refusal has its status too.
    """
    if isinstance(error, httpx.ProxyError):
        return f"ProxyError {str(error)[:3]}"
    kinds = (type(one) for one in _causes(error) if isinstance(one, OSError))
    return next((kind for kind in kinds if kind is not OSError), type(error)).__name__


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
