"""Wherever a person names a ticket: it is found by its id of 15 or 18 characters, or told why not."""

import json

import psycopg
import pytest

from connector.crms.salesforce import ids
from connector.errors import Unreadable
from connector.model import TicketEvent
from connector.store import events
from tests.support.command import connector
from webhooks.crms import salesforce

CASE = "500000000000001AAA"
NO_ID = ["00001026", "5003", "case 1", "500000000000001AAB", "500000000000001aaa", "(none)", CASE + "A"]


@pytest.fixture
def one(url: str) -> str:
    """A database with text 1, about the case."""
    with psycopg.connect(url, autocommit=True) as connection:
        events.save(connection, [TicketEvent("salesforce", "e1", CASE)])
    return url


@pytest.mark.parametrize("typed", [CASE, CASE[:15], f" {CASE} "])
def test_the_texts_of_a_ticket_are_found_by_both_forms_of_its_id(one: str, typed: str) -> None:
    done = connector("texts", "list", "--ticket", typed, "--json", CONNECTOR_DATABASE_URL=one)
    assert (done.returncode, [text["ticket_id"] for text in json.loads(done.stdout)]) == (0, [CASE])


@pytest.mark.parametrize("typed", NO_ID)
def test_what_is_no_id_of_a_ticket_is_told(one: str, typed: str) -> None:
    done = connector("texts", "list", "--ticket", typed, CONNECTOR_DATABASE_URL=one)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"There is no such text about ticket {typed}: this is " in done.stderr
    with pytest.raises(Unreadable, match="no id of a Salesforce record"):
        salesforce.ticket_id(typed)


def test_a_ticket_without_texts_is_told_and_json_stays_pure(one: str) -> None:
    other = ids.long("500000000000002")
    done = connector("texts", "list", "--ticket", other, "--json", CONNECTOR_DATABASE_URL=one)
    assert (done.returncode, json.loads(done.stdout)) == (1, [])
    assert done.stderr.endswith(f"There is no such text about ticket {other}.\n")


def test_a_case_number_is_told_from_an_id() -> None:
    assert ids.problem("00001026") == ids.A_NUMBER


@pytest.mark.parametrize("command", [["show"], ["cancel"], ["resolve", "--not-sent"], ["give-up", "--why", "x"]])
@pytest.mark.parametrize("typed", ["00000001", CASE, "0", "9" * 30, "1.0", "٣"])
def test_a_ticket_in_place_of_a_text_changes_nothing(one: str, command: list[str], typed: str) -> None:
    """Case 00000001 is not text 1."""
    done = connector("texts", *command, typed, CONNECTOR_DATABASE_URL=one)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"connector texts list --ticket {typed}" in done.stderr
