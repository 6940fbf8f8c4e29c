"""The search for texts in the console."""

import re

import psycopg
import pytest

from connector.model import Skip, TicketEvent
from connector.store import events, texts
from connector.transitions import skipped
from tests.webhooks.console.conftest import Operators
from webhooks.console.roles import Role


def skipped_texts(connection: psycopg.Connection, count: int) -> None:
    """So many texts, of which the first is skipped."""
    events.save(connection, [TicketEvent("salesforce", f"e{n}", f"case{n}") for n in range(count)])
    texts.move(connection, [skipped(1, Skip("the customer opted out"))])


def found(page: str) -> list[int]:
    return [int(text) for text in re.findall(r'<tr data-row>.*?<a href="[^"]*">(\d+)</a>', page, re.DOTALL)]


def test_a_search_is_kept_in_the_address_and_says_why(console: Operators, connection: psycopg.Connection) -> None:
    skipped_texts(connection, 3)
    browser = console.client(Role.VIEW)

    assert found(browser.get("/texts").text) == [3, 2, 1]
    page = browser.get("/texts?q=state:skipped").text
    assert found(page) == [1]
    assert "the customer opted out" in page
    assert 'value="state:skipped"' in page


def test_older_texts_are_on_the_next_page(console: Operators, connection: psycopg.Connection) -> None:
    skipped_texts(connection, 53)
    browser = console.client(Role.VIEW)
    first = browser.get("/texts").text
    older = re.search(r'href="(/console/texts\?[^"]*before=\d+)"', first)
    assert older

    assert found(first) == list(range(53, 3, -1))
    assert found(browser.client.get(older[1].replace("&amp;", "&")).text) == [3, 2, 1]


@pytest.mark.parametrize("words", ["stat:failed", "state:nice", "phone:12", "<script>alert(1)</script>"])
def test_words_that_mean_nothing_are_explained(console: Operators, words: str) -> None:
    answer = console.client(Role.VIEW).get("/texts", query_string={"q": words})

    assert answer.status_code == 422
    assert "expected" in answer.text
    assert "<script>alert" not in answer.text
