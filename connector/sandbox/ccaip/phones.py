"""The customers' phones: messages received, replies, and opt-outs."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

import phonenumbers

US_REGIONS = frozenset({"US", "AS", "GU", "MP", "PR", "VI", None})
"""None: country code 1 with an unassigned area code, as in many made-up numbers."""


@dataclass(frozen=True, slots=True)
class Number:
    """A phone number of a possible shape."""

    e164: str
    is_us: bool


NO_NUMBER = Number("", is_us=False)
"""Stands for text that cannot be a phone number."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message on a customer's phone."""

    at: datetime
    body: str
    is_reply: bool
    other_number: str | None
    chat_id: int | None


@lru_cache(maxsize=65536)
def read(text: str) -> Number | None:
    """Parse a number as written in a request. None when its shape is impossible. It need not be in service."""
    try:
        number = phonenumbers.parse(text, "US")
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(number):
        return None
    is_us = number.country_code == 1 and phonenumbers.region_code_for_number(number) in US_REGIONS
    return Number(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164), is_us)


class Phones:
    """The phones that were texted or wrote, by E.164 number."""

    def __init__(self) -> None:
        self._messages: dict[str, list[Message]] = {}
        self.opted_out: set[str] = set()

    def __getitem__(self, number: str) -> list[Message]:
        return self._messages.get(number, [])

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._messages))

    def __len__(self) -> int:
        return len(self._messages)

    def show(self, number: str, message: Message) -> None:
        """Add a message to the phone."""
        self._messages.setdefault(number, []).append(message)
