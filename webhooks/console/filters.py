"""What the templates show of a value to this viewer."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import g

from connector import masking, phone
from webhooks.console.roles import Role


def phone_number(number: str | None) -> str:
    """A number in full for those who may see it, else its last four digits."""
    if not number:
        return "erased"
    return number if _may_read() else phone.mask(number, shown=4)


def content(message: str | None) -> str:
    """A message for those who may see it, else its length."""
    if not message:
        return "erased"
    return message if _may_read() else f"{len(message):,} characters; you may not see messages"


def typed(words: str | None) -> str:
    """What somebody typed, or a program said, for those who may see numbers, else with the numbers in it masked."""
    return words or "" if _may_read() else masking.masked(words or "")


def utc(moment: datetime | None) -> str:
    """A time in UTC, to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC") if moment else ""


def iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def ago(moment: datetime | None) -> str:
    """How long ago a time was: "3 minutes ago"."""
    return f"{duration(datetime.now(UTC) - moment)} ago" if moment else "never"


def duration(span: timedelta | float | None) -> str:
    """A span of time in its two largest units, such as "3 h 20 min"."""
    if span is None:
        return ""
    seconds = int(span.total_seconds() if isinstance(span, timedelta) else span)
    days, hours, minutes = seconds // 86_400, seconds // 3600 % 24, seconds // 60 % 60
    parts = [(days, "d"), (hours, "h"), (minutes, "min"), (max(seconds, 0) % 60, "s")]
    largest = next((place for place, (amount, _) in enumerate(parts) if amount > 0), len(parts) - 1)
    return " ".join(f"{amount} {unit}" for amount, unit in parts[largest : largest + 2] if amount) or "0 s"


def _may_read() -> bool:
    return "viewer" in g and Role.READ_CONTENT in g.viewer.roles


FILTERS: dict[str, Callable[[Any], str]] = {
    "phone_number": phone_number,
    "content": content,
    "typed": typed,
    "utc": utc,
    "iso": iso,
    "ago": ago,
    "duration": duration,
}
