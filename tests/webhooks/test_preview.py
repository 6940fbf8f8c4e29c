"""Previews by themselves: when the ticket is read anew."""

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from psycopg_pool import ConnectionPool

from connector.errors import NotThere
from connector.model import TextRequest, Ticket
from connector.preview import WHILE_TYPING, Previews
from tests.support.remote import Tickets, as_crm
from tests.unit.test_mapping_rules import TICKET_ID, VALUES, mapping

NOON = datetime(2026, 3, 4, 18, tzinfo=UTC)


class Counted(Tickets):
    """Notes what is read. A ticket whose values are empty is gone."""

    def __init__(self) -> None:
        super().__init__(VALUES)
        self.asked: list[str] = []

    def read(self, ids: Sequence[str]) -> dict[str, Ticket]:
        self.asked += ids
        return super().read(ids) if self.values else {}


def test_while_somebody_types_the_ticket_is_read_now_and_then(pool: ConnectionPool) -> None:
    tickets, at = Counted(), [0.0]
    previews = Previews({"salesforce": (as_crm(tickets), mapping())}, monotonic=lambda: at[0])

    def look(message: str, typing: bool = True, ticket: str = TICKET_ID) -> str:
        found = previews.preview(pool.connection, "salesforce", ticket, TextRequest(message=message), typing)
        assert found.sms
        return found.sms.message

    assert [look("a"), look("ab"), look("abc")] == ["a", "ab", "abc"]
    assert tickets.asked == [TICKET_ID]
    look("another", ticket="other")
    assert tickets.asked == [TICKET_ID, "other"]
    look("abc", typing=False)
    assert tickets.asked[2:] == [TICKET_ID], "who sends, or asks the API, sees it as it is"
    at[0] += WHILE_TYPING
    look("abcd")
    assert len(tickets.asked) == 3
    at[0] += 1
    tickets.values = {}
    with pytest.raises(NotThere):
        look("abcde")
