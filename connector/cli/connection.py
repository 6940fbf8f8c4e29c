"""The settings and the database of a command, reported on standard error."""

import contextlib
from collections.abc import Iterator

import click
import psycopg

from connector import settings
from connector.cli import whereabouts
from connector.errors import BadSettings
from connector.store import postgres


@contextlib.contextmanager
def connected(may_make: bool = False) -> Iterator[psycopg.Connection]:
    """Connect to the connector's database. `may_make`: create the embedded database when it does not exist."""
    with postgres.ready(load_settings(may_make)) as url, psycopg.connect(url, autocommit=True) as connection:
        yield connection


def load_settings(may_make: bool = False) -> settings.Settings:
    """Load the settings, and name the database, org and tenant on standard error.

    Raises BadSettings when there is no database and this command may not create one.
    """
    found = settings.load()
    new = postgres.to_be_made(found)
    if new and not may_make:
        raise BadSettings(
            f"there is no database in {new}. Start this command in the folder of your .env file, or set "
            "CONNECTOR_DATABASE_URL or CONNECTOR_DATA_DIR. A new database is made by: connector run"
        )
    click.echo(whereabouts.said(found), err=True)
    if new:
        click.echo(
            f"Making an embedded database in {new}. For another one, set CONNECTOR_DATABASE_URL or CONNECTOR_DATA_DIR.",
            err=True,
        )
    return found
