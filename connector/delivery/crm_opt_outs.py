"""Follow the opt-outs that the CRM's own field has made: lift them once their tickets no longer say so."""

from collections.abc import Callable, Mapping, Sequence

import psycopg

from connector.crms import CRM_BATCH_SIZE, Crm
from connector.delivery import isolation
from connector.errors import CallFailed
from connector.mapping.rules import Mapping as TicketMapping
from connector.model import Ticket
from connector.store import pauses, suppressions
from connector.store.suppressions import FieldSays

# Seconds between looks at the CRM's own opt-outs, and seconds after which each is compared with its ticket.
FOLLOW_SECONDS, RECHECK_SECONDS = 300.0, 3600.0


def follower(crms: Mapping[str, tuple[Crm, TicketMapping]]) -> Callable[[psycopg.Connection], None]:
    """Return the maintenance task that lifts the CRM's own opt-outs. A paused CRM is left alone."""

    def follow(connection: psycopg.Connection) -> None:
        paused = pauses.everything(connection).by_account
        entries = suppressions.take_unchecked(connection, RECHECK_SECONDS, CRM_BATCH_SIZE)
        for name, (crm, mapping) in crms.items():
            mine = [(number, ticket) for number, owner, ticket in entries if owner == name]
            if mine and mapping.file.policy.opt_out and name not in paused:
                found = isolation.read(crm, [ticket for _, ticket in mine])
                suppressions.follow(connection, _says(name, mapping, mine, found))

    return follow


def _says(
    name: str,
    mapping: TicketMapping,
    entries: Sequence[tuple[str, str]],
    found: Mapping[str, Ticket | CallFailed],
) -> list[FieldSays]:
    """Return what the tickets say that could be read. A ticket that is gone lifts nothing."""
    return [
        FieldSays(number, name, ticket_id, mapping.opted_out(ticket))
        for number, ticket_id in entries
        if isinstance(ticket := found.get(ticket_id), Ticket)
    ]
