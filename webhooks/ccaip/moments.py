"""Times in chat webhooks. Their unit is not documented: seconds, milliseconds and ISO 8601 are read."""

import math
from datetime import UTC, datetime

# A larger number is in milliseconds: as seconds it would be after the year 5000.
MAX_SECONDS = 1e11
# An earlier time was left unset: 0, or the year 1. As the time of a message, it would be older than all others.
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)


def read(value: object) -> datetime | None:
    """Return the time (UTC): a number of seconds or milliseconds since 1970, as a number or text, or ISO 8601.

    None: it is no time, one that was left unset, or ISO 8601 without an offset.
    """
    found = _moment(value)
    return found if found and found >= EARLIEST else None


def _moment(value: object) -> datetime | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return _iso(value) if isinstance(value, str) else None
    if not math.isfinite(number):
        return None
    try:
        return datetime.fromtimestamp(number / 1000 if abs(number) > MAX_SECONDS else number, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _iso(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text.strip())
        return moment.astimezone(UTC) if moment.tzinfo else None
    except (ValueError, OverflowError):
        return None
