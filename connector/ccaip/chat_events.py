"""What a chat event of CCAI Platform means: words of the customer, or a new status of the chat. Pure functions.

`message_received` also comes for what agents, virtual agents and the API write, so the sender decides.
https://cloud.google.com/contact-center/ccai-platform/docs/webhooks
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from connector.ccaip import chats
from connector.ccaip.chats import EventStatus

MESSAGE_RECEIVED = "message_received"
PARTICIPANT_JOINED = "participant_joined"
# Senders that are certainly not the customer. Any other word than these and the customer's is reported.
OTHER_SENDERS = frozenset({"agent", "manager", "admin", "virtual_agent", "bot", "api", "system"})
MAX_SHOWN_LENGTH = 40


@dataclass(frozen=True, slots=True)
class Effect:
    """What an event does. `words`: the customer wrote them. `status`: the chat has it.

    `unknown_sender`: a message with words, of a sender whose type is not known.
    """

    words: str | None = None
    status: EventStatus | None = None
    unknown_sender: str | None = None

    @property
    def none(self) -> bool:
        """Whether the event does nothing."""
        return self == Effect()


def effect(event_type: str, body: Mapping[str, Any], customer_senders: Collection[str]) -> Effect:
    """Return what this event does. `customer_senders`: the words for the customer in `body.sender.type`."""
    if event_type != MESSAGE_RECEIVED:
        by_agent = event_type != PARTICIPANT_JOINED or _word(body.get("type")) == "agent"
        return Effect(status=chats.EVENT_STATUSES.get(event_type) if by_agent else None)
    words, sender = _words(body.get("message")), _sender(body.get("sender"))
    if words is not None and sender in map(_word, customer_senders):
        return Effect(words=words)
    if words is None or sender in OTHER_SENDERS:
        return Effect()
    return Effect(unknown_sender=sender[:MAX_SHOWN_LENGTH])


def _words(message: object) -> str | None:
    """The text of a message. None: a photo or another medium, or nothing."""
    if not isinstance(message, dict) or "media_id" in message or _word(message.get("type")) not in ("text", ""):
        return None
    content = message.get("content")
    return content if isinstance(content, str) and content.strip() else None


def _sender(sender: object) -> str:
    return _word(sender.get("type")) if isinstance(sender, dict) else ""


def _word(text: object) -> str:
    return text.strip().lower().replace(" ", "_").replace("-", "_") if isinstance(text, str) else ""
