"""The audit trail: what people did, and changes of settings and mappings at start."""

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from connector import typed_times
from connector.store import audit
from connector.store.audit import Action, Filter
from webhooks.console.page import Console
from webhooks.console.roles import Role, needs

ROWS = 100


def add(pages: Blueprint, console: Console) -> None:
    """Add the route."""

    @pages.get("/audit")
    @needs(Role.VIEW)
    def audit_trail() -> ResponseReturnValue:
        chosen = {name: request.args.get(name, "").strip() for name in ("who", "what", "about", "since", "until")}
        given = {name: value or None for name, value in chosen.items() if name in ("who", "what", "about")}
        try:
            since = typed_times.parse(chosen["since"]) if chosen["since"] else None
            until = typed_times.parse(chosen["until"], ends=True) if chosen["until"] else None
        except ValueError as error:
            problem = f"Since and until: {error}."
            return _page(console, chosen, [], problem, status=422)
        below = request.args.get("below", None, int)
        with console.read() as connection:
            entries = audit.find(connection, Filter(since=since, until=until, below=below, **given), ROWS + 1)
        return _page(console, chosen, entries, "")


def _page(
    console: Console, chosen: dict[str, str], entries: list[audit.Entry], problem: str, status: int = 200
) -> ResponseReturnValue:
    return console.page(
        "console/audit.html",
        status=status,
        chosen=chosen,
        entries=entries[:ROWS],
        older=entries[ROWS - 1].id if len(entries) > ROWS else None,
        actions=[action.value for action in Action],
        problem=problem,
    )
