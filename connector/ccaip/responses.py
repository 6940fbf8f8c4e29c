"""Translate CCAI Platform's responses: to a chat, or to one of three errors."""

import json
import re
from collections.abc import Collection
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus

from pydantic import ValidationError

from connector.errors import OutcomeUnknown, RefusalCode, RefusalScope, Refused, Unavailable
from connector.http.exchange import Answer
from connector.model import Chat

# The refusals that the endpoint's page documents, by their words. All are HTTP 400 and have no code.
REFUSALS = {
    "chat_type needs to be provided": (RefusalScope.SETTINGS, RefusalCode.NO_CHAT_TYPE),
    "valid chat type needs to be provided": (RefusalScope.SETTINGS, RefusalCode.INVALID_CHAT_TYPE),
    "SMS is not enabled": (RefusalScope.SETTINGS, RefusalCode.SMS_DISABLED),
    "Outbound SMS is not enabled": (RefusalScope.SETTINGS, RefusalCode.OUTBOUND_SMS_DISABLED),
    "end_user_number is required": (RefusalScope.TICKET, RefusalCode.NO_NUMBER),
    "end_user_number is invalid": (RefusalScope.TICKET, RefusalCode.INVALID_NUMBER),
    "Non-US phone number not allowed": (RefusalScope.TICKET, RefusalCode.NON_US_NUMBER),
    "outbound_number is required": (RefusalScope.SETTINGS, RefusalCode.NO_OUTBOUND_NUMBER),
    "outbound_number is invalid": (RefusalScope.SETTINGS, RefusalCode.INVALID_OUTBOUND_NUMBER),
    "outbound_number is not found": (RefusalScope.SETTINGS, RefusalCode.UNKNOWN_OUTBOUND_NUMBER),
    "message is required": (RefusalScope.TICKET, RefusalCode.NO_MESSAGE),
    "Outbound SMS failed. Consumer is already in an active SMS session.": (
        RefusalScope.BUSY,
        RefusalCode.CUSTOMER_BUSY,
    ),
}


def _comparable(words: str) -> str:
    """Return the words without what another release may change: capitals, and the full stop."""
    return words.casefold().rstrip(". ")


BY_WORDS = {_comparable(words): meaning for words, meaning in REFUSALS.items()}
# Statuses that concern every text, whatever the words: wrong credentials or a wrong address.
SETTINGS_STATUSES = {301, 302, 307, 308, 401, 403, 404, 407}
# Statuses of a server, or a proxy before it, that has not acted on the request: retry later (RFC 9110, RFC 8470).
LATER_STATUSES = {408, 421, 425}
MAX_WORDS = 300
MAX_RETRY_AFTER = 86_400.0
# Seconds to wait after a 429 without Retry-After: the limit is one of requests a second.
TOO_MANY_PAUSE = 1.0


def chat_of(answer: Answer, opted_out_messages: Collection[str] = ()) -> Chat:
    """Return the chat. Raises Refused, Unavailable or OutcomeUnknown.

    `opted_out_messages`: further refusals in lower case, which mean that the customer opted out or is blocked. None is
    documented.
    """
    status = answer.status
    if status == HTTPStatus.OK:
        try:
            return Chat.model_validate_json(answer.content)
        except ValidationError:
            raise OutcomeUnknown("CCAI Platform answered 200 without a chat id") from None
    words = _words(answer)
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        asked = retry_after(answer.headers.get("retry-after"))
        raise Unavailable(words, TOO_MANY_PAUSE if asked is None else asked)
    if status in LATER_STATUSES:
        raise Unavailable(words, retry_after(answer.headers.get("retry-after")))
    documented = BY_WORDS.get(_comparable(words))
    if 400 <= status < 500 and documented is None and words.lower() in opted_out_messages:
        raise Refused(words, RefusalScope.TICKET, RefusalCode.OPTED_OUT)
    if status in SETTINGS_STATUSES:
        raise Refused(words, RefusalScope.SETTINGS)
    if 400 <= status < 500:
        raise Refused(words, *(documented or (RefusalScope.TICKET, None)))
    raise OutcomeUnknown(words)


def _words(answer: Answer) -> str:
    """Return the platform's own words, else the status. The length is limited, because they are written to a ticket."""
    try:
        said = json.loads(answer.content)["message"]
    except (ValueError, LookupError, TypeError, RecursionError):
        said = None
    if isinstance(said, str) and said.strip():
        return said.replace("\0", "").encode("utf-8", "replace").decode().strip()[:MAX_WORDS]
    return f"CCAI Platform answered {answer.status}"


def retry_after(header: str | None) -> float | None:
    """Return the seconds of a Retry-After header (RFC 9110, 10.2.3: seconds or a date), at most a day.

    None where the header is missing or cannot be parsed.
    """
    if not header:
        return None
    if re.fullmatch(r"[0-9]+", header.strip()):
        return min(float(header), MAX_RETRY_AFTER)
    try:
        seconds = (parsedate_to_datetime(header) - datetime.now(UTC)).total_seconds()
    except (ValueError, TypeError):
        return None
    return min(max(seconds, 0.0), MAX_RETRY_AFTER)
