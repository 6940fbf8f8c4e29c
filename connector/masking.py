"""Mask phone numbers and e-mail addresses in text, however they are written."""

import html
import re
import unicodedata
from typing import Any
from urllib.parse import unquote

from connector import phone

# Separators around a country code, and between the digits of a number that is known. The second may be anything: that
# all digits of another number come in this order by chance is rarer than a separator that nobody thought of.
AROUND_CODE, APART = r"[^\w\"{}:,+@<>]{0,4}", r"\D{0,4}"
# What people and programs put between the digits of a number.
BETWEEN = r"(?:[\s().\-/·]|%20){0,4}"
# Anything that looks like a whole phone number, but not a date or an IPv4 address.
NUMBER = re.compile(
    r"(?<![\w.\-/])(?!\d{4}-\d\d-\d\d(?!\d))(?!(?:\d{1,3}\.){3}\d{1,3}(?![\d.]))"
    rf"(?:(?:\+|%2B|\\u002B)[\s(]{{0,2}}\d(?:{BETWEEN}\d){{6,14}}|\(?\d(?:{BETWEEN}\d){{8,14}}|\d{{3}}[-.\s]\d{{4}})"
    r"(?:(?!\w)|(?=x\d))"
    # In a path, behind a dash or an underscore, as in /numbers/14155550132; but no decimals, and no end of a UUID
    r"|(?<![^\W_])(?<!\d\.)(?<![0-9a-f]{4}-)\d{10,15}(?![^\W_])",
    re.IGNORECASE,
)
# The text before "@" is tried from its beginning only: from each of its characters, a long word would take minutes.
EMAIL = re.compile(r"(?<![\w.+%'-])[\w.+%'-]+(?:@|%40)(?=[\w-]+(?:\.[\w-]+)+)")
JSON_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")
# Messages that cannot be parsed may be in any encoding.
ENCODINGS = ("utf-8", "utf-16-le", "utf-16-be")


def masked(words: str) -> str:
    """Return the text with phone numbers cut to their last two digits, and e-mail addresses to their domain."""
    return EMAIL.sub("•••@", without_numbers(words))


def without_numbers(words: str) -> str:
    """Return the text with phone numbers cut to their last two digits."""
    return _replaced(NUMBER, words)


def _replaced(pattern: re.Pattern[str], words: str) -> str:
    """Mask every match, whatever digits it is written in."""
    parts, end = [], 0
    for found in pattern.finditer(_plain(words)):
        parts += [words[end : found.start()], phone.mask(words[found.start() : found.end()])]
        end = found.end()
    return "".join([*parts, words[end:]]) if parts else words


def _plain(words: str) -> str:
    """Return text of the same length, with ASCII digits, dashes as "-" and invisible characters as blanks."""
    return words if words.isascii() else "".join(map(_plain_sign, words))


def _plain_sign(sign: str) -> str:
    if sign.isdecimal():
        return str(unicodedata.decimal(sign))
    category = unicodedata.category(sign)
    if category in (phone.DASH, phone.INVISIBLE):
        return "-" if category == phone.DASH else " "
    plain = unicodedata.normalize("NFKC", sign)
    return plain if len(plain) == 1 else sign


class Spellings:
    """All spellings of one number (E.164): with and without its country code, in any digits and punctuation."""

    def __init__(self, number: str) -> None:
        self.digits = phone.national(number)
        country = number.removesuffix(self.digits)[1:]
        self._pattern = re.compile(
            rf"(?<!\d)(?:(?:\+|%2B|00|011)?{AROUND_CODE}{AROUND_CODE.join(country)}{AROUND_CODE}0?{AROUND_CODE})?"
            rf"0?{APART.join(self.digits)}(?!\d)",
            re.IGNORECASE,
        )

    def without(self, value: Any) -> Any:
        """Return a database value with the number masked; None for bytes that contain it."""
        if isinstance(value, str):
            return _replaced(self._pattern, value)
        if isinstance(value, bytes):
            return None if any(map(self._within, _texts(value))) else value
        if isinstance(value, dict):
            return {self.without(key): self.without(one) for key, one in value.items()}
        if isinstance(value, list):
            return [self.without(one) for one in value]
        if isinstance(value, (int, float)) and not isinstance(value, bool) and self._within(f"{value:.0f}"):
            return phone.mask(f"{value:.0f}")
        return value

    def _within(self, text: str) -> bool:
        return self._pattern.search(_plain(text)) is not None


def _texts(raw: bytes) -> list[str]:
    """Return the texts that the bytes may stand for, in each encoding."""
    texts = [raw.decode(encoding, "ignore") for encoding in ENCODINGS]
    texts += [raw[1:].decode(encoding, "ignore") for encoding in ENCODINGS]
    return [unquote(html.unescape(JSON_ESCAPE.sub(lambda found: chr(int(found[1], 16)), text))) for text in texts]
