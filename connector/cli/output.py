"""Output of commands: lines and tables for people, JSON for programs."""

import json
import sys
from datetime import UTC, datetime

import click
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from connector import harmless

JSON = click.option("--json", "as_json", is_flag=True, help="As JSON.")


def plain(value: object) -> str:
    """Format a time as ISO 8601 in UTC, and anything else with str()."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return str(value)


def print_json(value: object) -> None:
    """Print JSON that is safe on a terminal."""
    click.echo(harmless.in_json(json.dumps(value, indent=2, ensure_ascii=False, default=plain)))


def say(line: str = "", err: bool = False) -> None:
    """Print a line, with control characters from foreign text made harmless. `err`: print on standard error."""
    click.echo(harmless.on_screen(line), err=err)


def count(number: int, noun: str) -> str:
    """ "1 text", "2 texts" """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def print_table(columns: list[str], rows: list[list[object]]) -> None:
    """Print a table as wide as the terminal, or up to 200 columns when there is none. Only the last column wraps."""
    *firm, last = columns
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in firm:
        table.add_column(column, no_wrap=True)
    table.add_column(last, overflow="fold")
    for row in rows:
        table.add_row(*(Text("" if cell is None else harmless.on_screen(plain(cell))) for cell in row))
    Console(highlight=False, width=None if sys.stdout.isatty() else 200).print(table)
