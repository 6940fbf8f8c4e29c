"""Read the body of a chat webhook: {"event_type", "timestamp", "chat_id", "body": {…}}.

An authentic message is never refused, because its sender could not send it otherwise. One that cannot be read is kept
as received, with its problem.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from connector.errors import Unreadable
from connector.store.chat_events import NewChatEvent
from webhooks import strict_json
from webhooks.ccaip import moments

# Objects and lists within each other. The documented messages have three.
MAX_DEPTH = 32
MAX_WORD_LENGTH = 100
# Numbers change their type from message to message: 123, "123", 123.0, "123.0".
WHOLE = re.compile(r"([0-9]{1,19})(?:\.0+)?")


def parse(key: bytes, content: bytes, signed_at: datetime, tolerance: float) -> NewChatEvent:
    """Return the event. `key`: the signed bytes. `tolerance`: seconds that it may have occurred after its signature."""
    try:
        event = _read(content)
        chat_id, event_type, body = _chat_id(event.get("chat_id")), _event_type(event), _body(event)
    except Unreadable as error:
        return NewChatEvent(key, signed_at, problem=str(error), raw=content)
    occurred_at = moments.read(event.get("timestamp")) or signed_at
    if occurred_at > signed_at + timedelta(seconds=tolerance):
        occurred_at = signed_at
    return NewChatEvent(key, occurred_at, chat_id, event_type, body)


def _read(content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(
            content, object_pairs_hook=strict_json.once, parse_constant=_refuse_constant, parse_float=_finite
        )
    except strict_json.KeyTwice:
        raise Unreadable("an object has the same key twice") from None
    except RecursionError:
        raise Unreadable("it is nested too deeply") from None
    except ValueError as error:
        raise Unreadable(f"it is not JSON in UTF-8: {type(error).__name__}") from None
    if not isinstance(found, dict):
        raise Unreadable(f"expected an object, not {_kind(found)}")
    if _is_deeper_than(MAX_DEPTH, [found]):
        raise Unreadable(f"it is nested too deeply: at most {MAX_DEPTH} levels are read")
    return found


def _refuse_constant(_: str) -> object:
    raise Unreadable("a number is not finite")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise Unreadable("a number is not finite")
    return number


def _is_deeper_than(depth: int, level: Sequence[Any]) -> bool:
    """Whether values lie deeper than this many levels. Not recursive."""
    for _ in range(depth):
        level = [
            value
            for one in level
            if isinstance(one, dict | list)
            for value in (one.values() if isinstance(one, dict) else one)
        ]
    return any(isinstance(one, dict | list) for one in level)


def _chat_id(value: object) -> str:
    if isinstance(value, int | float | str) and not isinstance(value, bool):
        text = str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()
        if found := WHOLE.fullmatch(text):
            return found[1].lstrip("0") or "0"
    raise Unreadable(f"chat_id: expected a whole number, not {_kind(value)}")


def _event_type(event: Mapping[str, Any]) -> str:
    value = event.get("event_type")
    if not isinstance(value, str) or not 0 < len(value) <= MAX_WORD_LENGTH:
        raise Unreadable("event_type: expected a word, such as message_received")
    return value


def _body(event: Mapping[str, Any]) -> dict[str, Any]:
    value = event.get("body") or {}
    if not isinstance(value, dict):
        raise Unreadable(f"body: expected an object, not {_kind(value)}")
    return value


def _kind(value: object) -> str:
    kinds = {dict: "an object", list: "a list", str: "this text", bool: "true or false", type(None): "nothing"}
    return kinds.get(type(value), "this number")
