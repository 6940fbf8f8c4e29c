"""The web process: Flask behind waitress.

waitress reads a whole request before a thread starts on it. Slow senders therefore hold no thread, and truncated
requests never reach the application. https://docs.pylonsproject.org/projects/waitress/
"""

import logging
import resource
import signal
import time
from contextlib import closing
from threading import Lock
from typing import Any

import psycopg
import structlog
from flask import Flask
from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.server import TcpWSGIServer
from waitress.task import ErrorTask, ThreadedTaskDispatcher
from waitress.utilities import Error

from connector import crms
from connector.settings import Settings
from connector.store import mapping_version, postgres
from webhooks import app as application
from webhooks import health
from webhooks.ccaip import chat_events
from webhooks.concurrency import MAX_CRM_CALLS, MAX_WAITS
from webhooks.health import Stopping

log = structlog.get_logger()

# Threads for /healthz, /readyz and /metrics, which answer even when all others are busy.
HEALTH_THREADS = 3
# Threads for chat events, so that a burst of them does not keep the CRMs' events waiting.
CHAT_EVENT_THREADS = 4
# Connections for saving events: each CRM has one short commit at a time. Two more are for chat events and /readyz.
EVENT_CONNECTIONS = 4
# Open connections, and the files they may need: a body larger than the buffer goes to a temporary file.
MAX_CONNECTIONS = 2000
MAX_FILES = 2 * MAX_CONNECTIONS + 500
BUFFER_BYTES = 64_000
MAX_HEADER_BYTES = 64_000
# A body up to this multiple of the limit is read, so that its sender gets an answer. A larger one is cut off.
READ_OVER = 4
# Seconds until an idle connection is closed, in addition to the time that a request may take to arrive.
IDLE_SECONDS = 30
# Seconds between two checks for stalled and idle connections.
CLEANUP_SECONDS = 1
# Seconds for requests under way to finish when the process stops.
STOP_SECONDS = 30.0


def serve(settings: Settings, url: str) -> None:
    """Serve until SIGTERM or SIGINT, then finish requests under way. The settings were checked before."""
    with psycopg.connect(url, autocommit=True) as connection:
        folder = settings.mappings_dir
        mapping_version.register(connection, mapping_version.fingerprints(folder, crms.names(folder)))
    with (
        closing(postgres.pool(url, settings.web_threads)) as pool,
        closing(postgres.pool(url, EVENT_CONNECTIONS, postgres.KEEPS_PLANS)) as events,
    ):
        server = Server(application.create_app(settings, pool, events), settings)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: server.stop())
        log.info("web process ready", address=f"http://{_in_url(settings.host)}:{settings.port}")
        server.run()


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


