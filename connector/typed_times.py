"""Times and dates as people type them, for the command line and the console."""

from datetime import UTC, date, datetime, time, timedelta, tzinfo

# No time of this year is read: in a zone east of UTC it can be one of the year 10000, which Python cannot hold.
LAST_YEAR = 9999
EXPECTED = "expected a date or a time, such as 2026-11-24 or 2026-11-24T16:00:00Z"


def parse(typed: str, zone: tzinfo = UTC, ends: bool = False) -> datetime:
    """Return a time in UTC. `typed`: a date, or a time in RFC 3339. `zone`: of what names no time zone.

    A date means its beginning or, with `ends`, its end. Raises ValueError, which says what was expected.
    """
    try:
        moment = _edge(typed, ends) or datetime.fromisoformat(typed)
        found = (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(EXPECTED) from None
    if found.year >= LAST_YEAR:
        raise ValueError(EXPECTED)
    return found


def _edge(typed: str, ends: bool) -> datetime | None:
    """Return where a date begins or ends; None: `typed` is no date. Raises OverflowError."""
    try:
        day = date.fromisoformat(typed)
    except ValueError:
        return None
    return datetime.combine(day + timedelta(days=ends), time())
