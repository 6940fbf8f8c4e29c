"""The person page: everything on one page, the same checksum as the command's, and erasure."""

import logging

import psycopg
import pytest
from werkzeug.test import TestResponse

from connector import person_record
from connector.model import TicketEvent
from connector.store import audit, events, person, pseudonyms, suppressions
from connector.store.audit import Action, Filter
from tests.support import evidence
from tests.support.evidence import MESSAGE, NUMBER, OTHER, case
from tests.webhooks.console.conftest import Browser, Operators
from webhooks.console.roles import Role

PERSON = "/person"
EVERYTHING = (Role.VIEW, Role.ACT, Role.READ_CONTENT)


def find(browser: Browser, **form: str) -> TestResponse:
    return browser.post("/person", **form)


def address(connection: psycopg.Connection, number: str = NUMBER) -> str:
    return f"{PERSON}?of={pseudonyms.of_number(connection, number)}"


def test_a_number_leads_to_a_page_whose_address_does_not_name_it(
    console: Operators, connection: psycopg.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    evidence.sent(connection, "a", case(1), 114)
    client = console.client(*EVERYTHING)

    with caplog.at_level(logging.DEBUG):
        answer = find(client, phone="+1 (415) 555-0132")
        page = client.get(address(connection)).text

    assert answer.location == f"/console{address(connection)}"
    assert NUMBER in page
    assert MESSAGE in page
    assert "Chat" in page
    assert NUMBER[2:] not in caplog.text


def test_the_page_has_the_checksum_of_the_command(console: Operators, connection: psycopg.Connection) -> None:
    evidence.sent(connection, "a", case(1), 114)
    record = person.record(connection, pseudonyms.of_number(connection, NUMBER))

    full = console.client(*EVERYTHING).get(address(connection)).text
    masked = console.client(Role.VIEW).get(address(connection)).text

    assert person_record.checksum(record) in full
    assert person_record.checksum(person_record.masked(record)) in masked
    assert "--masked" in masked


def test_a_viewer_sees_neither_number_nor_message_nor_the_erasure(
    console: Operators, connection: psycopg.Connection
) -> None:
    evidence.sent(connection, "a", case(1), 114)
    client = console.client(Role.VIEW)

    page = client.get(address(connection)).text

    assert NUMBER not in page
    assert MESSAGE not in page
    assert "0132" in page
    assert "person/erase" not in page
    form = {"of": pseudonyms.of_number(connection, NUMBER), "digits": "0132"}
    assert client.post("/person/erase", **form).status_code == 403


def test_a_ticket_leads_to_its_person_or_to_a_choice_or_to_itself(
    console: Operators, connection: psycopg.Connection
) -> None:
    evidence.sent(connection, "a", case(1), 114)
    evidence.sent(connection, "b", case(2), 115)
    evidence.sent(connection, "c", case(2), 116, OTHER)
    events.save(connection, [TicketEvent("salesforce", "d", case(3))])
    client = console.client(Role.VIEW)

    assert find(client, ticket=case(1)).location == f"/console{address(connection)}"
    assert find(client, ticket=case(1)[:15]).location == f"/console{address(connection)}"
    choice = find(client, ticket=case(2)).text
    assert address(connection) in choice
    assert address(connection, OTHER) in choice
    alone = find(client, ticket=case(3))
    assert f"Ticket salesforce {case(3)}" in client.client.get(alone.location).text


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"phone": "12"}, "country code"),
        ({"phone": "+14155550199"}, "Nothing is stored"),
        ({"ticket": "500000000000009AAA"}, "no text about this ticket"),
        ({"ticket": "nonsense"}, "no text about this ticket"),
        ({}, "Give a number or a ticket"),
    ],
)
def test_what_is_not_found_is_said(console: Operators, form: dict[str, str], words: str) -> None:
    client = console.client(Role.VIEW)

    answer = find(client, **form)

    assert answer.location == "/console/person"
    assert words in client.notice(answer)


def test_erasing_needs_the_last_digits_and_keeps_the_opt_out(
    console: Operators, connection: psycopg.Connection
) -> None:
    evidence.sent(connection, "a", case(1), 114)
    evidence.waiting(connection, "w", case(2))
    client, here = console.client(*EVERYTHING), address(connection)
    form = {"of": pseudonyms.of_number(connection, NUMBER)}
    assert "1 text that waits is cancelled" in client.get(here).text

    assert "Nothing was erased" in client.notice(client.post("/person/erase", digits="0133", **form))
    assert person.of_ticket(connection, "salesforce", case(1)) != []

    done = client.post("/person/erase", digits="0132", suppress="1", **form)
    assert "Erased: 2 texts and 2 events" in client.notice(done)
    assert person.of_ticket(connection, "salesforce", case(1)) == []
    assert suppressions.sources(connection, NUMBER) == ["person"]
    [entry] = audit.find(connection, Filter(what=Action.NUMBER_PURGE), 9)
    assert (entry.source, entry.after) == ("console", {"texts": 2, "events": 2, "suppressed": True})
    find(client, phone=NUMBER)
    assert "still to be entered" in client.get(here).text


def test_an_address_that_stands_for_nobody_is_an_empty_page(console: Operators) -> None:
    page = console.client(Role.VIEW).get(f"{PERSON}?of={'0' * 32}")

    assert page.status_code == 200
    assert "not kept any more" in page.text
