"""Find out whom scheduled texts are meant for, soon after they were asked for: an opt-out cancels them by the number.

The number only serves to find them. At its time, a text is decided by what its ticket says then.
"""

from collections.abc import Mapping, Sequence

import psycopg

from connector.crms import CRM_BATCH_SIZE, Crm
from connector.delivery import isolation
from connector.mapping.rules import Mapping as TicketMapping
from connector.model import Decision, Text, Ticket
from connector.store import pauses, texts

# Seconds between looks for scheduled texts whose number is not known.
LOOK_SECONDS = 3.0


class ScheduledNumbers:
    """The maintenance task that reads the numbers of scheduled texts. One per worker process."""

    def __init__(self, crms: Mapping[str, tuple[Crm, TicketMapping]]) -> None:
        self._crms = crms
        # Texts whose tickets were read and name no number that can be texted. They are not read again here.
        self._without: frozenset[int] = frozenset()

    def find(self, connection: psycopg.Connection) -> None:
        """Read the tickets of up to CRM_BATCH_SIZE such texts of each CRM. A paused CRM is left alone.

        Raises like Crm.read.
        """
        waiting = texts.scheduled_without_number(connection)
        self._without &= frozenset(waiting)
        paused = pauses.everything(connection).by_account
        unread = [text for text in waiting if text not in self._without]
        for name in self._crms.keys() - paused.keys():
            loaded = texts.load(connection, unread)
            mine = [text for text in loaded.values() if text.crm == name][:CRM_BATCH_SIZE]
            if mine:
                numbers = self._numbers(name, mine)
                texts.meant_for(connection, numbers)
                self._without |= {text.id for text in mine} - numbers.keys()

    def _numbers(self, name: str, asked: Sequence[Text]) -> dict[int, str]:
        """The numbers (E.164) that these texts would be sent to now."""
        crm, mapping = self._crms[name]
        tickets = isolation.read(crm, [text.ticket_id for text in asked])
        numbers = dict[int, str]()
        for text in asked:
            ticket = tickets.get(text.ticket_id)
            decision = mapping.decide(ticket, text.request) if isinstance(ticket, Ticket) else None
            if isinstance(decision, Decision):
                numbers[text.id] = decision.sms.end_user_number
        return numbers
