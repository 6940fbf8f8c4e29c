"""Numbers within limits as command-line arguments."""

import math
from typing import Any

import click


class FiniteRange(click.FloatRange):
    """A number within limits. Refuses not-a-number, which is neither below nor above any limit, and infinity."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"expected a finite number, not {value!r}", param, ctx)
        return number
