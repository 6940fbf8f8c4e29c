"""The PostgreSQL that was given, or the embedded one: connections to it, and whether it can be used."""

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
# Seconds that a machine's clock may differ from the database's before it is said.
CLOCK_DIFFERS = 2.0


@contextlib.contextmanager
def running(settings: Settings) -> Iterator[str]:
    """A PostgreSQL that answers, as a connection URL; an embedded one stops afterwards if nobody else uses it."""
    pseudonyms.configure(settings.pseudonym_key)
    if settings.database_url:
        yield _address(settings.database_url.get_secret_value())
        return
    with embedded.running(folder(settings)) as url:
        yield url


def _address(given: str) -> str:
    try:
        conninfo_to_dict(given)
    except psycopg.ProgrammingError:  # its words would show the password
        raise BadSettings("CONNECTOR_DATABASE_URL: expected postgresql://user:password@host/database") from None
    return given


def folder(settings: Settings) -> Path:
    """Where an embedded one is."""
    return settings.data_dir / "postgres"


def to_be_made(settings: Settings) -> Path | None:
    """The folder of an embedded one that does not exist yet; None: there is one, or another is given."""
    made = settings.database_url or (folder(settings) / "PG_VERSION").exists()
    return None if made else folder(settings)


def place(settings: Settings) -> str:
    """Where the database is, in words, without its password. Raises BadSettings."""
    if settings.database_url is None:
        return f"embedded, in {folder(settings)}" + (" (new)" if to_be_made(settings) else "")
    given = conninfo_to_dict(_address(settings.database_url.get_secret_value()))
    host = given.get("host") or given.get("hostaddr") or given.get("service") or "this machine"
    port = f":{given['port']}" if "port" in given else ""
    return f"{given.get('dbname') or given.get('user') or 'the default one'} at {host}{port}"


@contextlib.contextmanager
def ready(wanted: Settings) -> Iterator[str]:
    """The URL of a running database with a current schema; an embedded one is brought up to date by itself.

    Raises BadSettings where a given one is not.
    """
    with running(wanted) as url:
        if wanted.database_url is None:
            migrations.migrate(url)
        with psycopg.connect(url, autocommit=True) as connection:
            if not migrations.current(connection):
                raise BadSettings(NOT_CURRENT)
            pseudonyms.check(connection)
        yield url


NOT_CURRENT = "the database's schema is not current; bring it up to date with: connector migrate"


def require_place(settings: Settings) -> None:
    """Asks nobody and makes nothing. Raises BadSettings where what is set can be no database."""
    if settings.database_url:
        _address(settings.database_url.get_secret_value())
        return
    wanted = settings.data_dir
    there = next(one for one in (wanted, *wanted.parents) if os.path.exists(one))  # false too where nobody lets us look
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        raise BadSettings(f"CONNECTOR_DATA_DIR: {wanted} cannot be used")


def check(settings: Settings) -> str:
    """What to say of the database. An embedded one is neither made nor started. Raises BadSettings like `ready`."""
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


# What the server is to do for a session of ours: not to keep the locks of one that was stopped, or cut off, in the
# middle of a transaction. Others would wait for them until the server notices, which takes hours by default.
SESSION = (
    "-c idle_in_transaction_session_timeout=10s -c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5"
    " -c tcp_keepalives_count=2 -c tcp_user_timeout=20s"
)
# A plan is made for each execution: one that was made when the tables were empty would be kept, and is a hundred times
# as slow when they are not. All connections are in autocommit: transactions are opened where they are meant.
OPTIONS = f"-c plan_cache_mode=force_custom_plan {SESSION}"
# Where there is only one way to do it, however much is in the tables: a tenth more events are taken in.
KEEPS_PLANS = f"-c plan_cache_mode=force_generic_plan {SESSION}"
# A database whose machine is gone says nothing: without these, a connection would wait for it for a quarter of an hour.
# Seconds, and milliseconds; the address may say otherwise.
SILENCE = {
    "connect_timeout": 5,
    "tcp_user_timeout": 10_000,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 2,
}
# Seconds to wait for a connection; and for how long a pool tries by itself to reach a database that is away, before it
# waits to be asked again: its pauses grow, and would be longer than the database is away.
PATIENCE, RECONNECT = 5.0, 3.0


def pool(url: str, most: int, keeps_plans: bool = False) -> ConnectionPool:
    """At most `most` connections. `keeps_plans`: for statements that there is only one way to do."""
    return ConnectionPool(
        _impatient(url),
        min_size=1,
        max_size=most,
        kwargs={"autocommit": True, "options": KEEPS_PLANS if keeps_plans else OPTIONS},
        timeout=PATIENCE,
        reconnect_timeout=RECONNECT,
        open=True,
    )


async def connect(url: str) -> psycopg.AsyncConnection:
    """One connection for asynchronous use."""
    return await psycopg.AsyncConnection.connect(_impatient(url), autocommit=True, options=OPTIONS)


def _impatient(url: str) -> str:
    return make_conninfo("", **(SILENCE | conninfo_to_dict(url)))


def now(connection: psycopg.Connection) -> datetime:
    """What time it is by the database's clock, which all workers and web processes go by (UTC)."""
    row = connection.execute("select clock_timestamp()").fetchone()
    return row[0].astimezone(UTC) if row else datetime.now(UTC)


def clock_ahead(connection: psycopg.Connection) -> float:
    """How far this machine's clock is ahead of the database's, in seconds; 0 where it hardly is."""
    theirs = now(connection)
    ahead = (datetime.now(UTC) - theirs).total_seconds()
    return ahead if abs(ahead) > CLOCK_DIFFERS else 0.0


class Asking:
    """Lets asynchronous code ask what takes a connection: in a thread, on a connection of the pool."""

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
