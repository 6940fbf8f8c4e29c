"""connector keys: manage API keys."""

import sys
from collections.abc import Sequence
from dataclasses import asdict

import click
import psycopg

from connector.cli.connection import connected
from connector.cli.output import JSON, print_json, print_table, say
from connector.store import actions, audit
from connector.store import api_keys as store
from connector.store.api_keys import Right


@click.group()
def keys() -> None:
    """Keys for the API, /v1, and for the console."""


@keys.command(name="add")
@click.argument("name")
@click.option(
    "--right",
    "rights",
    type=click.Choice([right.value for right in Right]),
    multiple=True,
    required=True,
    help="What the key may do; repeat the option for several.",
)
@click.option("--per-minute", type=click.IntRange(1), default=600, show_default=True, help="Requests it may make.")
def add_key(name: str, rights: tuple[str, ...], per_minute: int) -> None:
    """Create a key called NAME and show it, once. For example:

    connector keys add salesforce --right preview --right send --right read
    """
    with connected(may_make=True) as connection:
        sys.exit(_add(connection, name, [Right(one) for one in rights], per_minute))


def _add(connection: psycopg.Connection, name: str, rights: Sequence[store.Right], per_minute: int) -> int:
    """Create a key and print it. The database keeps only its hash. 1 when the name is taken."""
    key = actions.add_key(connection, name, rights, per_minute, audit.this_user())
    if key is None:
        say(f"There is a key called {name} already. Revoke it first, or take another name.", err=True)
        return 1
    say("This is the key. It is not shown again, and only its hash is kept:", err=True)
    say(key)
    return 0


@keys.command(name="revoke")
@click.argument("name")
def revoke_key(name: str) -> None:
    """Revoke the key called NAME. It is refused from now on."""
    with connected() as connection:
        sys.exit(_revoke(connection, name))


def _revoke(connection: psycopg.Connection, name: str) -> int:
    """Revoke a key with immediate effect. 1 when there is none of this name."""
    if actions.revoke_key(connection, name, audit.this_user()):
        say(f"The key {name} is revoked. Its sessions and its bulk actions on the console have ended.")
        return 0
    say(f"There is no key called {name}.", err=True)
    return 1


@keys.command(name="list")
@JSON
def list_keys(as_json: bool) -> None:
    """The names, limits and rights of the keys. The keys themselves are not stored."""
    with connected() as connection:
        sys.exit(show_keys(connection, as_json))


def show_keys(connection: psycopg.Connection, as_json: bool) -> int:
    """Print names, limits and rights of the keys. The keys themselves are not stored."""
    rows = store.listed(connection)
    if as_json:
        print_json([asdict(row) for row in rows])
    else:
        print_table(
            ["name", "a minute", "since (UTC)", "rights"],
            [[row.name, row.per_minute, row.added_at, ", ".join(row.rights)] for row in rows],
        )
    return 0
