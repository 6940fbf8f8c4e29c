"""The newest mapping version, for a rollout during which workers use different ones.

A worker with an older mapping does not know a rule that was added since. It leaves texts that no rule of its own
matches to workers with the newest mapping, instead of skipping them.
"""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

import psycopg

from connector.store import queries

SQL = queries.load(__file__)
# Seconds after a new mapping's first use in which workers with an older one leave texts to newer workers.
SIDE_BY_SIDE = 3600.0


def fingerprints(folder: Path, crms: Iterable[str]) -> dict[str, str]:
    """The fingerprint (SHA-256, hexadecimal) of each CRM's mapping file."""
    return {crm: hashlib.sha256((folder / f"{crm}.toml").read_bytes()).hexdigest() for crm in crms}


def register(connection: psycopg.Connection, found: Mapping[str, str]) -> None:
    """Record the fingerprints that a process starts with as the newest."""
    for crm, fingerprint in found.items():
        connection.execute(SQL["register"], {"crm": crm, "fingerprint": fingerprint})


def outdated(connection: psycopg.Connection, found: Mapping[str, str]) -> set[str]:
    """The CRMs for which another process has recently started with a different mapping."""
    rows = connection.execute(SQL["newest"], {"seconds": SIDE_BY_SIDE})
    return {crm for crm, fingerprint in rows if found.get(crm, fingerprint) != fingerprint}
