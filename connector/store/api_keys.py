"""API keys: named, with rights, stored as hashes. Requests are counted per minute across all web processes."""

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
# Makes a leaked key easy to recognize in a log or a file.
PREFIX = "ccaisms_"


class Right(StrEnum):
    """A permission of an API key: the first four for the API, the others are the roles of the console."""

    PREVIEW = "preview"
    SEND = "send"
    READ = "read"
    SUPPRESS = "suppress"
    VIEW = "view"
    ACT = "act"
    CONTENT = "content"
    KEYS = "keys"


@dataclass(frozen=True, slots=True)
class Key:
    """A stored API key, without the key itself. `per_minute`: requests that it may make in a minute."""

    name: str
    rights: Sequence[Right]
    per_minute: int
    added_at: datetime


def add(connection: psycopg.Connection, name: str, rights: Sequence[Right], per_minute: int) -> str | None:
    """Add a key and return it in clear, this once. None: a key of this name exists."""
    key = PREFIX + secrets.token_urlsafe(32)
    row = {"name": name, "hash": _hashed(key), "rights": [one.value for one in rights], "per_minute": per_minute}
    return key if connection.execute(SQL["add"], row).rowcount else None


def revoke(connection: psycopg.Connection, name: str) -> bool:
    """Revoke a key at once. False: there is no key of this name."""
    return bool(connection.execute(SQL["revoke"], {"name": name}).rowcount)


def listed(connection: psycopg.Connection) -> list[Key]:
    with connection.cursor(row_factory=class_row(Key)) as cursor:
        return cursor.execute(SQL["listed"]).fetchall()


def known(connection: psycopg.Connection, key: str) -> Key | None:
    """The record of this key; None: no such key. The lookup is by hash, so its timing reveals nothing about keys."""
    with connection.cursor(row_factory=class_row(Key)) as cursor:
        return cursor.execute(SQL["known"], {"hash": _hashed(key)}).fetchone()


def use(connection: psycopg.Connection, caller: str) -> tuple[int, float]:
    """Count one request; the caller's requests in this minute, and the seconds left of the minute."""
    [row] = connection.execute(SQL["use"], {"caller": caller}).fetchall()
    return row


def _hashed(key: str) -> str:
    # Keys are long and random, so a slow hash would add no protection.
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()
