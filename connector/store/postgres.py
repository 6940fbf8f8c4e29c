"""Connections to the configured PostgreSQL or the embedded one, and checks of whether it can be used."""

import asyncio
import contextlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from datetime import UTC, datetime
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg_pool import ConnectionPool

from connector.errors import BadSettings
from connector.settings import Settings
from connector.store import embedded, migrations, pseudonyms

Parameters = ParamSpec("Parameters")
Answer = TypeVar("Answer")
# Seconds that a machine's clock may differ from the database's before a warning.
CLOCK_DIFFERS = 2.0


@contextlib.contextmanager
def running(settings: Settings) -> Iterator[str]:
    """Yield the connection URL of the database. An embedded one is started, and stops when no process uses it."""
    pseudonyms.configure(settings.pseudonym_key)
    if settings.database_url:
        yield _address(settings.database_url.get_secret_value())
        return
    with embedded.running(folder(settings)) as url:
        yield url


def _address(given: str) -> str:
    try:
        conninfo_to_dict(given)
    except psycopg.ProgrammingError:  # the message would show the password
        raise BadSettings("CONNECTOR_DATABASE_URL: expected postgresql://user:password@host/database") from None
    return given


def folder(settings: Settings) -> Path:
    """The data folder of the embedded database."""
    return settings.data_dir / "postgres"


def to_be_made(settings: Settings) -> Path | None:
    """The folder of an embedded database that is still to be created; None: it exists, or an external one is set."""
    made = settings.database_url or (folder(settings) / "PG_VERSION").exists()
    return None if made else folder(settings)


def place(settings: Settings) -> str:
    """A description of the database's location, without its password. Raises BadSettings."""
    if settings.database_url is None:
        return f"embedded, in {folder(settings)}" + (" (new)" if to_be_made(settings) else "")
    given = conninfo_to_dict(_address(settings.database_url.get_secret_value()))
    host = given.get("host") or given.get("hostaddr") or given.get("service") or "this machine"
    port = f":{given['port']}" if "port" in given else ""
    return f"{given.get('dbname') or given.get('user') or 'the default one'} at {host}{port}"


@contextlib.contextmanager
def ready(settings: Settings) -> Iterator[str]:
    """Yield the URL of a running database with a current schema. An embedded one is migrated first.

    Raises BadSettings when an external database's schema is not current.
    """
    with running(settings) as url:
        if settings.database_url is None:
            migrations.migrate(url)
        with psycopg.connect(url, autocommit=True) as connection:
            if not migrations.current(connection):
                raise BadSettings(NOT_CURRENT)
            pseudonyms.check(connection)
        yield url


NOT_CURRENT = "the database's schema is not current; bring it up to date with: connector migrate"


def require_place(settings: Settings) -> None:
    """Check the database settings without connecting or creating anything. Raises BadSettings when they cannot work."""
    if settings.database_url:
        _address(settings.database_url.get_secret_value())
        return
    folder = settings.data_dir
    there = next(one for one in (folder, *folder.parents) if os.path.exists(one))  # false too without permission
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        raise BadSettings(f"CONNECTOR_DATA_DIR: {folder} cannot be used")


def check(settings: Settings) -> str:
    """The result of checking the database, in words. Does not create or start an embedded one. Raises BadSettings."""
    require_place(settings)
    if settings.database_url is None:
        return f"the database is the embedded one, in {folder(settings)}"
    try:
        with psycopg.connect(_impatient(settings.database_url.get_secret_value()), autocommit=True) as given:
            if not migrations.current(given):
                raise BadSettings(NOT_CURRENT)
            pseudonyms.check(given)
            ahead = clock_ahead(given)
    except psycopg.OperationalError as error:
        raise BadSettings(f"the database does not answer: {str(error).splitlines()[0]}") from None
    differs = f"; its clock counts, from which this machine's differs by {ahead:+.0f} s" if ahead else ""
    return f"the database answers, and its schema is current{differs}"


