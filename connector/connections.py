"""Kept HTTP/1.1 connections to one server. A call has one to itself, and says on which side of leaving it failed.

They are the standard library's: a call costs half the CPU of one over httpx' transport, and many threads hold each
other up less. The one that was used last is used next: it is warm, and those that are not needed fall out of use.
"""

import select
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPMessage, HTTPSConnection
from urllib.parse import urlsplit

import httpx

# Seconds that a connection may be idle. Shorter than the five after which common servers close it: a request that meets
# such a close would have an unknown outcome.
KEEP_ALIVE = 4.0
# Bytes of an answer: a larger one is none.
LARGEST = 1_000_000


class NeverLeft(Exception):
    """Nothing of the request has left. Its text is the kind of error."""


class NoAnswer(Exception):
    """The request may have left, and no answer came that can be read. Its text is the kind of error."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, whatever it says."""

    status: int
    headers: HTTPMessage
    content: bytes


class Connections:
    """For any number of threads. Timeouts in seconds: to connect, and between two parts of an answer."""

    def __init__(self, address: str, connect_timeout: float, read_timeout: float) -> None:
        parts = urlsplit(address)
        self._tls = parts.scheme == "https"
        self._host, self._port = parts.hostname or "", parts.port
        self._connect_timeout, self._read_timeout = connect_timeout, read_timeout
        self._trusted = httpx.create_ssl_context(trust_env=False)  # once: it takes longer than a call
        self._idle: list[tuple[float, HTTPConnection]] = []

    def post(
        self, path: str, headers: Mapping[str, str], content: bytes, may_leave: Callable[[], None] = lambda: None
    ) -> Answer:
        """One call, never repeated here, no redirect followed. Raises NeverLeft or NoAnswer.

        `may_leave` is called when the connection stands; the first byte leaves when it returns. What it raises is
        raised, and nothing has left.
        """
        connection = self._take()
        try:
            self._reach(connection)
            may_leave()
            answer = _exchange(connection, path, headers, content)
        except BaseException:
            connection.close()
            raise
        if connection.sock:
            self._idle.append((time.monotonic(), connection))
        return answer

    def close(self) -> None:
        """End all connections; for when no call is under way."""
        while self._idle:
            self._idle.pop()[1].close()

    def _take(self) -> HTTPConnection:
        """One that was used a moment ago and still stands, or a new one."""
        while True:
            try:
                since, connection = self._idle.pop()
            except IndexError:
                return self._new()
            if time.monotonic() < since + KEEP_ALIVE and not _readable(connection):
                return connection
            connection.close()

    def _new(self) -> HTTPConnection:
        if self._tls:
            return HTTPSConnection(self._host, self._port, timeout=self._connect_timeout, context=self._trusted)
        return HTTPConnection(self._host, self._port, timeout=self._connect_timeout)

    def _reach(self, connection: HTTPConnection) -> None:
        if connection.sock:
            return
        try:
            connection.connect()
            connection.sock.settimeout(self._read_timeout)
        except (OSError, UnicodeError) as error:
            raise NeverLeft(type(error).__name__) from None


def _exchange(connection: HTTPConnection, path: str, headers: Mapping[str, str], content: bytes) -> Answer:
    try:
        connection.request("POST", path, content, headers)
        with connection.getresponse() as answer:
            read = answer.read(LARGEST)
            if answer.read(1) or answer.length:
                raise NoAnswer("IncompleteRead")  # there is more of it, or less than it said
    except (OSError, HTTPException) as error:
        raise NoAnswer(type(error).__name__) from None
    return Answer(answer.status, answer.headers, read)


def _readable(connection: HTTPConnection) -> bool:
    """Whether something came over an idle connection: that it has been closed, or what nobody asked for."""
    poll = select.poll()
    poll.register(connection.sock, select.POLLIN)
    return bool(poll.poll(0))
