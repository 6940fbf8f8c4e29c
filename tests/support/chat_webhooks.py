"""Chat webhooks as CCAI Platform signs them. Shares no code with the connector or the sandbox."""

import base64
import contextlib
import hashlib
import hmac
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from connector.sandbox import Sandbox
from tests.support.pipe import Pipe
from webhooks.ccaip.chat_events import PATH

PRIMARY, SECONDARY = "primary-secret-of-the-tests", "secondary-secret-of-the-tests"


def sign(secret: str, timestamp: str, body: bytes) -> str:
    """base64(HMAC-SHA256(secret, timestamp + body))"""
    return base64.b64encode(hmac.new(secret.encode(), timestamp.encode() + body, hashlib.sha256).digest()).decode()


def headers(body: bytes, timestamp: str | None = None, secret: str = PRIMARY) -> dict[str, str]:
    """The headers of an authentic message, signed now unless a timestamp is given."""
    timestamp = timestamp or datetime.now(UTC).isoformat()
    return {
        "X-Signature": f"primary={sign(secret, timestamp, body)} secondary={sign('x' * 20, timestamp, body)}",
        "X-Signature-Timestamp": timestamp,
        "Content-Type": "application/json",
    }


def event(event_type: str, chat_id: object, at: datetime | None = None, **body: Any) -> bytes:
    """The body of a chat webhook."""
    moment = (at or datetime.now(UTC)).isoformat()
    return json.dumps({"event_type": event_type, "timestamp": moment, "chat_id": chat_id, "body": body}).encode()


def message(chat_id: object, words: str, sender: str = "end_user", at: datetime | None = None) -> bytes:
    """The body of a chat webhook with a message."""
    content = {"type": "text", "content": words}
    return event("message_received", chat_id, at, sender={"type": sender}, message=content)


@contextlib.contextmanager
def told(pipe: Pipe) -> Iterator[Sandbox]:
    """The pipe's sandbox, which tells its chats by webhook within the block."""
    before = pipe.box.switches["chat_webhook_url"]
    pipe.box.switches.update({"chat_webhook_url": f"{pipe.web}{PATH}"})
    yield pipe.box
    pipe.box.ccaip.webhooks.wait()
    pipe.box.switches.update({"chat_webhook_url": before})
