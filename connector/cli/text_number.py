"""Ids of texts as command-line arguments."""

import re
from typing import Any

import click

# No leading zero: case numbers have them.
TEXT_NUMBER = re.compile(r"[1-9][0-9]{0,17}")


class TextNumber(click.IntRange):
    """A text's id. Refuses ticket ids and case numbers, which must not select a text by accident."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if isinstance(value, str) and not TEXT_NUMBER.fullmatch(value):
            self.fail(
                f"expected a text's number, such as 17, not {value!r}; a ticket's are shown by: "
                f"connector texts list --ticket {value}",
                param,
                ctx,
            )
        return super().convert(value, param, ctx)
