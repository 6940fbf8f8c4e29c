"""Opt-outs: messages to decide, what to enter on the platform's list, what the CRM refuses, the suppression list."""

import psycopg
from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from connector import phone
from connector.errors import ActionRefused
from connector.model import FieldKind
from connector.store import actions, opt_outs, pseudonyms, record_fields, suppressions
from connector.store.suppressions import Suppressed
from webhooks.console.acting import attempt, reason
from webhooks.console.page import Console, viewer
from webhooks.console.roles import Role, needs

# The rows of each list.
ROWS = 100
KINDS = {FieldKind.OPT_OUT: "opt-out", FieldKind.PHONE_INVALID: "mark of an invalid number"}


def add(pages: Blueprint, console: Console) -> None:
    """Add the routes."""

    @pages.get("/opt-outs", endpoint="opt_outs")
    @needs(Role.VIEW)
    def show_opt_outs() -> ResponseReturnValue:
        with console.read() as connection:
            reviews, to_enter = opt_outs.reviews(connection, ROWS, pending=True), _to_enter(connection)
            suppressed = suppressions.suppressed(connection, ROWS)
            refusals = record_fields.refusals(connection, ROWS)
        return console.page(
            "console/opt_outs.html",
            reviews=reviews,
            to_enter=to_enter,
            refusals=refusals,
            kinds=KINDS,
            suppressed=suppressed,
            rows=ROWS,
        )

    @pages.post("/opt-outs/<int:review>/decide")
    @needs(Role.ACT)
    def decide_opt_out(review: int) -> ResponseReturnValue:
        def decide(connection: psycopg.Connection) -> str:
            opt_out = _decision()
            actions.decide_opt_out(connection, review, viewer().actor, opt_out, reason())
            if opt_out:
                return "Opt-out: the number is on the suppression list, and its waiting texts are cancelled."
            return "No opt-out: the texts that waited for the decision are decided again."

        return attempt(console, decide)

    @pages.post("/opt-outs/entered")
    @needs(Role.ACT)
    def opt_out_entered() -> ResponseReturnValue:
        def enter(connection: psycopg.Connection) -> str:
            entry = _to_enter(connection).get(request.form.get("entry", ""))
            number = entry.number if entry else None
            actions.record_entered(connection, number, viewer().actor)
            return f"{phone.mask(number or '', shown=4)} is recorded as entered on CCAI Platform’s list."

        return attempt(console, enter)


def _to_enter(connection: psycopg.Connection) -> dict[str, Suppressed]:
    """The entries to enter on the platform's own list, by the keyed hash of their number: pages name none in full."""
    entries = suppressions.suppressed(connection, ROWS, to_enter=True)
    return {pseudonyms.of_number(connection, entry.number): entry for entry in entries}


def _decision() -> bool:
    """Whether the form decides for an opt-out. Raises ActionRefused without a decision."""
    match request.form.get("decision"):
        case "opt_out":
            return True
        case "not":
            return False
    raise ActionRefused("this message", "needs a decision: choose whether it is an opt-out. Nothing was done")
