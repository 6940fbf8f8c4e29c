"""The words of a search for texts: `state:failed rule:requested since:2026-11-24`. Several together narrow it.

A word without a qualifier is a phone number that begins with +, a ticket's id, or a text's number. A value with blanks
stands in quotes: `agent:"Ada Agent"`.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, tzinfo
from enum import StrEnum
from typing import Any, TypeVar

from connector import crms, phone, typed_times
from connector.errors import RefusalCode, Unreadable
from connector.model import MAX_CHAT_ID, Channel, State
from connector.store.text_search import Only, Search

MAX_LENGTH = 500
NOT_WRITTEN = "not-written"
QUALIFIERS = (
    "ticket",
    "case",
    "phone",
    "chat",
    "text",
    "state",
    "rule",
    "channel",
    "agent",
    "code",
    "since",
    "until",
    "is",
)
_WORD = re.compile(r'(?:(?P<key>[A-Za-z]+):)?(?:"(?P<quoted>[^"]*)"|(?P<plain>[^\s"]+))(?=\s|$)|(?P<wrong>\S+)')
Word = TypeVar("Word", bound=StrEnum)


class BadQuery(Exception):
    """The words of a search cannot be read. The message says why."""


def parse(words: str, zone: tzinfo | None = None) -> Search:
    """Return the search that these words mean. `zone`: of dates and times without one; None: UTC. Raises BadQuery."""
    if len(words) > MAX_LENGTH or "\0" in words:
        raise BadQuery(f"expected at most {MAX_LENGTH} characters")
    found = Search(crms=crms.known())
    seen = set[str]()
    for key, value in _pairs(words):
        name, field = _field(key, value, zone)
        if name in seen:
            raise BadQuery(f"{key}: expected once; a text has only one")
        seen.add(name)
        found = replace(found, **{name: field})
    if found.since and found.until and found.since >= found.until:
        raise BadQuery("since: expected a time before that of until:")
    return found


def _pairs(words: str) -> Iterator[tuple[str, str]]:
    """Yield each qualifier, in lower case, and its value."""
    for word in _WORD.finditer(words):
        if word["wrong"]:
            raise BadQuery(f"{word['wrong']!r}: expected a value, in quotes where it has blanks")
        value = (word["plain"] or word["quoted"] or "").strip()
        key = (word["key"] or _meant(value)).lower()
        if key not in QUALIFIERS:
            raise BadQuery(f"{key}: there is no such qualifier; expected one of: {', '.join(QUALIFIERS)}")
        if not value:
            raise BadQuery(f"{key}: expected a value")
        yield key, value


def _meant(value: str) -> str:
    """Return the qualifier of a word that has none."""
    if value.startswith("+"):
        return "phone"
    try:
        _ticket(value)
    except BadQuery:
        return "text" if value.removeprefix("#").isdecimal() else "ticket"
    return "ticket"


def _field(key: str, value: str, zone: tzinfo | None) -> tuple[str, Any]:
    """Return the field of Search that a qualifier sets, and its value."""
    match key:
        case "ticket" | "case":
            return "ticket", _ticket(value)
        case "phone":
            return "number", _phone(value)
        case "chat":
            return "chat", str(_integer(key, value))
        case "text":
            return "text", _integer(key, value.removeprefix("#"))
        case "state":
            return "state", _one_of(State, key, value)
        case "channel":
            return "channel", _one_of(Channel, key, value)
        case "code":
            return "code", _one_of(RefusalCode, key, value)
        case "since" | "until":
            return key, _moment(key, value, zone)
        case "is" if value.lower() == NOT_WRITTEN:
            return "not_written", True
        case "is":
            return "only", _one_of(Only, key, value, NOT_WRITTEN)
    return key, value


def _ticket(value: str) -> str:
    """Return a ticket's full id, in the first CRM whose ids look like it."""
    problems = []
    for crm_name in crms.known():
        try:
            return crms.named(crm_name, value)
        except Unreadable as error:
            problems.append(str(error))
    raise BadQuery(f"ticket: {'; '.join(problems)}")


def _phone(value: str) -> str:
    number = phone.e164(value)
    if number is None:
        raise BadQuery("phone: expected a number in E.164, such as +14155550132")
    return number


def _integer(key: str, value: str) -> int:
    if not (value.isascii() and value.isdecimal() and len(value) <= 19 and 1 <= int(value) <= MAX_CHAT_ID):
        raise BadQuery(f"{key}: expected a number, such as 17")
    return int(value)


def _one_of(kind: type[Word], key: str, value: str, *more: str) -> Word:
    try:
        return kind(value.lower())
    except ValueError:
        raise BadQuery(f"{key}: expected one of: {', '.join([*kind, *more])}") from None


def _moment(key: str, value: str, zone: tzinfo | None) -> datetime:
    try:
        return typed_times.parse(value, zone or UTC, ends=key == "until")
    except ValueError as error:
        raise BadQuery(f"{key}: {error}") from None
