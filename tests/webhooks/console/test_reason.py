"""The reason page names all that asked for the same text, and the way to another one."""

import psycopg
import pytest

from connector.store import text_views
from tests.support import evidence
from tests.support.evidence import case
from tests.webhooks.console.conftest import Operators
from webhooks.console.roles import Role


def shown(console: Operators, text: int) -> str:
    page = console.client(Role.VIEW).get(f"/texts/{text}/reason")
    assert page.status_code == 200
    return page.text


def test_the_page_shows_each_request_and_what_its_ticket_was_told(
    console: Operators, connection: psycopg.Connection
) -> None:
    first = evidence.sent(connection, "first", case(1), 114)
    again = evidence.repeated(connection, first, "again", case(2))

    page = shown(console, again)

    assert "holds the reason" in page
    assert "skipped for <a" in page
    assert case(1) in page
    assert case(2) in page
    assert "event first" in page
    assert "not yet; it will show" in page
    assert "The reason is used" in page
    assert "a new value of" in page
    assert "backfill … --reason" in page


@pytest.mark.parametrize("settled", [False, True])
def test_the_page_says_what_another_text_takes(
    console: Operators, connection: psycopg.Connection, settled: bool
) -> None:
    text = evidence.unknown(connection, "a", case(1))
    if settled:
        text_views.resolve(connection, text, None)

    page = shown(console, text)

    assert ("no text holds the reason" in page) is settled
    assert (f'href="/console/unknowns/{text}"' in page) is not settled


def test_a_text_that_is_not_there_is_not_found(console: Operators) -> None:
    assert console.client(Role.VIEW).get("/texts/999/reason").status_code == 404
