"""What one worker at a time does every now and then: house-keeping, probing, looking for chats.

Kept in the database, so that it happens as often with ten workers as with one, and goes on when one of them dies.
"""

from datetime import datetime

import psycopg

from connector import sql

SQL = sql.load("duty")


def take(connection: psycopg.Connection, name: str, every: float) -> bool:
    """Whether it is our turn now. Then the next turn, anybody's, comes in `every` seconds."""
    return connection.execute(SQL["take"], {"name": name, "seconds": every}).fetchone() is not None


def put_off(connection: psycopg.Connection, name: str, seconds: float) -> None:
    """The next turn comes in so many seconds."""
    connection.execute(SQL["put_off"], {"name": name, "seconds": seconds})


def cursor(connection: psycopg.Connection, name: str) -> datetime | None:
    """How far this duty has come; None at its first turn."""
    row = connection.execute(SQL["cursor"], {"name": name}).fetchone()
    return row[0] if row else None


def move_cursor(connection: psycopg.Connection, name: str, to: datetime) -> None:
    """Note how far it has come."""
    connection.execute(SQL["move_cursor"], {"name": name, "cursor": to})
