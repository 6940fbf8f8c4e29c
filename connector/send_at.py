"""The times at which texts are to be sent, as programs and people write them. All results are in UTC."""

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from connector.errors import BadTime

# RFC 3339 with an offset; seconds may be left out, and the colon of an offset, as Salesforce writes it.
RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d+)?)?([Zz]|[+-]\d\d:?\d\d)")
EXPECTED = "expected a time with its offset, such as 2026-11-27T09:30:00-05:00"
# A time that has passed this many seconds ago counts as now: a request takes a while.
LATE_SECONDS = 60
DEFAULT_DAYS = 30.0


def parse(written: str) -> datetime:
    """Return the time of an RFC 3339 text, whose offset is required. Raises BadTime."""
    if not RFC_3339.fullmatch(written):
        raise BadTime(EXPECTED)
    try:
        return datetime.fromisoformat(written.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadTime(EXPECTED) from None


def local(day: str, time: str, zone: str) -> datetime:
    """Return the time of a day such as "2026-11-27" and a time such as "09:30" in an IANA time zone. Raises BadTime."""
    try:
        written = datetime.fromisoformat(f"{day}T{time}")
        first, second = (written.replace(tzinfo=ZoneInfo(zone), fold=fold) for fold in (0, 1))
        moment = first.astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadTime("expected a date and a time of day") from None
    if written.tzinfo is not None:
        raise BadTime("expected a date and a time of day")
    if first.utcoffset() == second.utcoffset():
        return moment
    if moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None) == written:
        raise BadTime(f"{time} comes twice on {day} in {zone}, because the clocks go back: choose another time")
    raise BadTime(f"{time} does not exist on {day} in {zone}, because the clocks go forward: choose another time")


def check(at: datetime, now: datetime, max_days: float) -> None:
    """Refuse a time that has passed, or that is more than so many days ahead. Raises BadTime."""
    if at < now - timedelta(seconds=LATE_SECONDS):
        raise BadTime("expected a time that is still to come")
    if at > now + timedelta(days=max_days):
        raise BadTime(f"expected a time within the next {max_days:g} days")
