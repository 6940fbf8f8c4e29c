"""A chat's status reaches its ticket: in batches, with a share of the calls, and never in the place of an outcome."""

from collections.abc import Iterator
from dataclasses import replace
from typing import cast

import psycopg
import pytest
from psycopg_pool import ConnectionPool

from connector.crms import Crm
from connector.delivery.backpressure import Backpressure
from connector.delivery.chat_write_back import ChatWriteBack
from connector.errors import RefusalScope, Refused, Unavailable
from connector.mapping.rules import Mapping as TicketMapping
from connector.store import circuit_breaker, pauses
from connector.store.pauses import Scope
from tests.delivery.test_final_truth import MAPPING, TICKET, VALIDATION, Org
from tests.store.test_chats import due, hear, sent, tell, told

FIELD = "CCAIP_Chat_Status__c"


class CountedOrg(Org):
    """An org that reports this share of its calls of the day as used."""

    used: float | None = None

    def usage(self, newest: float | None = None) -> float | None:
        return self.used


@pytest.fixture
def connection(pool: ConnectionPool) -> Iterator[psycopg.Connection]:
    with pool.connection() as connection:
        yield connection


@pytest.fixture
def org() -> CountedOrg:
    return CountedOrg()


def write(connection: psycopg.Connection, org: CountedOrg, mapping: TicketMapping = MAPPING) -> None:
    """Write all that is to be written, whatever pause it is in."""
    due(connection, 99_999)
    ChatWriteBack({"salesforce": (cast(Crm, org), mapping)}, Backpressure(100), 0.7).write(connection)


def test_statuses_that_wait_are_written_in_one_call(connection: psycopg.Connection, org: CountedOrg) -> None:
    for number in range(5):
        told(connection, f"e{number}", 200 + number, f"50000000000000{number}AAA")
        hear(connection, "assigned", chat=200 + number)
    write(connection, org)
    assert [len(call) for call in org.calls] == [5]
    assert list(org.tickets.values()) == [{FIELD: "assigned"}] * 5
    write(connection, org)
    assert len(org.calls) == 1


def test_words_for_people_are_written_and_not_again_if_they_are_the_same(
    connection: psycopg.Connection, org: CountedOrg
) -> None:
    words = {"selecting": "Waiting", "queued": "Waiting"}
    mapping = replace(MAPPING, file=MAPPING.file.model_copy(update={"chat_status": words}))
    told(connection)
    for second, status in enumerate(("queued", "selecting", "on_a_break")):
        hear(connection, status, second)
        write(connection, org, mapping)
    assert [org.tickets[TICKET], len(org.calls)] == [{FIELD: "on_a_break"}, 2]


def test_an_org_that_is_down_gets_the_last_status_when_it_is_back(
    connection: psycopg.Connection, org: CountedOrg
) -> None:
    told(connection)
    hear(connection, "assigned")
    org.broken = Unavailable("no answer")
    write(connection, org)
    hear(connection, "finished", 2, ended=True)
    write(connection, org)
    assert org.tickets == {}
    org.broken = None
    write(connection, org)
    assert org.tickets[TICKET] == {FIELD: "finished"}


def test_a_refused_status_is_tried_again_and_spoils_no_other(connection: psycopg.Connection, org: CountedOrg) -> None:
    for number in range(3):
        told(connection, f"e{number}", 200 + number, f"50000000000000{number}AAA")
        hear(connection, "assigned", chat=200 + number)
    org.refuse = lambda ticket, _: VALIDATION if "1AAA" in ticket else None
    write(connection, org)
    assert len(org.tickets) == 2
    org.refuse = lambda *_: None
    write(connection, org)
    assert len(org.tickets) == 3


def test_a_ticket_that_is_gone_is_not_written_again(connection: psycopg.Connection, org: CountedOrg) -> None:
    told(connection)
    hear(connection, "assigned")
    org.refuse = lambda *_: Refused("ENTITY_IS_DELETED", RefusalScope.GONE)
    write(connection, org)
    hear(connection, "finished", 2)
    write(connection, org)
    assert len(org.calls) == 1


@pytest.mark.parametrize(("used", "calls"), [(None, 1), (0.69, 1), (0.7, 0), (0.9, 0)])
def test_statuses_stop_before_batches_when_the_calls_run_short(
    connection: psycopg.Connection, org: CountedOrg, used: float | None, calls: int
) -> None:
    told(connection)
    hear(connection, "assigned")
    org.used = used
    write(connection, org)
    assert len(org.calls) == calls


def test_nothing_is_written_while_the_org_is_paused(connection: psycopg.Connection, org: CountedOrg) -> None:
    told(connection)
    hear(connection, "assigned")
    circuit_breaker.pause(connection, "salesforce", "maintenance", 60)
    write(connection, org)
    assert org.calls == []


def test_nothing_is_written_while_an_operator_has_paused_the_org(
    connection: psycopg.Connection, org: CountedOrg
) -> None:
    told(connection)
    hear(connection, "assigned")
    pauses.pause(connection, Scope.ACCOUNT, "salesforce", "maintenance", "Ana")
    write(connection, org)
    assert org.calls == []
    pauses.resume(connection, Scope.ACCOUNT, "salesforce")
    pauses.pause(connection, Scope.ALL, "", "a wrong message", "Ana")
    write(connection, org)
    assert org.tickets[TICKET] == {FIELD: "assigned"}, "only sending is paused"


def test_a_status_that_lands_after_a_newer_outcome_is_followed_by_that_outcome(
    connection: psycopg.Connection, pool: ConnectionPool, org: CountedOrg
) -> None:
    told(connection)
    hear(connection, "assigned")
    newer = []

    def meanwhile() -> None:
        with pool.connection() as other:
            newer.append(sent(other, "newer", 115))
            tell(other, newer[0])

    org.before = meanwhile
    write(connection, org)
    again = connection.execute("select id from texts where outcome > written").fetchall()
    assert again == [(newer[0],)]


def test_a_mapping_that_follows_no_chat_writes_none(connection: psycopg.Connection, org: CountedOrg) -> None:
    told(connection)
    hear(connection, "assigned")
    without = MAPPING.file.write_back.model_copy(update={"chat": None})
    write(connection, org, replace(MAPPING, file=MAPPING.file.model_copy(update={"write_back": without})))
    assert org.calls == []
