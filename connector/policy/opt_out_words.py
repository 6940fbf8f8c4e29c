"""Classify what a customer wrote: an opt-out from texts, a wish to get them again, or neither. Pure.

The words are in opt_out_words.toml. All languages are compared with each message, because a customer's language is not
known. FCC, 47 CFR 64.1200(a)(10): any words that a reasonable person would understand count, and no words may be named
as the only ones.
"""

import re
import tomllib
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from importlib import resources

# The longest SMS has 1,600 characters. What comes after this many of a longer message is not read.
MAX_CHARACTERS = 4_000
# CCAI Platform acts on these words alone, without any other character. It calls them opt-out words; case is ignored.
PLATFORM_WORDS = frozenset({"STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT"})
# Words that hardly mean anything else as a sentence among others, and what ends a sentence.
UNMISTAKABLE = frozenset({"stop", "stopall", "stop all", "unsubscribe", "opt out", "optout"})
SENTENCE_END = re.compile(r"[.!?…;\n\r]+")
APOSTROPHES = "'’‘ʼ`´′"
# Signs that confirm a word, as trimmed as punctuation. Another emoji beside a word may be fun: a person decides.
CONFIRMING_SIGNS = "🛑✋🚫⛔🙏❌"


class OptOutClass(StrEnum):
    """What a message means for further texts."""

    CERTAIN = "certain"  # an opt-out: it acts by itself
    PROBABLE = "probable"  # perhaps an opt-out: a person decides
    START = "start"  # lifts an opt-out that a word had set
    NO = "no"  # neither


@dataclass(frozen=True, slots=True)
class ExtraWords:
    """The words that mapping files add, in any spelling: for opting out, and for opting in again."""

    words: tuple[str, ...] = ()
    start_words: tuple[str, ...] = ()


NO_EXTRA = ExtraWords()


def classify(words: str, extra: ExtraWords = NO_EXTRA) -> OptOutClass:
    """Return the class of a customer's whole message."""
    message = plain(words)
    if not message:
        return OptOutClass.NO
    whole, doubtful = _joined(message), _is_doubtful(words)
    if whole in OPT_OUT or whole in map(plain, extra.words):
        return OptOutClass.PROBABLE if doubtful else OptOutClass.CERTAIN
    if whole in OPT_IN or whole in map(plain, extra.start_words):
        return OptOutClass.NO if doubtful else OptOutClass.START
    several = all(word in OPT_OUT for word in message.split())  # "STOP/UNSUBSCRIBE"
    part = _begins_with_one(words, extra) or _has_a_stop(words)  # beside other words
    if several or part or any(pattern.search(message) for pattern in PROBABLE):
        return OptOutClass.PROBABLE
    return OptOutClass.NO


def _begins_with_one(words: str, extra: ExtraWords) -> bool:
    """Return whether the first line is an opt-out: what follows may be a signature that the phone has added."""
    lines = words[:MAX_CHARACTERS].splitlines()
    first = _joined(plain(next((line for line in lines if plain(line)), "")))
    return first in OPT_OUT or first in map(plain, extra.words)


def _has_a_stop(words: str) -> bool:
    """Return whether a sentence or a line is an opt-out and nothing else, as in "Thanks. STOP"."""
    return any(plain(sentence) in UNMISTAKABLE for sentence in SENTENCE_END.split(words[:MAX_CHARACTERS]))


def plain(words: str) -> str:
    """Return the words in small letters without accents and apostrophes; every other sign is a blank.

    Full-width letters become plain ones, and characters without a width disappear.
    """
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", words[:MAX_CHARACTERS]).casefold())
    kept = (sign for sign in folded if unicodedata.category(sign) not in ("Mn", "Cf", "Me") and sign not in APOSTROPHES)
    return " ".join("".join(sign if sign.isalnum() else " " for sign in kept).split())


def platform_acts(words: str) -> bool:
    """Return whether CCAI Platform lists the number by itself after this message."""
    return words.upper() in PLATFORM_WORDS


def _joined(message: str) -> str:
    """Return the message as a word of the lists: "s t o p" and "stop stop" are "stop"."""
    parts = message.split()
    if len(parts) > 2 and all(len(part) == 1 for part in parts):
        return "".join(parts)
    return parts[0] if len(set(parts)) == 1 else message


def _is_doubtful(words: str) -> bool:
    """Return whether a symbol may turn a word into fun, or a question mark into a question."""
    return any(
        sign in "?¿？" or (unicodedata.category(sign) == "So" and sign not in CONFIRMING_SIGNS)
        for sign in words[:MAX_CHARACTERS]
    )


def _lists() -> Iterator[tuple[str, str]]:
    """Yield (list, entry) of the data file, with the parts of expressions filled in."""
    source = resources.files(__package__).joinpath("opt_out_words.toml").read_text(encoding="utf-8")
    languages = tomllib.loads(source)
    parts: dict[str, str] = languages.pop("parts")
    for lists in languages.values():
        for kind, entries in lists.items():
            for entry in entries:
                yield kind, re.sub(r"<(\w+)>", lambda found: parts[found[1]], entry)


_ENTRIES = list(_lists())
OPT_OUT = frozenset(entry for kind, entry in _ENTRIES if kind == "certain")
OPT_IN = frozenset(entry for kind, entry in _ENTRIES if kind == "start")
PROBABLE = [re.compile(entry) for kind, entry in _ENTRIES if kind == "probable"]
