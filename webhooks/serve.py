"""The web side as a process: Flask behind Granian."""

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor

from granian import Granian
from granian.constants import HTTPModes, Interfaces, Loops
from granian.http import HTTP1Settings

from connector import database, settings
from connector.errors import BadMapping, BadSettings


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
        interface=Interfaces.RSGI,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(header_read_timeout=int(wanted.receive_seconds * 1000)),
        websockets=False,
        loop=Loops.auto,  # uvloop where there is one
        address=wanted.host,
        port=wanted.port,
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
