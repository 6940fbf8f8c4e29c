"""Opt-outs that customers write in their chats."""

from datetime import datetime

import psycopg

from connector.store import queries, recipients

SQL = queries.load(__file__)

# The words that CCAI Platform obeys, as a whole message.
STOP_WORDS = frozenset({"STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT"})


def heard(connection: psycopg.Connection, chat_id: str, words: str, said_at: datetime) -> None:
    """Act on what the customer of this chat wrote. Safe to call twice."""
    if words.strip().upper() not in STOP_WORDS:
        return
    for (number,) in connection.execute(SQL["numbers"], {"chat": chat_id}).fetchall():
        recipients.suppress(connection, number, f"wrote STOP at {said_at:%Y-%m-%d %H:%M} UTC", "the customer")
