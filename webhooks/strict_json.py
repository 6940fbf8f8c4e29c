"""JSON bodies in which each key occurs once: RFC 8259 leaves open which of two values counts, so neither does."""

import json
from collections.abc import Sequence
from typing import Any

from flask.json.provider import DefaultJSONProvider


class KeyTwice(Exception):
    """An object has a key twice. The message names no key: it may be a customer's word."""

    def __init__(self) -> None:
        super().__init__("a key occurs twice in one object of the body; expected each key once")


def loads(body: bytes | str) -> Any:
    """Parse a body. Raises ValueError or RecursionError like json.loads, and KeyTwice."""
    return json.loads(body, object_pairs_hook=once)


def once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object of its keys and values, for json.loads. Raises KeyTwice."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise KeyTwice
    return found


class Provider(DefaultJSONProvider):
    """What Flask reads JSON bodies with."""

    def loads(self, s: str | bytes, **_: Any) -> Any:
        return loads(s)
