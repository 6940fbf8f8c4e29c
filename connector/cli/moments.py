"""Times as command-line arguments: RFC 3339, or a date. Without a time zone they are in UTC."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeVar

import click

EXPECTED = "expected a date or a time, such as 2026-11-24 or 2026-11-24T16:00:00Z"
Function = TypeVar("Function", bound=Callable[..., object])


class Moment(click.ParamType[datetime]):
    """A time. A date means its beginning or, with `ends`, its end."""

    name = "time"

    def __init__(self, ends: bool = False) -> None:
        self._ends = ends

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Return the time in UTC."""
        if isinstance(value, datetime):
            return value
        try:
            day = date.fromisoformat(value)
            return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=self._ends)
        except (ValueError, OverflowError):
            pass
        try:
            moment = datetime.fromisoformat(value)
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
        except (ValueError, OverflowError):
            self.fail(
                f"expected a date or a time, such as 2026-11-24 or 2026-11-24T16:00:00Z, not {value!r}", param, ctx
            )


def between(what: str) -> Callable[[Function], Function]:
    """Add the options --since and --until, for when `what`."""

    def add(function: Function) -> Function:
        since = click.option("--since", type=Moment(), help=f"Only those {what} at this time or later (UTC).")
        until = click.option(
            "--until", type=Moment(ends=True), help=f"Only those {what} before this time, or by the end of this date."
        )
        return since(until(function))

    return add
