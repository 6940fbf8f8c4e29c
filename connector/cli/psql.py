"""connector psql: open the configured database with PostgreSQL's own client."""

import os
import shutil
import signal
import subprocess
import sys

import click
import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from connector.cli.connection import load_settings
from connector.store import audit, postgres
from connector.store.audit import Action

MISSING = "psql is not installed: it is in the package postgresql-client of most systems"


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def psql(arguments: tuple[str, ...]) -> None:
    """Open the connector's database with psql, if that is installed. ARGUMENTS are for psql. For example:

    connector psql -c "select count(*) from texts"

    The password is not on psql's command line. The audit trail records that the database was opened.
    """
    program = shutil.which("psql")
    if program is None:
        raise click.ClickException(MISSING)
    with postgres.ready(load_settings()) as url:
        with psycopg.connect(url, autocommit=True) as connection:
            audit.record(connection, audit.this_user(), Action.DATABASE_OPEN, "database")
        given = {name: str(value) for name, value in conninfo_to_dict(url).items() if value is not None}
        password = given.pop("password", None)
        environment = os.environ | ({"PGPASSWORD": password} if password else {})
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends a query of psql's, not psql
        command = [program, make_conninfo("", **given), *arguments]
        done = subprocess.run(command, env=environment, check=False)  # noqa: S603 - the user's own psql and arguments
    sys.exit(done.returncode)
