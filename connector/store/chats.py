"""The newest status of each chat."""

from datetime import datetime
from typing import Literal

import psycopg

from connector.store import queries

SQL = queries.load(__file__)


def observe(
    connection: psycopg.Connection,
    chat_id: str,
    status: str,
    at: datetime,
    source: Literal["webhook", "list", "response"],
    ended: bool,
) -> None:
    """Record that the chat had this status then, unless a newer one is known. A chat that has ended stays so."""
    wanted = {"chat": chat_id, "status": status, "at": at, "source": source, "ended": ended}
    connection.execute(SQL["observe"], wanted)
