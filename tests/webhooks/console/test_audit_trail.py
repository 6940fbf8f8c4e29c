"""The audit trail in the console."""

import re

import psycopg
import pytest

from connector.store import audit
from connector.store.audit import Action, Actor, Source
from tests.webhooks.console.conftest import Operators
from webhooks.console.roles import Role

MAYA = Actor("maya", Source.CLI, "host")


def abouts(page: str) -> list[str]:
    return re.findall(r'<td data-label="About"[^>]*><a [^>]*>([^<]*)</a>', page)


def test_entries_are_filtered_and_paged(console: Operators, connection: psycopg.Connection) -> None:
    for text in range(1, 103):
        audit.record(connection, MAYA, Action.TEXT_CANCEL, audit.text(text), why="wrong words")
    browser = console.client(Role.VIEW)

    page = browser.get("/audit?who=maya").text

    assert abouts(page) == [f"text {text}" for text in range(102, 2, -1)]
    assert "wrong words" in page
    older = re.search(r'href="(/console/audit\?[^"]*below=\d+[^"]*)"', page)
    assert older
    assert abouts(browser.client.get(older[1].replace("&amp;", "&")).text) == ["text 2", "text 1"]
    assert abouts(browser.get("/audit?about=text 17").text) == ["text 17"]
    assert abouts(browser.get("/audit?what=key.add").text) == []
    assert abouts(browser.get("/audit?until=2026-01-01").text) == []


@pytest.mark.parametrize("day", ["yesterday", "2026-13-01", "9999-12-31"])
def test_a_day_that_is_none_is_explained(console: Operators, day: str) -> None:
    answer = console.client(Role.VIEW).get(f"/audit?until={day}")

    assert answer.status_code == 422
    assert "expected a date or a time" in answer.text
