"""The CRM's checkboxes of opt-outs and invalid numbers, written by the real adapter to the sandbox's org."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from psycopg_pool import ConnectionPool

from connector import settings
from connector.crms import Crm
from connector.delivery import crm_opt_outs, record_fields
from connector.mapping import loader
from connector.mapping.rules import Mapping
from connector.model import FieldKind
from connector.sandbox import Sandbox
from connector.sandbox.crms.salesforce import schema
from connector.store import circuit_breaker, opt_outs, pauses, suppressions
from connector.store import record_fields as store
from connector.store.pauses import Scope
from connector.store.suppressions import FieldSays
from tests.fixtures import salesforce

NUMBER = "+14155550132"
NOON = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
FILE = loader.load(settings.Settings(_env_file=None).mappings_dir / "salesforce.toml")
MAPPING = Mapping(FILE, "+16285550199", ["US"])
Run = Callable[[], None]


@pytest.fixture(scope="module")
def box() -> Iterator[Sandbox]:
    with Sandbox(port=0).running() as box:
        yield box


@pytest.fixture
def crm(box: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[Crm]:
    with salesforce.connected(box, monkeypatch, FILE) as crm:
        yield crm
    box.faults.clear()


@pytest.fixture
def connection(pool: ConnectionPool) -> Iterator[psycopg.Connection]:
    with pool.connection() as connection:
        yield connection


@pytest.fixture
def write(crm: Crm, connection: psycopg.Connection) -> Run:
    """Run the maintenance task once, with everything due."""
    task = record_fields.writer({"salesforce": (crm, MAPPING)})

    def run() -> None:
        connection.execute("update record_fields set due_at = now()")
        task(connection)

    return run


@pytest.fixture
def ticket(box: Sandbox, connection: psycopg.Connection) -> str:
    """A case whose customer was texted, in chat 114."""
    [ticket] = salesforce.new_tickets(box, 1)
    sms = f'{{"end_user_number": "{NUMBER}"}}'
    connection.execute(
        """with e as (insert into events (crm, event_id, channel, ticket_id) values ('salesforce', 'e', 'trigger', %s)
                      returning id)
           insert into texts (event, crm, ticket_id, channel, state, sms, chat)
           select id, 'salesforce', %s, 'trigger', 'sent', %s, '{"id": 114, "status": ""}' from e""",
        [ticket, ticket, sms],
    )
    return ticket


def heard(connection: psycopg.Connection, words: str, minutes: int = 0) -> None:
    opt_outs.heard(connection, "114", words, NOON + timedelta(minutes=minutes))


def set_contact(box: Sandbox, ticket: str, value: bool) -> None:
    org = box.salesforce
    org.store.update(
        schema.OBJECTS["Contact"], org.case(ticket)["ContactId"], {"CCAIP_SMS_Opt_Out__c": value}, org.human_user_id
    )


def pending(connection: psycopg.Connection) -> int:
    [(count,)] = connection.execute("select count(*) from record_fields where version > written").fetchall()
    return int(count)


def test_an_opt_out_sets_the_contacts_field_and_an_opt_in_clears_it(
    box: Sandbox, connection: psycopg.Connection, ticket: str, write: Run
) -> None:
    heard(connection, "STOP")
    write()
    assert salesforce.opted_out(box, ticket)

    heard(connection, "START", 1)
    write()
    assert not salesforce.opted_out(box, ticket)

    calls = salesforce.calls(box)
    write()
    assert (salesforce.calls(box), pending(connection)) == (calls, 0)


def test_a_field_that_was_set_before_stays_set(
    box: Sandbox, connection: psycopg.Connection, ticket: str, write: Run
) -> None:
    set_contact(box, ticket, True)
    heard(connection, "STOP")
    write()

    heard(connection, "START", 1)
    write()

    assert salesforce.opted_out(box, ticket)
    assert pending(connection) == 0


@pytest.mark.parametrize("written_between", [False, True])
def test_an_opt_in_before_the_field_was_written_leaves_it_as_it_was(
    box: Sandbox, connection: psycopg.Connection, ticket: str, write: Run, written_between: bool
) -> None:
    for minute, words in enumerate(("STOP", "START", "STOP", "START")):
        heard(connection, words, minute)
        if written_between:
            write()
    write()
    assert not salesforce.opted_out(box, ticket)
    assert pending(connection) == 0


def test_an_opt_out_survives_an_outage_of_the_crm(
    box: Sandbox, connection: psycopg.Connection, ticket: str, write: Run
) -> None:
    box.faults.add("status", side="salesforce", status=503, times=50)
    heard(connection, "STOP")
    write()
    assert not salesforce.opted_out(box, ticket)
    assert not any(store.refused(connection).values())
    write()
    box.faults.clear()

    write()

    assert salesforce.opted_out(box, ticket)


def test_a_worker_that_is_killed_leaves_the_field_to_another(
    box: Sandbox, connection: psycopg.Connection, ticket: str, write: Run
) -> None:
    heard(connection, "STOP")
    store.claim(connection, "salesforce", FieldKind.OPT_OUT, 10)  # and it was killed
    write()
    assert not salesforce.opted_out(box, ticket), "it may still be writing"
    connection.execute("update record_fields set claim_until = now() - interval '1 second'")

    write()

    assert salesforce.opted_out(box, ticket)


def test_a_locked_contact_is_written_later(
    box: Sandbox, connection: psycopg.Connection, ticket: str, write: Run
) -> None:
    box.faults.add("lock_row", side="salesforce", record_id=box.salesforce.case(ticket)["ContactId"])
    heard(connection, "STOP")
    write()
    assert (salesforce.opted_out(box, ticket), pending(connection)) == (False, 1)
    write()
    assert (salesforce.opted_out(box, ticket), pending(connection)) == (True, 0)


def test_a_case_without_a_contact_needs_no_more_attempts(
    box: Sandbox, connection: psycopg.Connection, ticket: str, write: Run
) -> None:
    salesforce.without_customer(box, ticket)
    heard(connection, "STOP")
    write()
    assert pending(connection) == 0
    assert not any(store.refused(connection).values())
    assert suppressions.sources(connection, NUMBER) == ["word"]


def test_a_paused_crm_is_left_alone(box: Sandbox, connection: psycopg.Connection, ticket: str, write: Run) -> None:
    circuit_breaker.pause(connection, "salesforce", "slow down", 600)
    heard(connection, "STOP")
    calls = salesforce.calls(box)
    write()
    assert (salesforce.calls(box), pending(connection)) == (calls, 1)


def test_a_crm_that_an_operator_has_paused_is_left_alone(
    box: Sandbox, connection: psycopg.Connection, ticket: str, write: Run
) -> None:
    pauses.pause(connection, Scope.ACCOUNT, "salesforce", "maintenance", "Ana")
    heard(connection, "STOP")
    calls = salesforce.calls(box)
    write()
    assert (salesforce.calls(box), pending(connection)) == (calls, 1)


def test_two_cases_of_one_contact_are_written_together(
    box: Sandbox, connection: psycopg.Connection, ticket: str, write: Run
) -> None:
    """Salesforce refuses a call that names a record twice."""
    [other] = salesforce.new_tickets(box, 1)
    box.salesforce.edit(other, {"ContactId": box.salesforce.case(ticket)["ContactId"]})
    for one in (ticket, other):
        store.opt_out(connection, "salesforce", one, NUMBER)
    write()
    assert (salesforce.opted_out(box, ticket), pending(connection)) == (True, 0)


def test_the_crms_own_entry_is_lifted_once_its_ticket_no_longer_says_so(
    box: Sandbox, crm: Crm, connection: psycopg.Connection, ticket: str
) -> None:
    follow = crm_opt_outs.follower({"salesforce": (crm, MAPPING)})
    set_contact(box, ticket, True)
    suppressions.follow(connection, [FieldSays(NUMBER, "salesforce", ticket, True)])
    for opted_out in (True, False):
        set_contact(box, ticket, opted_out)
        connection.execute("update suppressions set checked_at = now() - interval '2 hours'")
        follow(connection)
        assert suppressions.sources(connection, NUMBER) == (["crm"] if opted_out else [])


# Numbers that cannot be texted.


def text_of(connection: psycopg.Connection, ticket: str, number: str = NUMBER) -> int:
    """A text of this ticket, for this number."""
    [(text,)] = connection.execute(
        """with e as (insert into events (crm, event_id, channel, ticket_id)
                      select 'salesforce', gen_random_uuid()::text, 'trigger', %s returning id)
           insert into texts (event, crm, ticket_id, channel, number)
           select id, 'salesforce', %s, 'trigger', %s from e returning id""",
        [ticket, ticket, number],
    ).fetchall()
    return int(text)


def case_beside(box: Sandbox, ticket: str) -> str:
    """Another case of the same contact."""
    [other] = salesforce.new_tickets(box, 1)
    box.salesforce.edit(other, {"ContactId": box.salesforce.case(ticket)["ContactId"]})
    return other


def mark_by_hand(box: Sandbox, ticket: str) -> None:
    org = box.salesforce
    contact = org.case(ticket)["ContactId"]
    org.store.update(schema.OBJECTS["Contact"], contact, {"CCAIP_Phone_Invalid__c": True}, org.human_user_id)


def test_an_invalid_number_is_marked_on_the_contact_until_a_text_is_sent(
    box: Sandbox, connection: psycopg.Connection, ticket: str, write: Run
) -> None:
    store.number_invalid(connection, [text_of(connection, ticket)])
    write()
    assert (salesforce.phone_invalid(box, ticket), salesforce.opted_out(box, ticket)) == (True, False)

    store.number_valid(connection, [text_of(connection, ticket, "+14155550188")])
    write()
    assert (salesforce.phone_invalid(box, ticket), pending(connection)) == (False, 0)


def test_a_text_for_another_case_of_the_contact_clears_the_mark_too(
    box: Sandbox, connection: psycopg.Connection, ticket: str, write: Run
) -> None:
    """The corrected number is first texted for a new case, whose field the worker finds set."""
    store.number_invalid(connection, [text_of(connection, ticket)])
    write()
    newer = case_beside(box, ticket)
    store.found_set(connection, [("salesforce", newer)])
    store.number_valid(connection, [text_of(connection, newer, "+14155550188")])

    write()

    assert (salesforce.phone_invalid(box, ticket), pending(connection)) == (False, 0)
    mark_by_hand(box, ticket)
    for case in (ticket, newer):
        store.found_set(connection, [("salesforce", case)])
        store.number_valid(connection, [text_of(connection, case, "+14155550188")])
        write()
    assert salesforce.phone_invalid(box, ticket), "a person has set it since"


def test_a_mark_that_a_person_has_set_stays(
    box: Sandbox, connection: psycopg.Connection, ticket: str, write: Run
) -> None:
    mark_by_hand(box, ticket)
    store.found_set(connection, [("salesforce", ticket)])
    store.number_invalid(connection, [text_of(connection, ticket)])
    write()

    store.number_valid(connection, [text_of(connection, ticket, "+14155550188")])
    write()

    assert (salesforce.phone_invalid(box, ticket), pending(connection)) == (True, 0)


def test_a_mark_that_the_crm_refuses_is_counted_and_written_later(
    box: Sandbox, connection: psycopg.Connection, ticket: str, write: Run
) -> None:
    body = [{"errorCode": "INVALID_FIELD_FOR_INSERT_UPDATE", "message": "no"}]
    box.faults.add("status", side="salesforce", route="update", status=400, body=body)
    store.number_invalid(connection, [text_of(connection, ticket)])
    write()
    assert store.refused(connection) == {FieldKind.OPT_OUT: 0, FieldKind.PHONE_INVALID: 1}

    write()

    assert salesforce.phone_invalid(box, ticket)
    assert not any(store.refused(connection).values())
