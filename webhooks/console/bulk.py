"""Bulk actions: a person sees what one would act upon, confirms it, and watches or stops it while a worker does it."""

import psycopg
from flask import Blueprint, request, url_for
from flask.typing import ResponseReturnValue

from connector import text_query
from connector.errors import ActionRefused, MoreThanConfirmed
from connector.store import bulk_actions, text_search
from connector.store.bulk_actions import MAX_TEXTS, BulkKind, BulkRequest, BulkState
from connector.text_query import BadQuery
from webhooks.console.acting import attempt, reason
from webhooks.console.page import Console, live, viewer
from webhooks.console.roles import Role, needs
from webhooks.problems import Problem

ROWS = 50
# The first texts, shown for the confirmation; and the most that can be selected one by one.
FIRST, MAX_SELECTED = 10, 1_000
LABELS = {
    BulkKind.CANCEL: "Cancel",
    BulkKind.WRITE_BACK: "Write back again",
    BulkKind.SEND_AGAIN: "Send again",
    BulkKind.SUPPRESS: "Suppress the numbers",
}
# What each does to a text, for the person who confirms it.
EFFECTS = {
    BulkKind.CANCEL: "Each text that has not been sent is cancelled, and its ticket is notified. Others do not change.",
    BulkKind.WRITE_BACK: "Each outcome is written to its ticket again, unless the ticket shows a newer text.",
    BulkKind.SEND_AGAIN: "For each text that failed, a new one is asked for, with your reason, behind the texts of "
    "people and triggers. Opt-outs, the window and all other checks apply to it; none is overridden.",
    BulkKind.SUPPRESS: "Each text’s number goes on the suppression list, and is not texted again, whatever a ticket "
    "says.",
}


def add(pages: Blueprint, console: Console) -> None:
    """Add the routes."""

    @pages.context_processor
    def choices() -> dict[str, object]:
        """For the form beside search results."""
        return {"bulk_actions": [(kind.value, label) for kind, label in LABELS.items()]}

    @pages.get("/bulk")
    @needs(Role.VIEW)
    def bulk_list() -> ResponseReturnValue:
        with console.read() as connection:
            rows = bulk_actions.find(connection, ROWS + 1, request.args.get("before", None, int))
        older = rows[ROWS - 1].id if len(rows) > ROWS else None
        return console.page("console/bulk_list.html", rows=rows[:ROWS], older=older, labels=LABELS)

    @pages.get("/bulk/<int:bulk>")
    @needs(Role.VIEW)
    def bulk(bulk: int) -> ResponseReturnValue:
        with console.read() as connection:
            found = bulk_actions.one(connection, bulk)
            refusals = bulk_actions.refusals(connection, bulk)
        if found is None:
            raise Problem(404, f"There is no bulk action {bulk}.")
        return console.page(
            "console/bulk.html",
            bulk=found,
            refusals=refusals,
            label=LABELS[BulkKind(found.action)],
            is_live=found.state == BulkState.RUNNING or live(),  # a page that was open gets the end, too
        )

    @pages.post("/bulk/<int:bulk>/stop")
    @needs(Role.ACT)
    def stop_bulk(bulk: int) -> ResponseReturnValue:
        def stop(connection: psycopg.Connection) -> str:
            bulk_actions.stop(connection, bulk, viewer().actor)
            return "Stopped: nothing more is begun."

        return attempt(console, stop)

    _add_start(pages, console)


def _add_start(pages: Blueprint, console: Console) -> None:
    def confirm(problem: str) -> ResponseReturnValue:
        try:
            return _confirm(console, problem)
        except ActionRefused as error:
            return console.refused(str(error))

    @pages.post("/bulk/confirm")
    @needs(Role.ACT)
    def bulk_confirm() -> ResponseReturnValue:
        """Show what a bulk action would act upon. Changes nothing."""
        return confirm("")

    @pages.post("/bulk/start")
    @needs(Role.ACT)
    def bulk_start() -> ResponseReturnValue:
        """Start it on as many texts as were shown; on more, show it again."""
        confirmed = request.form.get("count", 0, int)
        try:
            wanted = _request(reason())
            with console.read() as connection:
                bulk = bulk_actions.start(connection, wanted, viewer().actor, confirmed)
        except MoreThanConfirmed as error:
            return confirm(f"Nothing was started: {error}.")
        except ActionRefused as error:
            return console.refused(str(error))
        return console.done(f"Started. {EFFECTS[wanted.action]}", url_for("console.bulk", bulk=bulk))


def _confirm(console: Console, problem: str) -> ResponseReturnValue:
    wanted = _request(request.form.get("why", "").strip())
    with console.read() as connection:
        if wanted.ids is None:
            search = wanted.search or text_search.Search()
            count = text_search.count(connection, search, MAX_TEXTS + 1)
            first = text_search.find(connection, search, FIRST)
        else:
            first = text_search.of(connection, wanted.ids, MAX_SELECTED)
            count, first = len(first), first[:FIRST]
    if count > MAX_TEXTS:
        raise ActionRefused("the search", f"finds more than {MAX_TEXTS:,} texts: narrow it. Nothing was done")
    if not count:
        raise ActionRefused("the search", "finds no text. Nothing was done")
    return console.page(
        "console/bulk_confirm.html",
        status=409 if problem else 200,
        wanted=wanted,
        label=LABELS[wanted.action],
        effect=EFFECTS[wanted.action],
        count=count,
        first=first,
        problem=problem,
        back=request.form.get("back", ""),
    )


def _request(why: str) -> BulkRequest:
    """What the form asks for. Raises ActionRefused."""
    try:
        action = BulkKind(request.form.get("action", ""))
    except ValueError:
        raise ActionRefused("this action", "is not done in bulk. Nothing was done") from None
    words = request.form.get("q", "").strip()
    try:
        search = text_query.parse(words) if words else None
    except BadQuery as problem:
        raise ActionRefused("the search", f"cannot be read: {problem}") from None
    if request.form.get("all"):
        if search is None:
            raise ActionRefused("this", "needs a search: all texts at once cannot be meant. Nothing was done")
        return BulkRequest(action, why, words, search)
    return BulkRequest(action, why, words, search, _selected())


def _selected() -> list[int]:
    typed = request.form.getlist("id")
    if not typed:
        raise ActionRefused("this", "needs a text: select one or more. Nothing was done")
    if len(typed) > MAX_SELECTED or not all(one.isascii() and one.isdecimal() and len(one) < 19 for one in typed):
        raise ActionRefused("this", f"needs at most {MAX_SELECTED:,} texts, by their numbers. Nothing was done")
    return sorted({int(one) for one in typed})
