"""Find out whom scheduled texts are meant for, soon after they were asked for: an opt-out cancels them by the number.

The number only serves to find them. At its time, a text is decided by what its ticket says then.
"""

from collections.abc import Callable, Mapping, Sequence

import psycopg

from connector.crms import CRM_BATCH_SIZE, Crm
from connector.delivery import isolation
from connector.mapping.rules import Mapping as TicketMapping
from connector.model import Decision, Text, Ticket
from connector.store import pauses, texts

# Seconds between looks for scheduled texts whose number is not known, and seconds after which the ticket of one is read
# again that named no number.
LOOK_SECONDS, AGAIN_SECONDS = 3.0, 3600.0


def finder(crms: Mapping[str, tuple[Crm, TicketMapping]]) -> Callable[[psycopg.Connection], None]:
    """Return the maintenance task that reads the numbers of scheduled texts: CRM_BATCH_SIZE of each CRM at a time.

    A paused CRM is left alone. The task raises like Crm.read.
    """

    def find(connection: psycopg.Connection) -> None:
        paused = pauses.everything(connection).by_account
        for name, (crm, mapping) in crms.items():
            if name in paused:
                continue
            waiting = texts.scheduled_without_number(connection, name, AGAIN_SECONDS, CRM_BATCH_SIZE)
            if waiting:
                numbers = _numbers(crm, mapping, list(texts.load(connection, waiting).values()))
                texts.meant_for(connection, numbers)
                texts.no_number_found(connection, set(waiting) - numbers.keys())

    return find


def _numbers(crm: Crm, mapping: TicketMapping, asked: Sequence[Text]) -> dict[int, str]:
    """The numbers (E.164) that these texts would be sent to now."""
    tickets = isolation.read(crm, [text.ticket_id for text in asked])
    numbers = dict[int, str]()
    for text in asked:
        ticket = tickets.get(text.ticket_id)
        decision = mapping.decide(ticket, text.request) if isinstance(ticket, Ticket) else None
        if isinstance(decision, Decision):
            numbers[text.id] = decision.sms.end_user_number
    return numbers
