"""The web side as a process: Flask behind Granian."""

import os

import psycopg
from granian import Granian
from granian.constants import HTTPModes, Interfaces, Loops
from granian.http import HTTP1Settings

from connector import crms, mapping_version, settings


def serve(wanted: settings.Settings, url: str) -> None:
    """Serve until SIGTERM or SIGINT; requests under way are finished. What is refused was refused before this."""
    with psycopg.connect(url, autocommit=True) as connection:
        folder = wanted.mappings_dir
        mapping_version.register(connection, mapping_version.fingerprints(folder, crms.stems(folder)))
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
