"""Refusals of the endpoint: the documented messages word for word, in the order of the checks."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from connector.sandbox.ccaip import phones

if TYPE_CHECKING:
    from connector.sandbox.ccaip import CcaiPlatform

CHAT_TYPES = frozenset({"Messaging (SMS)", "Messaging (API)", "SMS"})
AGENT_KEYS = {"both": ("agentId", "agentEmail", "agent_id", "agent_email"), "agentId": ("agentId", "agentEmail")}
AGENT_KEYS["agent_id"] = AGENT_KEYS["both"][2:]


class Refused(Exception):
    """The endpoint answers `{"message": …}` with this status."""

    def __init__(self, message: str, status: int = 400, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.message, self.status, self.headers = message, status, headers or {}


@dataclass(slots=True)
class Request:
    """A request's body, and the parsed values that the checks need."""

    body: dict[str, Any]
    customer: phones.Number
    sender: phones.Number
    agent_keys: dict[str, Any]

    def get(self, key: str) -> str:
        """A text field; empty for anything but a string."""
        value = self.body.get(key)
        return value if isinstance(value, str) else ""


def read(body: dict[str, Any], spelling: str) -> Request:
    """Parse a request body and its phone numbers."""
    customer, sender = (
        phones.read(str(body.get(key) or "")) or phones.NO_NUMBER for key in ("end_user_number", "outbound_number")
    )
    agent_keys = {key: body[key] for key in AGENT_KEYS[spelling] if body.get(key) is not None}
    return Request(body, customer, sender, agent_keys)


Check = Callable[["CcaiPlatform", Request], bool]

DOCUMENTED: tuple[tuple[str, Check], ...] = (
    ("chat_type needs to be provided", lambda _, sms: not sms.body.get("chat_type")),
    ("valid chat type needs to be provided", lambda _, sms: sms.get("chat_type") not in CHAT_TYPES),
    ("SMS is not enabled", lambda ccaip, _: not ccaip.settings.sms_enabled),
    ("Outbound SMS is not enabled", lambda ccaip, _: not ccaip.settings.outbound_sms_enabled),
    ("end_user_number is required", lambda _, sms: not sms.body.get("end_user_number")),
    ("end_user_number is invalid", lambda _, sms: sms.customer is phones.NO_NUMBER),
    ("outbound_number is required", lambda _, sms: not sms.body.get("outbound_number")),
    ("outbound_number is invalid", lambda _, sms: sms.sender is phones.NO_NUMBER),
    (
        "Non-US phone number not allowed",
        lambda _, sms: not (sms.customer.is_us and sms.sender.is_us),
    ),
    (
        "outbound_number is not found",
        lambda ccaip, sms: sms.sender.e164 not in ccaip.settings.e164_numbers,
    ),
    ("message is required", lambda _, sms: not sms.get("message").strip()),
)

ACTIVE_SESSION = "Outbound SMS failed. Consumer is already in an active SMS session."

POLICIES: tuple[tuple[str, str, Callable[["CcaiPlatform", str], bool]], ...] = (
    ("opted_out_number", "End user has opted out", lambda ccaip, number: number in ccaip.phones.opted_out),
    ("blocklisted_number", "End user is blocked", lambda ccaip, number: number in ccaip.settings.e164_blocklist),
    ("second_text_same_day", "End user was already texted today", lambda ccaip, number: ccaip.texted_today(number)),
    ("after_hours", "Outside of operation hours", lambda ccaip, _: ccaip.settings.closed),
)
"""Guesses: the switch that decides, the message of a refusal, and the condition."""


def check(ccaip: "CcaiPlatform", sms: Request) -> None:
    """Raise the first refusal that applies, except those that depend on chats and phones."""
    for message, applies in DOCUMENTED:
        if applies(ccaip, sms):
            raise Refused(message)
    maximum = int(ccaip.switches["message_maximum"])
    if maximum and len(sms.get("message")) > maximum:
        raise Refused("message is too long")
    if ccaip.switches["unknown_ticket"] == "refuse" and not ccaip.knows_ticket(sms.get("ticket_id")):
        raise Refused("ticket is not found")


def arrives(ccaip: "CcaiPlatform", number: str) -> bool:
    """Whether a text to this number reaches the phone. Raises Refused when the platform refuses it."""
    verdicts = [(ccaip.switches[switch], message) for switch, message, applies in POLICIES if applies(ccaip, number)]
    for verdict, message in verdicts:
        if verdict == "refuse":
            raise Refused(message)
    return all(verdict == "deliver" for verdict, _ in verdicts)
