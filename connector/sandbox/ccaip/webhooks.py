"""Chat webhooks: CCAI Platform posts what happens in a chat to a customer's endpoint.

Whether chats made by the SMS endpoint send webhooks is not documented. They do when a switch names an address.
"""

import base64
import hmac
import json
import threading
from typing import Any

import httpx

from connector.sandbox import clock, server, switches
from connector.sandbox.ccaip import chats


def sign(secret: str, timestamp: str, body: bytes) -> str:
    """The header value `primary=<b64>` for a body: HMAC-SHA256 over timestamp and body."""
    digest = hmac.digest(secret.encode(), timestamp.encode() + body, "sha256")
    return f"primary={base64.b64encode(digest).decode()}"


class Webhooks:
    """Posts each event once, in its own thread. A failed post is recorded and not repeated."""

    def __init__(self, time: clock.Clock, guesses: switches.Switches) -> None:
        self._clock, self._switches = time, guesses
        self._posting: set[threading.Thread] = set()
        self.statuses: list[int | str] = []

    def post(self, event_type: str, chat: chats.Chat, body: dict[str, Any]) -> None:
        """Post an event about a chat, when an endpoint is set."""
        url = str(self._switches["chat_webhook_url"])
        if not url:
            return
        server.require_loopback(url)
        moment = clock.timestamp(self._clock.now())
        event = {"event_type": event_type, "timestamp": moment, "chat_id": chat.id, "body": body}
        thread = threading.Thread(target=self._deliver, args=(url, moment, json.dumps(event).encode()), daemon=True)
        self._posting.add(thread)
        thread.start()

    def wait(self) -> None:
        """Wait until every post so far was answered or failed."""
        for thread in list(self._posting):
            thread.join()

    def _deliver(self, url: str, moment: str, body: bytes) -> None:
        headers = {
            "Content-Type": "application/json",
            "X-Signature": sign(str(self._switches["chat_webhook_secret"]), moment, body),
            "X-Signature-Timestamp": moment,
        }
        try:
            with httpx.Client(trust_env=False, timeout=10) as client:
                self.statuses.append(client.post(url, content=body, headers=headers).status_code)
        except httpx.HTTPError as error:
            self.statuses.append(type(error).__name__)
        finally:
            self._posting.discard(threading.current_thread())
