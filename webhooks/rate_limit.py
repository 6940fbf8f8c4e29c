"""Rate limits: requests per minute and caller, counted across all web processes and routes."""

import psycopg

from connector.store import api_keys
from webhooks.problems import Problem


def count(connection: psycopg.Connection, caller: str, per_minute: int) -> None:
    """Count a request of this caller. Raises Problem 429 beyond `per_minute`."""
    used, seconds = api_keys.use(connection, caller)
    if used > per_minute:
        left = int(seconds) + 1
        raise Problem(
            429, f"{per_minute} requests a minute are allowed; try again in {left} seconds", {"Retry-After": str(left)}
        )
