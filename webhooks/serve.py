"""The web side as a process: Flask behind Granian."""

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor

from granian import Granian
from granian.constants import Interfaces

from connector import database, settings
from connector.errors import BadMapping, BadSettings

# Threads beyond those that work: a sender that falls silent in the middle of its message holds one for as long as it
# stays, and the server knows no time for that.
FOR_THE_SILENT = 240


def serve(wanted: settings.Settings, url: str) -> None:
    """Serve until SIGTERM or SIGINT; requests under way are finished. Raises BadSettings or BadMapping at once."""
    # What is wrong is said here, not by each of the server's processes. It is looked at in a process of its own, which
    # takes with it what it had to load.
    with ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as checking:
        if problem := checking.submit(_problem, wanted, url).result():
            raise BadSettings(problem)
    os.environ[f"{settings.PREFIX}DATABASE_URL"] = url
    Granian(
        "webhooks.app:from_environment",
        factory=True,
        interface=Interfaces.WSGI,
        address=wanted.host,
        port=wanted.port,
        blocking_threads=wanted.web_threads + FOR_THE_SILENT,
        log_enabled=False,
        log_access=False,  # an address may hold a token
        workers_kill_timeout=30,
    ).serve()


def _problem(wanted: settings.Settings, url: str) -> str | None:
    """What keeps the application from being made."""
    from webhooks import app

    try:
        with database.pool(url, 1) as pool:
            app.create_app(wanted, pool)
    except (BadSettings, BadMapping) as error:
        return str(error)
    return None
