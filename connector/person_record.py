"""The record of one person: everything that is stored, for a complaint, with a checksum. Pure.

The checksum is the SHA-256 of the record as JSON with sorted keys and without blanks. The same data give the same
checksum, whoever prints the record and when.
"""

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from connector import masking, phone

Record = Mapping[str, Any]
# Digits of a number that people without the right to content see.
SHOWN_DIGITS = 4
# Fields of a text, an opt-out or a review by what they hold.
NUMBERS, CONTENT, WORDS = ("number", "sent_to"), ("message", "words"), ("why", "override", "contradicted")


def masked(record: Record) -> dict[str, Any]:
    """Return the record for people who may not read content: numbers end in four digits, messages are lengths."""
    return {name: _masked(name, value) for name, value in record.items()}


def _masked(name: str, value: Any) -> Any:
    if isinstance(value, Mapping):
        return masked(value)
    if isinstance(value, list):
        return [_masked(name, one) for one in value]
    if not isinstance(value, str) or not value:
        return value
    if name in NUMBERS:
        return phone.mask(value, SHOWN_DIGITS)
    if name in CONTENT:
        return f"{len(value)} characters"
    return masking.masked(value) if name in WORDS else value


def plain(value: object) -> str:
    """Return a time as ISO 8601 in UTC, to the second, and anything else as text."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return str(value)


def canonical(record: Record) -> str:
    """Return the JSON that the checksum is over."""
    return json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=plain)


def checksum(record: Record) -> str:
    """Return the SHA-256 of the record, in hexadecimal digits."""
    return hashlib.sha256(canonical(record).encode("utf-8", "replace")).hexdigest()
