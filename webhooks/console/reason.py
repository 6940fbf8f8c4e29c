"""The reason page: everything that asked for the same text, and what it would take to send another."""

from flask import Blueprint, abort
from flask.typing import ResponseReturnValue

from connector.mapping.rules import Mapping as TicketMapping
from connector.store import reason_view
from connector.store.reason_view import ReasonView
from webhooks.console.page import Console
from webhooks.console.roles import Role, needs


def add(pages: Blueprint, console: Console) -> None:
    """Add the route."""

    @pages.get("/texts/<int:text>/reason")
    @needs(Role.VIEW)
    def reason(text: int) -> ResponseReturnValue:
        with console.read() as connection:
            view = reason_view.of(connection, text)
        if view is None:
            abort(404, f"There is no text {text}.")
        mapping = console.mappings.get(view.crm)
        return console.page(
            "console/reason.html",
            view=view,
            once_per=_once_per(mapping, view),
            may_override=mapping is not None and "reason" in mapping.file.policy.agents_may_override,
            most=reason_view.MAX_ROWS,
        )


def _once_per(mapping: TicketMapping | None, view: ReasonView) -> list[str]:
    """Return the fields whose values make the reason; empty: the mapping has no such rule any more."""
    rules = mapping.file.rules if mapping else []
    return next((rule.once_per for rule in rules if rule.name == view.rule), [])
