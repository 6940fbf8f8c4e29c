"""Which mapping is the newest: while several are in use, a worker with an older one skips nothing that it may not know.

A rule that was added is unknown to workers that have not been started anew. They leave its texts to those that have.
"""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

import psycopg

from connector.store import queries

SQL = queries.load(__file__)
# Seconds after which nobody waits for a newer worker any more.
SIDE_BY_SIDE = 3600.0


def fingerprints(folder: Path, crms: Iterable[str]) -> dict[str, str]:
    """What stands for each CRM's mapping file."""
    return {crm: hashlib.sha256((folder / f"{crm}.toml").read_bytes()).hexdigest() for crm in crms}


def register(connection: psycopg.Connection, found: Mapping[str, str]) -> None:
    """A process starts with these: they are the newest now."""
    for crm, fingerprint in found.items():
        connection.execute(SQL["register"], {"crm": crm, "fingerprint": fingerprint})


def outdated(connection: psycopg.Connection, found: Mapping[str, str]) -> set[str]:
    """The CRMs for which a process has started with another mapping a short while ago."""
    rows = connection.execute(SQL["newest"], {"seconds": SIDE_BY_SIDE})
    return {crm for crm, fingerprint in rows if found.get(crm, fingerprint) != fingerprint}
