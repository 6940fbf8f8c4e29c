"""Requests for CCAI Platform's list of chats: all workers together make one at a time, at the list's own rate."""

import time

import psycopg

from connector.ccaip import chats
from connector.store import leases

NAME = "list of chats"
CHECK_SECONDS = 0.1


def turn(connection: psycopg.Connection) -> None:
    """Return when this worker may make the next request."""
    while not leases.take(connection, NAME, chats.REQUEST_SECONDS):
        time.sleep(CHECK_SECONDS)