def ask(url: str, question: Callable[[psycopg.Connection], Answer]) -> Answer:
    """Ask one question over a connection of its own. Raises psycopg.Error."""
    with psycopg.connect(_impatient(url), autocommit=True) as connection:
        return question(connection)


# Session settings: the server drops the locks of a process that was stopped or cut off in the middle of a transaction.
# By default it notices a lost client only after hours, and other sessions would wait for the locks.
SESSION = (
    "-c idle_in_transaction_session_timeout=10s -c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5"
    " -c tcp_keepalives_count=2 -c tcp_user_timeout=20s"
)
# Statements are planned on each execution: a plan cached while the tables were empty is a hundred times slower once
# they are full. All connections use autocommit; transactions are opened explicitly.
OPTIONS = f"-c plan_cache_mode=force_custom_plan {SESSION}"
# For statements with only one possible plan, whatever the tables hold: a tenth more events are saved per second.
KEEPS_PLANS = f"-c plan_cache_mode=force_generic_plan {SESSION}"
# For a worker's steps: making their plans costs as much as running them. They find each row by one index only, and may
# not read whole tables. A statement that could use another index while the tables are small is not prepared, which has
# it planned each time; tests/store/test_kept_plans.py finds these.
BY_INDEX = f"-c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off {KEEPS_PLANS}"
# Borrows a connection for a block.
Connect = Callable[[], contextlib.AbstractContextManager[psycopg.Connection]]
# Without these timeouts, a connection to a machine that is gone waits for a quarter of an hour. In seconds, except
# `tcp_user_timeout` (milliseconds). The database URL can override them.
SILENCE = {
    "connect_timeout": 5,
    "tcp_user_timeout": 10_000,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 2,
}
# Seconds to wait for a connection, and seconds for which a pool reconnects by itself before it waits for the next
# request. The pool's growing pauses would otherwise outlast the database's absence.
CONNECTION_SECONDS, RECONNECT_SECONDS = 5.0, 3.0


def pool(url: str, most: int, options: str = OPTIONS) -> ConnectionPool:
    """A pool of at most `most` connections. `options`: how its statements are planned."""
    return ConnectionPool(
        _impatient(url),
        min_size=1,
        max_size=most,
        kwargs={"autocommit": True, "options": options},
        timeout=CONNECTION_SECONDS,
        reconnect_timeout=RECONNECT_SECONDS,
        open=True,
    )


def single(url: str) -> psycopg.Connection:
    """Open one connection, in autocommit, for work that calls remote services between its statements."""
    return psycopg.connect(_impatient(url), autocommit=True, options=OPTIONS)


async def connect(url: str) -> psycopg.AsyncConnection:
    """Open one asynchronous connection, in autocommit."""
    return await psycopg.AsyncConnection.connect(_impatient(url), autocommit=True, options=OPTIONS)


def _impatient(url: str) -> str:
    return make_conninfo("", **(SILENCE | conninfo_to_dict(url)))


def now(connection: psycopg.Connection) -> datetime:
    """The time by the database's clock (UTC), which all workers and web processes use."""
    row = connection.execute("select clock_timestamp()").fetchone()
    return row[0].astimezone(UTC) if row else datetime.now(UTC)


def clock_ahead(connection: psycopg.Connection) -> float:
    """Seconds by which this machine's clock is ahead of the database's; 0 within CLOCK_DIFFERS."""
    theirs = now(connection)
    ahead = (datetime.now(UTC) - theirs).total_seconds()
    return ahead if abs(ahead) > CLOCK_DIFFERS else 0.0


class Asking:
    """Run a blocking function for asynchronous code: in a thread, with a connection from the pool."""

    def __init__(self, pool: ConnectionPool, threads: Executor) -> None:
        self._pool, self._threads = pool, threads

    async def __call__(
        self,
        question: Callable[Concatenate[psycopg.Connection, Parameters], Answer],
        *args: Parameters.args,
        **more: Parameters.kwargs,
    ) -> Answer:
        def ask() -> Answer:
            with self._pool.connection() as connection:
                return question(connection, *args, **more)

        return await asyncio.get_running_loop().run_in_executor(self._threads, ask)
