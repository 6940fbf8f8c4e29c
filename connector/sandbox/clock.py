"""The one place where the sandbox gets its time from, so that a test can hold the clock in its hand."""

import time
from datetime import UTC, datetime


class Clock:
    """Wall-clock time for what is shown, monotonic time for what is measured, and the pause of a played delay."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


def timestamp(moment: datetime | None) -> str | None:
    """A moment as both remote sides' JSON and XML write it: `2021-10-04T17:20:51.000Z`."""
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
