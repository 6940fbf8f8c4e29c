"""The SMS endpoint, as its documentation has it: `POST /apps/api/v1/sms`."""

import base64
import itertools
import re
import secrets
from datetime import UTC, datetime
from typing import Any

from tests.failure.faults import Reply

PATH = "/apps/api/v1/sms"
SUBDOMAIN = "witness"
OUTBOUND_NUMBER = "+16285550199"
CHAT_TYPES = ("Messaging (SMS)", "Messaging (API)", "SMS")
US_NUMBER = re.compile(r"\+1[2-9]\d{9}")


def refusal(words: str, status: int = 400, **headers: str) -> Reply:
    """The endpoint's way to say no."""
    return Reply(status, {"message": words}, {name.replace("_", "-"): value for name, value in headers.items()})


class Texting:
    """Accepts texts. Nothing about a customer is kept here: the journal has it."""

    def __init__(self) -> None:
        self.token = secrets.token_hex(20)
        self._ids = itertools.count(1001)

    def answer(self, body: Any, authorization: str) -> tuple[Reply, int | None]:
        """What is answered to a request, and the chat if the text was accepted."""
        expected = base64.b64encode(f"{SUBDOMAIN}:{self.token}".encode()).decode()
        if authorization != f"Basic {expected}":
            return refusal("Unauthorized", 401), None
        if words := _against(body if isinstance(body, dict) else {}):
            return refusal(words), None
        chat = next(self._ids)
        return Reply(200, _chat(chat, body)), chat


def _against(body: dict[str, Any]) -> str | None:
    """The first of the documented refusals that applies."""
    number, sender = str(body.get("end_user_number") or ""), str(body.get("outbound_number") or "")
    checks = (
        (not body.get("chat_type"), "chat_type needs to be provided"),
        (body.get("chat_type") not in CHAT_TYPES, "valid chat type needs to be provided"),
        (not number, "end_user_number is required"),
        (not US_NUMBER.fullmatch(number), "end_user_number is invalid"),
        (not sender, "outbound_number is required"),
        (not US_NUMBER.fullmatch(sender), "outbound_number is invalid"),
        (sender != OUTBOUND_NUMBER, "outbound_number is not found"),
        (not body.get("message"), "message is required"),
    )
    return next((words for applies, words in checks if applies), None)


def _chat(chat: int, body: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": chat,
        "lang": "en",
        "chat_type": body["chat_type"],
        "status": "selecting",
        "created_at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        "assigned_at": None,
        "agent_info": None,
        "end_user": {"id": chat + 50_000, "identifier": None},
        "outbound_number": body["outbound_number"],
    }
