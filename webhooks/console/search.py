"""Search for texts: one field with qualifiers, kept in the address."""

from dataclasses import replace
from typing import Any

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from connector import text_query
from connector.store import text_search
from connector.store.text_search import MAX_SCANNED
from connector.text_query import BadQuery
from webhooks.console.page import Console
from webhooks.console.roles import Role, needs

ROWS = 50
QUALIFIERS = [
    ("ticket: case:", "the ticket’s id"),
    ("phone:", "+14155550132, until its retention ends"),
    ("chat:", "CCAI Platform’s chat id"),
    ("text:", "the number of a text"),
    ("state:", "received, queued, sending, sent, skipped, failed, unknown, cancelled"),
    ("rule: channel:", "the rule’s name; agent, trigger or batch"),
    ("agent:", 'the whole name or e-mail address, such as agent:"Ada Agent"'),
    ("code:", "a refusal’s code, such as non_us_number"),
    ("since: until:", "when it was requested, such as 2026-11-24 or 2026-11-24T16:00Z"),
    ("is:", "waiting, held, scheduled, refused, contradicted, not-written"),
]
FREQUENT = ("state:unknown", "state:failed", "is:held", "is:scheduled", "is:refused", "is:not-written")


def add(pages: Blueprint, console: Console) -> None:
    """Add the route."""

    @pages.get("/texts")
    @needs(Role.VIEW)
    def search() -> ResponseReturnValue:
        words = request.args.get("q", "").strip()
        shown: dict[str, Any] = {"q": words, "qualifiers": QUALIFIERS, "frequent": FREQUENT, "scanned": MAX_SCANNED}
        try:
            wanted = replace(text_query.parse(words), before=request.args.get("before", None, int))
        except BadQuery as problem:
            return console.page("console/search.html", status=422, rows=[], older=None, problem=f"{problem}.", **shown)
        with console.read() as connection:
            rows = text_search.find(connection, wanted, ROWS + 1)
        older = rows[ROWS - 1].id if len(rows) > ROWS else None
        return console.page("console/search.html", rows=rows[:ROWS], older=older, problem="", **shown)
