"""connector suppress: manage the suppression list, the numbers that must not be texted."""

import sys
from dataclasses import asdict

import click
import psycopg

from connector import phone
from connector.cli.connection import connected
from connector.cli.output import JSON, print_json, print_table, say
from connector.store import actions, audit, suppressions
from connector.store.audit import Action


@click.group()
def suppress() -> None:
    """The suppression list: numbers that are never texted."""


NUMBER = click.argument("number")


@suppress.command(name="add")
@NUMBER
@click.option("--why", default="", help="For whoever looks at the list.")
def suppress_number(number: str, why: str) -> None:
    """Never text NUMBER (E.164, such as +14155550132) again."""
    with connected(may_make=True) as connection:
        sys.exit(_suppress(connection, number, why))


def _suppress(connection: psycopg.Connection, typed: str, why: str) -> int:
    """Put a number on the suppression list."""
    number = number_of(typed)
    new = actions.suppress(connection, number, audit.this_user(), why)
    say(f"{phone.mask(number)} {'is' if new else 'was already'} on the suppression list.")
    return 0


@suppress.command(name="remove")
@NUMBER
def allow_number(number: str) -> None:
    """Remove all entries of NUMBER, so that it can be texted again. Status 1 if it is not on the list."""
    with connected() as connection:
        sys.exit(_allow(connection, number))


def _allow(connection: psycopg.Connection, typed: str) -> int:
    """Take a number off the suppression list. 1 when it was not on it."""
    number = number_of(typed)
    with connection.transaction():
        lifted = suppressions.allow(connection, number)
        if lifted:
            audit.record(connection, audit.this_user(), Action.NUMBER_LIFT, audit.number(connection, number))
    if lifted:
        say(f"{phone.mask(number)} is no longer on the suppression list.")
        return 0
    say(f"{phone.mask(number)} is not on the suppression list: nothing was changed.", err=True)
    return 1


@suppress.command(name="list")
@click.option("--limit", type=click.IntRange(1), default=1000, show_default=True, help="How many, newest first.")
@JSON
def list_suppressed(limit: int, as_json: bool) -> None:
    """The numbers on the list, in full, because CCAI Platform's Do-Not-Contact list is kept by hand."""
    with connected() as connection:
        sys.exit(show_suppressed(connection, limit, as_json))


def show_suppressed(connection: psycopg.Connection, most: int, as_json: bool) -> int:
    """Print the suppression list."""
    rows = suppressions.suppressed(connection, most)
    if as_json:
        print_json([asdict(row) for row in rows])
    else:
        print_table(
            ["number", "since (UTC)", "source", "added by", "why"],
            [[row.number, row.added_at, row.source, row.added_by, row.why or row.words] for row in rows],
        )
    return 0


def number_of(typed: str) -> str:
    number = phone.e164(typed)
    if number is None:
        raise click.BadParameter(f"expected a number in E.164, such as +14155550132, not {typed!r}")
    return number
