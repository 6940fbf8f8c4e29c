"""How often somebody may ask: counted by the minute, for all web processes together, whichever channel they come to."""

import psycopg

from connector.store import api_keys
from webhooks.problems import Problem


def count(connection: psycopg.Connection, caller: str, per_minute: int) -> None:
    """One request of this caller. Raises Problem 429 once there were too many in this minute."""
    used, seconds = api_keys.use(connection, caller)
    if used > per_minute:
        left = int(seconds) + 1
        raise Problem(
            429, f"{per_minute} requests a minute are allowed; try again in {left} seconds", {"Retry-After": str(left)}
        )
