"""Chat webhooks: CCAI Platform posts what happens in a chat to a customer's endpoint.

Whether chats made by the SMS endpoint send webhooks is not documented. They do when a switch names an address. Other
open questions are switches too: see guesses.py.
"""

import base64
import hmac
import json
import threading
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

import httpx

from connector.sandbox import clock, server, switches
from connector.sandbox.ccaip import chats

# Posts at the same time, where the order is not kept.
MAX_POSTS_AT_ONCE = 8


def sign(secret: str, timestamp: str, body: bytes) -> str:
    """The signature of a body: base64 of HMAC-SHA256 over timestamp and body."""
    return base64.b64encode(hmac.digest(secret.encode(), timestamp.encode() + body, "sha256")).decode()


@dataclass(slots=True)
class Post:
    """A posted event. `status`: that of the answer, or the name of the error; None while it is under way."""

    event: dict[str, Any]
    status: int | str | None = None


class Webhooks:
    """Posts events in threads of its own. A failed post is recorded and not repeated."""

    def __init__(self, time: clock.Clock, guesses: switches.Switches) -> None:
        self._clock, self._switches = time, guesses
        self._threads: dict[int, ThreadPoolExecutor] = {}
        self._lock = threading.Lock()
        self._posting: set[Future[None]] = set()
        self.posts: list[Post] = []

    @cached_property
    def _client(self) -> httpx.Client:
        return httpx.Client(trust_env=False, timeout=10)

    @property
    def statuses(self) -> list[int | str]:
        """The answers so far."""
        return [post.status for post in self.posts if post.status is not None]

    def reset(self) -> None:
        """Forget the posts so far."""
        self.posts = []

    def message(self, chat: chats.Chat, sender: str, words: str) -> None:
        """Post a message. `sender`: `customer`, `agent` or `api`, whose type a switch names."""
        body: dict[str, Any] = {"sender": {"type": self._switches[f"chat_webhook_{sender}_type"]}}
        if sender == "agent" and chat.agent:
            body["sender"]["agent"] = {"id": chat.agent.id, "name": chat.agent.name}
        self.post("message_received", chat, body | {"message": {"type": "text", "content": words}})

    def post(self, event_type: str, chat: chats.Chat, body: dict[str, Any]) -> None:
        """Post an event about a chat, when an endpoint is set. Returns at once."""
        url = str(self._switches["chat_webhook_url"])
        if not url:
            return
        server.require_loopback(url)
        now = self._clock.now()
        event = {"event_type": event_type, "timestamp": clock.timestamp(now), "chat_id": chat.id, "body": body}
        at_once = 1 if self._switches["chat_webhook_order"] == "kept" else MAX_POSTS_AT_ONCE
        with self._lock:
            threads = self._threads.setdefault(at_once, ThreadPoolExecutor(at_once, "webhooks"))
            for _ in range(int(self._switches["chat_webhook_copies"])):
                self.posts.append(post := Post(event))
                self._posting.add(posting := threads.submit(self._deliver, url, now, post))
                posting.add_done_callback(self._posting.discard)

    def wait(self) -> None:
        """Wait until every post so far was answered or failed."""
        with self._lock:
            posting = set(self._posting)
        wait(posting)

    def stop(self) -> None:
        """Wait until every post was answered or failed; then end the threads, and close the connections."""
        with self._lock:
            threads = [self._threads.pop(at_once) for at_once in list(self._threads)]
        for pool in threads:
            pool.shutdown()
        if "_client" in self.__dict__:
            self._client.close()
            del self._client

    def _deliver(self, url: str, now: datetime, post: Post) -> None:
        body, moment = json.dumps(post.event).encode(), self._moment(now)
        secrets = {
            "primary": str(self._switches["chat_webhook_secret"]),
            "secondary": str(self._switches["chat_webhook_secondary_secret"]),
        }
        headers = {
            "Content-Type": "application/json",
            "X-Signature": " ".join(
                f"{name}={sign(secret, moment, body)}" for name, secret in secrets.items() if secret
            ),
            "X-Signature-Timestamp": moment,
        }
        try:
            post.status = self._client.post(url, content=body, headers=headers).status_code
        except httpx.HTTPError as error:
            post.status = type(error).__name__

    def _moment(self, now: datetime) -> str:
        """The time of the signature, in the unit that the switch names."""
        unit = self._switches["chat_webhook_timestamp"]
        if unit == "iso":
            return str(clock.timestamp(now))
        return str(int(now.timestamp() * (1000 if unit == "milliseconds" else 1)))
