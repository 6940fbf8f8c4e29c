"""The overview: whether texts are sent, and what needs a person."""

from flask import Blueprint
from flask.typing import ResponseReturnValue

from connector.store import leases, pauses
from webhooks.console.page import Console
from webhooks.console.roles import Role, needs


def add(pages: Blueprint, console: Console) -> None:
    """Add the route."""

    @pages.get("/")
    @needs(Role.VIEW)
    def overview() -> ResponseReturnValue:
        with console.read() as connection:
            found, heard = pauses.current(connection), leases.heard(connection)
        return console.page("console/overview.html", pauses=found, heard=heard)
