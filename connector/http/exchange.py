"""One HTTP/1.1 call over a connection of its own: when it is sent, and whether a failure came before or after that.

httpx makes the call. Its `trace` extension is awaited when the connection is established and no byte of the request has
been sent: https://www.python-httpx.org/advanced/extensions/#trace
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

# A part of httpx looks for this module several times a call, in all folders: a third of the cost of a call. Python does
# not search for a module that is marked as missing.
if importlib.util.find_spec("sniffio") is None:
    sys.modules["sniffio"] = None  # type: ignore[assignment]

# Seconds added to the response timeout. A process that was suspended finds the timeout expired and the response
# received at the same moment, and so reads the response first.
MOMENT = 0.1
# The poll event of a closed connection. Where the system cannot tell it from readable bytes, it is reported later.
ENDED = getattr(select, "POLLRDHUP", select.POLLHUP)


class NeverSent(Exception):
    """No byte of the request has been sent. The message is the kind of error."""


class NoResponse(Exception):
    """The request may have been sent, and no readable response arrived. The message is the kind of error."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A response with any status. Header names are in lower case; content that cannot be decompressed is empty."""

    status: int
    headers: Mapping[str, str]
    content: bytes


BeforeSend = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Bounds:
    """Time limits in seconds, and the size limit of a response in bytes.

    `connect_seconds` covers proxy and TLS; `answer_seconds` the whole response after that; `answer_bytes` the response
    both as received and decompressed; `idle_seconds` the time that a connection may be idle.
    """

    connect_seconds: float
    answer_seconds: float
    answer_bytes: int = 1_000_000
    idle_seconds: float = 4.0  # common servers close after five: a call that meets it is unknown


class Connection(httpx.AsyncHTTPTransport):
    """One connection, for one call at a time. httpx reconnects if it was idle too long, or readable before a call."""

    def __init__(self, tls: ssl.SSLContext, proxy: httpx.Proxy | None, bounds: Bounds) -> None:
        only = httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=bounds.idle_seconds)
        super().__init__(verify=tls, proxy=proxy, limits=only, trust_env=False)
        self._stream: Any = None
        self._socket: Any = None
        self._secured = self._used = False

    def made(self, stream: Any) -> None:
        """Record a new stream of this connection."""
        self._stream, self._used = stream, False
        self._socket = stream.get_extra_info("socket")
        self._secured = stream.get_extra_info("ssl_object") is not None

    async def aclose(self) -> None:
        """Close the connection, even where a deadline interrupts the TLS handshake: httpx leaves that open."""
        await super().aclose()
        if self._stream:
            await self._stream.aclose()

    def is_over(self) -> bool:
        """Return whether the other side has closed the connection or sent unrequested bytes.

        TLS sends bytes of its own at the beginning.
        """
        unasked = 0 if self._secured and not self._used else select.POLLIN
        poll = select.poll()
        poll.register(self._socket, ENDED | unasked)
        return bool(poll.poll(0))

    def keeps(self) -> bool:
        """Return whether the connection is reusable after a response: it is open, and no bytes followed the response.

        httpx would take such bytes for the next response, and has no public name for them.
        """
        self._used = True
        connections: list[Any] = self._pool.connections
        return any(not one._connection._h11_state.trailing_data[0] for one in connections)


class _Step(Enum):
    CONNECTING = auto()
    WAITING = auto()
    LEFT = auto()


class Exchange:
    """One call over this connection. Afterwards, reuse the connection only if the call was answered."""

    def __init__(self, connection: Connection, bounds: Bounds, before_send: BeforeSend | None) -> None:
        self._connection, self._bounds, self._before_send = connection, bounds, before_send
        self._step = _Step.CONNECTING
        self._end: asyncio.TimerHandle | None = None

    async def answer(self, request: httpx.Request) -> Answer:
        """Send the request once. Raises NeverSent, NoResponse, or what `before_send` raised."""
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
        elif event == "http11.send_request_headers.started" and info["request"].method != b"CONNECT":  # for a proxy
            await self._leave()

    async def _leave(self) -> None:
        self._deadline.reschedule(None)
        if self._before_send:
            self._step = _Step.WAITING
            await self._before_send()
            if self._connection.is_over():  # it may have closed meanwhile
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
        # Of a repeated header, the first one counts.
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
    """Return the kind of error, never its message, which may contain the request's content.

    It is the kind of the operating system's error where there is one. A proxy's refusal has its status too.
    """
    if isinstance(error, httpx.ProxyError):
        return f"ProxyError {str(error)[:3]}"
    kinds = (type(one) for one in _causes(error) if isinstance(one, OSError))
    return next((kind for kind in kinds if kind is not OSError), type(error)).__name__


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
