"""connector worker --probe: whether a worker on this machine is alive, for service managers."""

import psycopg

from connector.cli.connection import connected
from connector.cli.output import say
from connector.store import workers
from connector.store.leases import SILENT_SECONDS


def probed() -> int:
    """Print the result; 0 when a worker on this machine was heard of lately, else 1. Raises BadSettings."""
    try:
        with connected() as connection:
            silence = workers.silence(connection)
    except psycopg.OperationalError:
        say("Whether a worker is alive is not known: the database does not answer.")
        return 1
    if silence is None:
        say("No worker runs on this machine.")
        return 1
    if silence > SILENT_SECONDS:
        say(f"No worker on this machine has been heard of for {silence:.0f} seconds.")
        return 1
    say(f"A worker on this machine was heard of {max(silence, 0):.0f} seconds ago.")
    return 0
