"""Salesforce record ids: 15 case-sensitive characters, or 18 with a checksum that survives case folding."""

import itertools
import re
import string
from collections.abc import Iterator

SHAPE = re.compile(r"[a-zA-Z0-9]{15}(?:[a-zA-Z0-9]{3})?")
CHECKSUM_LETTERS = string.ascii_uppercase + "012345"
DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase


def long(identifier: str) -> str | None:
    """The 18-character form of an id. None when the shape or the checksum is wrong."""
    if not SHAPE.fullmatch(identifier):
        return None
    complete = identifier[:15] + checksum(identifier)
    return complete if len(identifier) == 15 or complete == identifier else None


def checksum(identifier: str) -> str:
    """Three characters, one per group of five: which of them are upper case."""
    groups = (identifier[0:5], identifier[5:10], identifier[10:15])
    return "".join(CHECKSUM_LETTERS[sum(1 << i for i, char in enumerate(g) if "A" <= char <= "Z")] for g in groups)


def series(prefix: str, first: int = 1) -> Iterator[str]:
    """An endless series of new ids with this prefix."""
    for number in itertools.count(first):
        digits = ""
        while number:
            number, rest = divmod(number, len(DIGITS))
            digits = DIGITS[rest] + digits
        short = prefix + digits.rjust(12, "0")
        yield short + checksum(short)
