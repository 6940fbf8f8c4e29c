"""Times as command-line arguments: RFC 3339, or a date. Without a time zone they are in UTC."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

import click

from connector import typed_times

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
            return typed_times.parse(value, ends=self._ends)
        except ValueError as error:
            self.fail(f"{error}, not {value!r}", param, ctx)


def require_order(since: datetime | None, until: datetime | None) -> None:
    """Raise UsageError where nothing can lie between these times."""
    if since and until and since >= until:
        raise click.UsageError("expected --since before --until")


def between(what: str) -> Callable[[Function], Function]:
    """Add the options --since and --until, for when `what`."""

    def add(function: Function) -> Function:
        since = click.option("--since", type=Moment(), help=f"Only those {what} at this time or later (UTC).")
        until = click.option(
            "--until", type=Moment(ends=True), help=f"Only those {what} before this time, or by the end of this date."
        )
        return since(until(function))

    return add
