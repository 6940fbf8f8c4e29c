"""The words of a message as it is sent: its characters, and what is added to the first text to a number."""

import re
import unicodedata
from collections.abc import Iterator

from connector.policy import segments
from connector.policy.config import PolicyKeys


def as_sent(keys: PolicyKeys, message: str, language: str, fallback_language: str, first: bool) -> str:
    """Return the message as it is sent. `first`: with brand and opt-out line, where it does not have them already."""
    if first and message:
        message = " ".join(_with_first(keys, message, language, fallback_language))
    return segments.replace_typographic(message) if keys.replace_typographic else segments.composed(message)


def _with_first(keys: PolicyKeys, message: str, language: str, fallback_language: str) -> Iterator[str]:
    brand = keys.brand.of(language, fallback_language)
    opt_out_line = keys.opt_out_line.of(language, fallback_language)
    if brand and not says(message, brand):
        yield brand
    yield message
    if opt_out_line and not says(message, opt_out_line):
        yield opt_out_line


def says(message: str, words: str) -> bool:
    """Return whether the message has these whole words, in any spelling of letters, quotes, dashes and blanks."""
    message, words = (_plain(text) for text in (message, words))
    return re.search(rf"(?<!\w){re.escape(words)}(?!\w)", message) is not None


def _plain(text: str) -> str:
    return " ".join(segments.replace_typographic(unicodedata.normalize("NFKC", text)).casefold().split())
