"""Keys and sessions in the console."""

import re

import psycopg
import pytest

from connector.store import api_keys, audit, bulk_actions, console_sessions
from connector.store.audit import Filter
from tests.webhooks.console.conftest import Operators
from tests.webhooks.console.test_bulk import start, waiting
from webhooks.console.roles import Role


def test_a_new_key_is_shown_once_and_works(console: Operators, connection: psycopg.Connection) -> None:
    browser = console.client(Role.VIEW, Role.MANAGE_KEYS)

    page = browser.post("/keys", name="maya", right=["view", "act"]).text

    shown = re.search(r"<code>(ccaisms_[^<]+)</code>", page)
    assert shown
    key = api_keys.known(connection, shown[1])
    assert key
    assert (key.name, list(key.rights)) == ("maya", ["view", "act"])
    assert shown[1] not in browser.get("/keys").text
    [entry] = audit.find(connection, Filter(what="key.add"), 9)
    assert (entry.who, entry.about) == (f"key:{browser.name}", "key maya")


@pytest.mark.parametrize(
    ("name", "rights", "words"),
    [
        ("", ["view"], "needs a name"),
        ("a" * 101, ["view"], "needs a name"),
        ("<b>", ["view"], "needs a name"),
        ("maya", [], "at least one right"),
        ("maya", ["everything"], "no such right"),
    ],
)
def test_a_wrong_key_is_refused_with_words(
    console: Operators, connection: psycopg.Connection, name: str, rights: list[str], words: str
) -> None:
    browser = console.client(Role.VIEW, Role.MANAGE_KEYS)

    assert words in browser.notice(browser.post("/keys", name=name, right=rights))

    assert [key.name for key in api_keys.listed(connection)] == [browser.name]


def test_a_name_is_taken_once(console: Operators) -> None:
    browser = console.client(Role.VIEW, Role.MANAGE_KEYS)

    assert "is a key called" in browser.notice(browser.post("/keys", name=browser.name, right=["view"]))


def test_a_revoked_key_has_no_session_left(console: Operators, connection: psycopg.Connection) -> None:
    other, browser = console.client(Role.VIEW), console.client(Role.VIEW, Role.MANAGE_KEYS)

    assert "is revoked" in browser.notice(browser.post("/keys/revoke", name=other.name))

    assert other.get("/texts").status_code == 303
    assert [session.who for session in console_sessions.listed(connection)] == [browser.name]
    assert "does not exist" in browser.notice(browser.post("/keys/revoke", name=other.name))


def test_a_revoked_key_has_no_bulk_action_left(console: Operators, connection: psycopg.Connection) -> None:
    """Each is stopped by whoever revoked the key; another key's bulk action goes on."""
    other, browser = console.client(Role.VIEW, Role.ACT), console.client(Role.VIEW, Role.ACT, Role.MANAGE_KEYS)
    waiting(connection, 3)
    for starter in (other, browser):
        start(starter, starter.post("/bulk/confirm", action="cancel", q="state:received", all="1"))

    browser.post("/keys/revoke", name=other.name)

    revoked, revoker = f"key:{other.name}", f"key:{browser.name}"
    found = {one.who: (one.state, one.stopped_by) for one in bulk_actions.find(connection, 10)}
    assert found == {revoked: ("stopped", revoker), revoker: ("running", "")}
    assert [entry.who for entry in audit.find(connection, Filter(what="bulk.stop"), 9)] == [revoker]


def test_a_session_is_ended_by_somebody_else(console: Operators, connection: psycopg.Connection) -> None:
    other, browser = console.client(Role.VIEW), console.client(Role.VIEW, Role.MANAGE_KEYS)
    [session] = [one for one in console_sessions.listed(connection) if one.who == other.name]

    assert f"session of {other.name} has ended" in browser.notice(browser.post(f"/sessions/{session.id}/end"))

    assert other.get("/texts").status_code == 303
    assert browser.get("/texts").status_code == 200
    [entry] = audit.find(connection, Filter(what="session.end"), 9)
    assert entry.about == f"session {session.id}"
