"""Links to the hosted page: the signing secret that all web processes share, and the links that were used."""

import secrets

import psycopg

from connector.store import queries

SQL = queries.load(__file__)
PAGE = "page"
SECRET_BYTES = 32


def secret(connection: psycopg.Connection) -> bytes:
    """The secret that signs links and sessions. Created on first use."""
    asked = {"name": PAGE}
    row = connection.execute(SQL["secret"], asked).fetchone()
    if row is None:
        connection.execute(SQL["make_secret"], asked | {"value": secrets.token_bytes(SECRET_BYTES)})
        [row] = connection.execute(SQL["secret"], asked).fetchall()
    return bytes(row[0])


def use(connection: psycopg.Connection, link: str, until: float) -> bool:
    """Mark the link as used. `until`: its expiry, in seconds after the epoch. False: it was used before."""
    return bool(connection.execute(SQL["use"], {"id": link, "until": until}).rowcount)