class Server(TcpWSGIServer):
    """waitress with a time limit for the arrival of each request, and dedicated threads for health checks."""

    _map: dict[int, Any]  # missing in types-waitress
    active_channels: dict[int, "Channel"]  # type: ignore[assignment]  # types-waitress: a single channel

    def __init__(self, app: Flask, settings: Settings) -> None:
        _say_what_matters()
        _raise_file_limit()
        self._patience, self._delay = settings.receive_seconds, settings.shutdown_delay_seconds
        self._stopping: Stopping = app.extensions[application.STOPPING]
        proxy = {
            "trusted_proxy": settings.trusted_proxy,
            "trusted_proxy_count": 1,
            "trusted_proxy_headers": "x-forwarded-for",
        }
        dispatcher = Dispatcher(settings.web_threads + MAX_WAITS + MAX_CRM_CALLS)
        super().__init__(
            app,
            dispatcher=dispatcher,  # type: ignore[arg-type]  # types-waitress: only its own, whose two methods are called
            adj=Adjustments(
                host=settings.host,
                port=settings.port,
                ident=None,
                connection_limit=MAX_CONNECTIONS,
                channel_timeout=IDLE_SECONDS + int(settings.receive_seconds),
                cleanup_interval=CLEANUP_SECONDS,
                max_request_header_size=MAX_HEADER_BYTES,
                max_request_body_size=READ_OVER * settings.max_body_bytes,
                inbuf_overflow=BUFFER_BYTES,
                asyncore_use_poll=True,
                log_socket_errors=False,
                **(proxy if settings.trusted_proxy else {}),
            ),
        )
        self.channel_class = Channel

    def stop(self) -> None:
        """Make `run` return soon. Safe in a signal handler."""
        self._stopping.now = True
        self.pull_trigger()

    def run(self) -> None:
        """Serve until `stop` and for the delay after it, then finish requests under way."""
        while not self._stopping.now:
            self._turn(1)
        last = time.monotonic() + self._delay
        while (left := last - time.monotonic()) > 0:
            self._turn(left)
        wasyncore.dispatcher.close(self)  # accept no new connections, keep the open ones
        end = time.monotonic() + STOP_SECONDS
        while self._busy() and time.monotonic() < end:
            self._turn(0.1)
        self.task_dispatcher.shutdown()
        wasyncore.close_all(self._map)

    def _turn(self, seconds: float) -> None:
        wasyncore.loop(timeout=seconds, use_poll=True, map=self._map, count=1)

    def _busy(self) -> bool:
        return any(channel.requests or channel.total_outbufs_len for channel in self.active_channels.values())

    def maintenance(self, now: float) -> None:
        """Close idle connections, and answer 408 to requests that take too long to arrive."""
        # Closes connections without a request.
        super().maintenance(now)  # type: ignore[arg-type]  # types-waitress: an int, but time.time() is given
        for channel in list(self.active_channels.values()):
            if channel.request is not None and not channel.requests and channel.begun < now - self._patience:
                channel.give_up(channel.request)


class Refusal(ErrorTask):
    """waitress's own answer to a request that is too large or not HTTP. Logs the reason, without the request's path."""

    request: Any  # the parser that met the error; types-waitress: the error itself

    def execute(self) -> None:
        log.warning("a request was refused", address=self.channel.addr[0], why=self.request.error.reason)
        super().execute()


class Channel(HTTPChannel):
    """A connection. `begun`: the time.time() at which its unfinished request began."""

    error_task_class = Refusal
    requests_lock: Lock  # missing in types-waitress
    begun = 0.0

    def received(self, data: bytes) -> bool:
        if self.request is None:
            self.begun = time.time()
        return super().received(data)

    def give_up(self, request: HTTPRequestParser) -> None:
        """Answer 408 to the unfinished request, and close. Runs in the thread that calls `received`."""
        with self.requests_lock:
            request.error = RequestTimeout("the message did not arrive in time")
            self.requests, self.request = [request], None
        self.server.add_task(self)  # type: ignore[arg-type]  # types-waitress: a task


class RequestTimeout(Error):
    """RFC 9110, 15.5.9."""

    code, reason = 408, "Request Timeout"


class Dispatcher:
    """Hands whole requests to threads. Health checks and chat events have their own."""

    def __init__(self, threads: int) -> None:
        self._work, self._health = ThreadedTaskDispatcher(), ThreadedTaskDispatcher()
        self._chat_events = ThreadedTaskDispatcher()
        self._work.set_thread_count(threads)
        self._health.set_thread_count(HEALTH_THREADS)
        self._chat_events.set_thread_count(CHAT_EVENT_THREADS)

    def add_task(self, channel: HTTPChannel) -> None:
        """Called by waitress for a connection whose first request is complete."""
        path = getattr(channel.requests[0], "path", "")  # missing when the request could not be read
        dispatcher = self._health if path in health.PATHS else self._work
        if path == chat_events.PATH:
            dispatcher = self._chat_events
        dispatcher.add_task(channel)  # type: ignore[arg-type]  # types-waitress: a task

    def shutdown(self) -> None:
        """End the threads. Requests under way have finished or timed out."""
        for dispatcher in (self._work, self._health, self._chat_events):
            dispatcher.shutdown(timeout=1)


def _say_what_matters() -> None:
    """Silence waitress's warning per waiting request, and its line with addresses, which may hold a token."""
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    logging.getLogger("waitress").addFilter(lambda record: "serving" not in str(record.msg))


def _raise_file_limit() -> None:
    """Raise the limit of open files to what the connections may need, as far as the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = MAX_FILES if hard == resource.RLIM_INFINITY else min(MAX_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < limit:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
