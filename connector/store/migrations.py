"""Schema migrations: apply them, and check that they are applied."""

from pathlib import Path

import psycopg

from connector.errors import BadSettings
from connector.store import jobs, pseudonyms

MIGRATIONS = Path(__file__).parent / "migrations"
# The key of the advisory lock. Any number that no other program on the same database uses.
MIGRATION_LOCK = 7_163_001
OTHER_TABLES = (
    "the database has tables of another program, or of an unreleased version of this one ({}); expected a database of"
    " the connector's own: set CONNECTOR_DATABASE_URL or CONNECTOR_DATA_DIR to another one"
)


def migrate(url: str) -> list[str]:
    """Bring the schema up to date; the names of what ran. Safe to repeat and to run from several machines at once.

    Raises BadSettings for a database with tables of another program.
    """
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("select pg_advisory_lock(%s)", [MIGRATION_LOCK])
        connection.execute(
            "create table if not exists migrations (name text primary key, at timestamptz not null default now())"
        )
        ran = jobs.install(connection)
        for name in _missing(connection):
            try:
                with connection.transaction():
                    connection.execute((MIGRATIONS / f"{name}.sql").read_text(encoding="utf-8"))
                    connection.execute("insert into migrations (name) values (%s)", [name])
            except (psycopg.errors.DuplicateTable, psycopg.errors.DuplicateObject) as error:
                raise BadSettings(OTHER_TABLES.format(error.diag.message_primary)) from None
            ran.append(name)
        if pseudonyms.make(connection):
            ran.append("pseudonyms")
    return ran


def _missing(connection: psycopg.Connection) -> list[str]:
    done = {name for (name,) in connection.execute("select name from migrations")}
    return [path.stem for path in sorted(MIGRATIONS.glob("*.sql")) if path.stem not in done]


def current(connection: psycopg.Connection) -> bool:
    """Whether every migration of this version has been applied. Raises psycopg.Error when the database is away."""
    try:
        return not _missing(connection) and pseudonyms.made(connection)
    except psycopg.errors.UndefinedTable:
        return False
