"""connector worker --probe: whether a worker on this machine is alive, for service managers."""

import psycopg

from connector.cli.connection import connected
from connector.cli.output import say
from connector.store import leases


def probed() -> int:
    """Print the result; 0 when a worker on this machine was heard of lately, else 1. Raises BadSettings."""
    try:
        with connected() as connection:
            heard = leases.heard_here(connection)
    except psycopg.OperationalError:
        say("Whether a worker is alive is not known: the database does not answer.")
        return 1
    if heard.ago is None:
        say("No worker has run on this machine.")
        return 1
    ago = max(heard.ago, 0)
    if not heard.lately:
        say(f"No worker runs on this machine; one was last heard of {ago:.0f} seconds ago.")
        return 1
    say(f"A worker on this machine was heard of {ago:.0f} seconds ago.")
    return 0
