"""API keys and open sessions of the console."""

import re

import psycopg
from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from connector.errors import ActionRefused
from connector.store import actions, api_keys, audit, console_sessions
from connector.store.api_keys import Right
from connector.store.audit import Action
from webhooks.console.acting import attempt
from webhooks.console.page import Console, viewer
from webhooks.console.roles import Role, needs

NAME = re.compile(r"[\w.:@ -]{1,100}")
PER_MINUTE = 600
WORDS = {
    Right.PREVIEW: "API: preview a text",
    Right.SEND: "API: send and cancel texts, open the agents’ page",
    Right.READ: "API: read texts",
    Right.SUPPRESS: "API: the suppression list",
    Right.VIEW: "Console: look at everything, numbers and messages masked",
    Right.ACT: "Console: change something",
    Right.CONTENT: "Console: see messages and full numbers",
    Right.KEYS: "Console: manage keys and sessions",
}


def add(pages: Blueprint, console: Console) -> None:
    """Add the routes."""

    @pages.get("/keys")
    @needs(Role.MANAGE_KEYS)
    def keys() -> ResponseReturnValue:
        return _page(console)

    @pages.post("/keys")
    @needs(Role.MANAGE_KEYS)
    def add_key() -> ResponseReturnValue:
        """Add a key and show it, this once: on this page and in no address."""
        name = request.form.get("name", "").strip()
        try:
            rights = [Right(right) for right in dict.fromkeys(request.form.getlist("right"))]
        except ValueError:
            return console.refused("There is no such right. No key was added.")
        if not NAME.fullmatch(name) or not rights:
            return console.refused(
                "A key needs a name of at most 100 letters, digits, blanks or .:@-_ and at least one right."
            )
        with console.read() as connection:
            key = actions.add_key(connection, name, rights, PER_MINUTE, viewer().actor)
        if key is None:
            return console.refused(f"There is a key called {name} already. Revoke it first, or take another name.")
        return _page(console, new=(name, key))

    @pages.post("/keys/revoke")
    @needs(Role.MANAGE_KEYS)
    def revoke_key() -> ResponseReturnValue:
        def revoke(connection: psycopg.Connection) -> str:
            name = request.form.get("name", "")
            if not actions.revoke_key(connection, name, viewer().actor):
                raise ActionRefused(f"key {name}", "does not exist: nothing was changed")
            return f"Key {name} is revoked. Its sessions and its bulk actions have ended."

        return attempt(console, revoke)

    @pages.post("/sessions/<int:session>/end")
    @needs(Role.MANAGE_KEYS)
    def end_session(session: int) -> ResponseReturnValue:
        def end(connection: psycopg.Connection) -> str:
            with connection.transaction():
                who = console_sessions.end(connection, session)
                if who is None:
                    raise ActionRefused(f"session {session}", "has ended before")
                after = {"session_of": who}
                audit.record(connection, viewer().actor, Action.SESSION_END, f"session {session}", after=after)
            return f"The session of {who} has ended."

        return attempt(console, end)


def _page(console: Console, new: tuple[str, str] | None = None) -> ResponseReturnValue:
    with console.read() as connection:
        keys, sessions = api_keys.listed(connection), console_sessions.listed(connection)
    return console.page("console/keys.html", keys=keys, sessions=sessions, words=WORDS, new=new)
