"""Signing in to the console with an API key, and signing out."""

from flask import Blueprint, current_app, redirect, request, url_for
from flask.typing import ResponseReturnValue

from connector.store import api_keys, audit, console_sessions
from connector.store.audit import Action, Actor, Source
from connector.store.console_sessions import Method
from webhooks import refusals
from webhooks.console.access import Access
from webhooks.console.page import Console, inside, viewer
from webhooks.console.roles import Role, needs, public

NOT_FOR_THE_CONSOLE = (
    "This key has no right to the console. Add one that has, with: connector keys add NAME --right view. "
    "Further rights of the console are act, content and keys."
)


def add(pages: Blueprint, console: Console, access: Access) -> None:
    """Add the routes."""

    @pages.get("/sign-in")
    @public
    def sign_in() -> ResponseReturnValue:
        return console.page("console/sign_in.html", to=inside(request.args.get("to", "")) or "", problem="")

    @pages.post("/sign-in")
    @public
    def submit_sign_in() -> ResponseReturnValue:
        access.count_sign_in()
        to = inside(request.form.get("to", "")) or url_for("console.overview")
        with console.read() as connection:
            key = api_keys.known(connection, request.form.get("key", "").strip())
            roles = frozenset(role for role in Role if key and role.value in key.rights)
            if key and roles:
                actor = Actor(f"key:{key.name}", Source.CONSOLE, request.remote_addr or "")
                audit.record(connection, actor, Action.SESSION_BEGIN, audit.named("key", key.name))
        if key and roles:
            return access.begin(key.name, Method.KEY, roles, to)
        refusals.log("a sign-in to the console was refused", key=key.name if key else "unknown")
        problem = NOT_FOR_THE_CONSOLE if key else "There is no such key. Nothing else is wrong."
        return console.page("console/sign_in.html", status=403, to=to, problem=problem)

    @pages.post("/sign-out")
    @needs(Role.VIEW)
    def sign_out() -> ResponseReturnValue:
        with console.read() as connection, connection.transaction():
            console_sessions.end(connection, viewer().session.id)
            audit.record(connection, viewer().actor, Action.SESSION_END, f"session {viewer().session.id}")
        return access.forget_cookie(
            current_app.make_response(redirect(url_for("console.sign_in", ended=viewer().session.method), 303))
        )
