"""Keyed hashes (HMAC-SHA-256) that stand for numbers, reasons and requests that only have to be recognized.

All phone numbers can be tried, so a hash without a key reveals its number. The key is created once for each database
and stored in it. `CONNECTOR_PSEUDONYM_KEY`, if set, is mixed in, so that a copy of the tables alone is not enough to
try the numbers.
"""

import hmac
import secrets
from collections.abc import Mapping
from weakref import WeakKeyDictionary

import psycopg
from pydantic import SecretStr

from connector.errors import BadSettings
from connector.store import queries

SQL = queries.load(__file__)
# The stored key, and a proof that lets a process check that it mixes in the same setting as earlier ones.
KEPT, PROOF = "pseudonyms", "pseudonyms_proof"
KEY_BYTES = 32
OTHER_KEY = (
    "CONNECTOR_PSEUDONYM_KEY: expected the value that this database was first used with, or nothing if there was none;"
    " with another one, nobody would be known to have been texted"
)

_given = b""
_keys: WeakKeyDictionary[psycopg.Connection, bytes] = WeakKeyDictionary()


def configure(given: SecretStr | None) -> None:
    """Mix this setting into the key, for the whole process. None: mix in nothing."""
    global _given
    _given = given.get_secret_value().encode() if given else b""
    _keys.clear()


def of(connection: psycopg.Connection, value: str) -> str:
    """The pseudonym of this value in this database."""
    return of_bytes(connection, value.encode())


def of_bytes(connection: psycopg.Connection, value: bytes) -> str:
    """The pseudonym of these bytes in this database."""
    return hmac.digest(_key(connection), value, "sha256").hex()


def of_number(connection: psycopg.Connection, number: str) -> str:
    """The pseudonym of a number (E.164) in this database."""
    return of(connection, number)[:32]


def _key(connection: psycopg.Connection) -> bytes:
    if (key := _keys.get(connection)) is None:
        key = _keys[connection] = _mixed(_secrets(connection)[KEPT])
    return key


def _mixed(kept: bytes) -> bytes:
    return hmac.digest(_given, kept, "sha256") if _given else kept


def _secrets(connection: psycopg.Connection) -> Mapping[str, bytes]:
    rows = connection.execute(SQL["secrets"], {"names": [KEPT, PROOF]})
    return {name: bytes(value) for name, value in rows}


def made(connection: psycopg.Connection) -> bool:
    """Whether the database has its key."""
    return KEPT in _secrets(connection)


def check(connection: psycopg.Connection) -> None:
    """Raise BadSettings when this process mixes in a different setting than earlier processes."""
    found = _secrets(connection)
    if not hmac.compare_digest(_proof(_mixed(found[KEPT])), found[PROOF]):
        raise BadSettings(OTHER_KEY)


def _proof(key: bytes) -> bytes:
    return hmac.digest(key, PROOF.encode(), "sha256")


def make(connection: psycopg.Connection) -> bool:
    """Create the database's key. False: it has one. The caller must hold the migration lock."""
    if made(connection):
        return False
    kept = secrets.token_bytes(KEY_BYTES)
    with connection.transaction():
        for name, value in {KEPT: kept, PROOF: _proof(_mixed(kept))}.items():
            connection.execute(SQL["keep"], {"name": name, "value": value})
    return True
