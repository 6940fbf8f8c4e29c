"""Read the tickets of many texts in one call, and decide by the mapping what to text for each."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from connector.crms import Crm
from connector.delivery import isolation
from connector.errors import CallFailed
from connector.mapping.rules import Mapping as TicketMapping
from connector.model import Decision, Skip, Text

# The connector's writes to each text's ticket, by text.
OwnWrites = Mapping[int, Sequence[Mapping[str, Any]]]
DELETED = "the ticket does not exist, or the connector's user cannot see it"
OWN_CHANGE = "the change was the connector's own"


def may_be_newer(decision: object) -> bool:
    """Whether a newer mapping might send this text: no rule of this one matches, or its rules ask for no text."""
    return isinstance(decision, Skip) and decision.check in ("rule", "mapping")


def decider(
    crm: Crm, mapping: TicketMapping, own_writes: Callable[[Sequence[int]], OwnWrites]
) -> Callable[[Sequence[Text]], list[Decision | Skip | CallFailed]]:
    """A function that reads the tickets of many texts in one call and maps each. Raises errors that affect all."""

    def decide(texts: Sequence[Text]) -> list[Decision | Skip | CallFailed]:
        own = {text.id for text in texts if crm.is_own(text.changed_by)}
        tickets = isolation.read(crm, [text.ticket_id for text in texts if text.id not in own])
        # Read after the tickets, so that a write that a ticket already shows is included.
        again = [text.id for text in texts if text.accepted]
        writes = own_writes(again) if again else {}

        def decide_one(text: Text) -> Decision | Skip | CallFailed:
            ticket = tickets.get(text.ticket_id)
            if text.id in own:
                return Skip(OWN_CHANGE, notify=False)
            if isinstance(ticket, CallFailed):
                return ticket
            if ticket is None:
                return Skip(DELETED, notify=False)
            if text.accepted and not text.request:
                return mapping.decide_again(ticket, text.accepted, writes[text.id])
            return mapping.decide(ticket, text.request)

        return [decide_one(text) for text in texts]

    return decide
