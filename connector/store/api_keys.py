"""Keys to the API: named, with rights, kept as hashes, and counted by the minute for all web processes together."""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import psycopg
from psycopg.rows import class_row

from connector.store import queries

SQL = queries.load(__file__)
# Known at a glance in a log or a file where it does not belong.
PREFIX = "ccaisms_"


class Right(StrEnum):
    """What a key is good for."""

    PREVIEW = "preview"
    SEND = "send"
    READ = "read"
    SUPPRESS = "suppress"


@dataclass(frozen=True, slots=True)
class Key:
    """A key as it is kept: without itself. `per_minute`: how many requests it may make."""

    name: str
    rights: Sequence[Right]
    per_minute: int
    added_at: datetime


def add(connection: psycopg.Connection, name: str, rights: Sequence[Right], per_minute: int) -> str | None:
    """A new key, which is told this once. None: there is one of this name."""
    key = PREFIX + secrets.token_urlsafe(32)
    row = {"name": name, "hash": _hashed(key), "rights": [one.value for one in rights], "per_minute": per_minute}
    return key if connection.execute(SQL["add"], row).rowcount else None


def revoke(connection: psycopg.Connection, name: str) -> bool:
    """The key is worth nothing from now on. False: there is none of this name."""
    return bool(connection.execute(SQL["revoke"], {"name": name}).rowcount)


def listed(connection: psycopg.Connection) -> list[Key]:
    with connection.cursor(row_factory=class_row(Key)) as cursor:
        return cursor.execute(SQL["listed"]).fetchall()


def known(connection: psycopg.Connection, key: str) -> Key | None:
    """Whose key this is. Found by its hash: the time that takes tells nothing of the keys there are."""
    with connection.cursor(row_factory=class_row(Key)) as cursor:
        return cursor.execute(SQL["known"], {"hash": _hashed(key)}).fetchone()


def use(connection: psycopg.Connection, caller: str) -> tuple[int, float]:
    """Count one request: how many the caller has made in this minute, and for how many seconds it lasts."""
    [row] = connection.execute(SQL["use"], {"caller": caller}).fetchall()
    return row


def _hashed(key: str) -> str:
    # Keys are random and long: there is nothing to gain from a slow hash.
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()
