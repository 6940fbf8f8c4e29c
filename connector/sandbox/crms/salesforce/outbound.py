"""Outbound messages: delivered in the background after a change, and repeated until the endpoint acknowledges."""

import heapq
import itertools
import secrets
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import cache
from typing import Any
from xml.etree import ElementTree

import httpx
from pydantic import BaseModel, ConfigDict, Field, field_validator

from connector.sandbox import clock, server
from connector.sandbox.crms.salesforce import ids
from connector.sandbox.crms.salesforce.outbound_message import Attempt, Message, Notification

LARGEST_BATCH = 100
MAX_PAUSE_S = 2 * 3600.0
GIVEN_UP_AFTER_S = 24 * 3600.0
"""Salesforce repeats for 24 hours, with growing pauses of up to two hours."""

SENDERS = 4
ACK = ".//{http://soap.sforce.com/2005/09/outbound}Ack"


def _first_id() -> int:
    """A random first id. No org reuses a notification id, so a restarted sandbox must not either."""
    return secrets.randbelow(2**60)


class Settings(BaseModel):
    """The delivery of messages. The four booleans cover what "at least once, unordered" permits."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True)

    outbound_message_url: str | None = None
    gather_seconds: float = Field(default=0.005, ge=0)
    largest_batch: int = Field(default=LARGEST_BATCH, ge=1, le=LARGEST_BATCH)
    retry_pause_seconds: float = Field(default=1.0, gt=0)
    delivery_timeout_seconds: float = Field(default=60.0, gt=0)
    delay_seconds: float = Field(default=0.0, ge=0)
    every_message_twice: bool = False
    every_change_twice: bool = False
    newest_first: bool = False
    paused: bool = False

    @field_validator("outbound_message_url")
    @classmethod
    def on_this_machine(cls, url: str | None) -> str | None:
        return server.require_loopback(url) if url else None


class Messages:
    """The queue of changes and the messages under way. `write` returns the XML of notifications with present values."""

    def __init__(self, time_: clock.Clock, settings: Settings, write: Callable[[list[Notification]], bytes]) -> None:
        self.clock, self.settings, self._write = time_, settings, write
        self.log: list[Message] = []
        self._changed = threading.Condition()
        self._changes: deque[Notification] = deque()
        self._due: list[tuple[float, int, Message]] = []
        self._ids, self._numbers, self._ties = ids.series("04l", _first_id()), itertools.count(1), itertools.count()
        self._threads: list[threading.Thread] = []
        self._stopped = True
        self._under_way = 0

    def notify(self, case_id: str) -> None:
        """Queue a change of this case, when an endpoint is set."""
        if not self.settings.outbound_message_url:
            return
        with self._changed:
            due = time.monotonic() + self.settings.delay_seconds
            for _ in range(2 if self.settings.every_change_twice else 1):
                self._changes.append(Notification(next(self._ids), case_id, due))
            self._employ()
            self._changed.notify()

    def configure(self, changes: dict[str, Any]) -> None:
        """Change settings. Waiting senders apply them at once."""
        with self._changed:
            current = {name: getattr(self.settings, name) for name in Settings.model_fields}
            complete = Settings(**(current | changes))
            for name in changes:
                setattr(self.settings, name, getattr(complete, name))
            self._changed.notify_all()

    def start(self) -> None:
        """Begin to deliver queued changes."""
        with self._changed:
            self._stopped = False
            self._employ()

    def stop(self) -> None:
        """End the senders, after any delivery under way."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(self.settings.delivery_timeout_seconds + 1)
        self._threads = []

    def reset(self) -> None:
        """Discard all changes and messages."""
        with self._changed:
            self._changes.clear()
            self._due.clear()
            self.log = []
            self._changed.notify_all()

    @property
    def waiting(self) -> int:
        """The number of changes and messages that are not finished."""
        with self._changed:
            return len(self._changes) + len(self._due) + self._under_way

    def _employ(self) -> None:
        """Start the senders when there is something to send. Many sandboxes never need them."""
        if self._stopped or self._threads or not self._changes:
            return
        self._threads = [threading.Thread(target=self._send, daemon=True, name="outbound") for _ in range(SENDERS)]
        for thread in self._threads:
            thread.start()

    def _send(self) -> None:
        timeout = self.settings.delivery_timeout_seconds
        with httpx.Client(trust_env=False, timeout=timeout, verify=_tls()) as client:
            while message := self._next():
                attempt = self._deliver(client, message)
                self._settle(message, attempt)

    def _next(self) -> Message | None:
        """Wait for the next message that is due. None when stopped."""
        with self._changed:
            while not self._stopped:
                now = time.monotonic()
                if not self.settings.paused:
                    if self._due and self._due[0][0] <= now:
                        self._under_way += 1
                        return heapq.heappop(self._due)[2]
                    if self._changes and self._changes[0].due + self.settings.gather_seconds <= now:
                        self._gather(now)
                        continue
                self._changed.wait(self._patience(now))
            return None

    def _gather(self, now: float) -> None:
        """Combine queued changes into a message."""
        ready = [change for change in self._changes if change.due <= now]
        if self.settings.newest_first:
            ready.reverse()
        ready = ready[: self.settings.largest_batch]
        taken = set(map(id, ready))
        self._changes = deque(change for change in self._changes if id(change) not in taken)
        message = Message(next(self._numbers), ready, now)
        self.log.append(message)
        for _ in range(2 if self.settings.every_message_twice else 1):
            heapq.heappush(self._due, (now, next(self._ties), message))
        self._changed.notify()

    def _patience(self, now: float) -> float | None:
        """Seconds until something is due. None: no limit."""
        if self.settings.paused:
            return None
        moments = [due for due, *_ in self._due[:1]]
        moments += [change.due + self.settings.gather_seconds for change in itertools.islice(self._changes, 1)]
        return max(min(moments) - now, 0.0) if moments else None

    def _deliver(self, client: httpx.Client, message: Message) -> Attempt:
        at, start = self.clock.now(), time.monotonic()
        headers = {"Content-Type": "text/xml; charset=utf-8", "SOAPAction": '""'}
        status: int | str
        try:
            body = self._write(message.notifications)
            answer = client.post(self.settings.outbound_message_url or "", content=body, headers=headers)
            status, acked = answer.status_code, answer.status_code == 200 and acknowledges(answer.content)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            status, acked = type(error).__name__, False
        return Attempt(at, status, acked, time.monotonic() - start)

    def _settle(self, message: Message, attempt: Attempt) -> None:
        with self._changed:
            self._under_way -= 1
            message.attempts.append(attempt)
            now = time.monotonic()
            if attempt.acked or message.state == "acked":
                message.state = "acked"
            elif now - message.first_due >= GIVEN_UP_AFTER_S:
                message.state = "given up"
            else:
                doubled = self.settings.retry_pause_seconds * 2 ** min(len(message.attempts) - 1, 20)
                heapq.heappush(self._due, (now + min(doubled, MAX_PAUSE_S), next(self._ties), message))
            self._changed.notify()


@cache
def _tls() -> ssl.SSLContext:
    """A context shared by all senders: creating one takes longer than delivering a message."""
    return ssl.create_default_context()


def acknowledges(body: bytes) -> bool:
    """Whether an answer is XML with `<Ack>true</Ack>`."""
    try:
        return ElementTree.fromstring(body).findtext(ACK, "").strip() == "true"  # noqa: S314 -- the user's own endpoint
    except ElementTree.ParseError:
        return False
