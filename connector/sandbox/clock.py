"""The sandbox's only source of time, which a test can replace."""

import time
from datetime import UTC, datetime


class Clock:
    """Wall-clock time for timestamps, monotonic time for durations, and the sleep of a `delay` fault."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


def timestamp(moment: datetime | None) -> str | None:
    """Format a time as both remote sides write it in JSON and XML: `2021-10-04T17:20:51.000Z`."""
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
