"""connector purge: erase a person's data."""

import sys

import click
import psycopg

from connector import phone
from connector.cli.connection import connected
from connector.cli.output import count, say
from connector.cli.suppressions import number_of
from connector.store import audit, erasure


@click.command()
@click.option("--phone", required=True, metavar="NUMBER", help="In E.164, such as +14155550132.")
@click.option("--suppress", is_flag=True, help="Also put it on the suppression list, so that no text still reaches it.")
def purge(phone: str, suppress: bool) -> None:
    """Erase one person: number, messages, words and events. What was not sent yet is cancelled. Event ids stay."""
    with connected() as connection:
        sys.exit(_purge(connection, phone, suppress))


def _purge(connection: psycopg.Connection, typed: str, suppress: bool) -> int:
    """Erase a person's data."""
    number = number_of(typed)
    erased = erasure.erase(connection, audit.this_user(), number, suppress)
    what = f"{count(erased.texts, 'text')}, {count(erased.events, 'event')}"
    say(f"Erased what is known of {phone.mask(number)}: {what}.")
    return 0
