"""Translate pydantic's validation errors into this project's wording. The only place that does."""

import re
from collections.abc import Mapping
from typing import Any

from pydantic import AfterValidator

KEY_NOT_KNOWN = "this key is not known"
NOT_FIT = "this value cannot be used here"

# By pydantic's error type. The context of the error fills the braces.
WORDS = {
    "missing": "required, but missing",
    "extra_forbidden": KEY_NOT_KNOWN,
    "string_too_short": "expected at least {min_length} characters",
    "string_too_long": "expected at most {max_length} characters",
    "string_unicode": "expected text of whole characters",
    "greater_than": "expected more than {gt}",
    "greater_than_equal": "expected at least {ge}",
    "less_than": "expected less than {lt}",
    "less_than_equal": "expected at most {le}",
    "multiple_of": "expected a multiple of {multiple_of}",
    "finite_number": "expected a finite number",
    "too_short": "expected at least {min_length} entries, found {actual_length}",
    "too_long": "expected at most {max_length} entries",
    "literal_error": "expected {expected}",
    "enum": "expected {expected}",
    "none_required": "expected no value",
    "invalid_key": "expected names as keys",
    "json_invalid": "expected JSON",
}
# By the first word of the error type: a string, an int and the like have many errors each.
KINDS = {
    "string": "expected text",
    "int": "expected a whole number",
    "float": "expected a number",
    "decimal": "expected a number",
    "bool": "expected true or false",
    "list": "expected a list",
    "tuple": "expected a list",
    "set": "expected a list",
    "frozen_set": "expected a list",
    "iterable": "expected a list",
    "dict": "expected keys with their values",
    "mapping": "expected keys with their values",
    "model": "expected keys with their values",
    "dataclass": "expected keys with their values",
    "url": "expected an address such as https://host",
    "path": "expected a path",
    "datetime": "expected a time in ISO 8601",
    "date": "expected a date such as 2026-12-25",
    "timezone": "expected a time with its zone",
    "time": "expected a time of day such as 08:00",
}
# Prefixes of errors from this project's own validators. Their wording is kept.
OWN = ("Value error, ", "Assertion failed, ")


def words(error: Mapping[str, Any]) -> str:
    """Describe one entry of ValidationError.errors(), without the invalid value."""
    kind, limits = str(error["type"]), error.get("ctx") or {}
    if kind in ("value_error", "assertion_error"):
        return str(error["msg"]).removeprefix(OWN[0]).removeprefix(OWN[1])
    if kind in ("string_too_short", "too_short") and limits.get("min_length") == 1:
        return "expected at least 1 character" if kind == "string_too_short" else "expected at least 1 entry"
    if found := WORDS.get(kind):
        return found.format_map({name: _plain(value) for name, value in limits.items()})
    return next((said for start, said in KINDS.items() if kind.startswith(f"{start}_")), NOT_FIT)


def _plain(limit: object) -> object:
    return int(limit) if isinstance(limit, float) and limit.is_integer() else limit


def matching(pattern: str, expected: str) -> AfterValidator:
    """Require that the whole text matches, with this message. pydantic's own message would show the pattern."""
    form = re.compile(pattern)

    def check(text: str) -> str:
        if not form.fullmatch(text):
            raise ValueError(expected)
        return text

    return AfterValidator(check)


# Text that is safe in the database and in a log line.
NO_CONTROLS = r"[^\x00-\x1f\x7f]*"
PLAIN = matching(NO_CONTROLS, "expected text in one line, without control characters")
