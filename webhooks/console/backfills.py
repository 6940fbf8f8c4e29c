"""Back-fills: plan one, look at it, run it with a canary, pause, cancel, and its report."""

import psycopg
from flask import Blueprint, Response, request, url_for
from flask.typing import ResponseReturnValue

from connector.backfill import id_file, operations, outcome_file, plans
from connector.backfill.limits import MAX_CANARY, MAX_COOLING_SECONDS
from connector.backfill.plans import ACTIVE, WAITING, PlanState
from connector.crms import Query
from connector.errors import ActionRefused, BadFile, NotThere
from connector.model import OUTCOMES, TextRequest
from webhooks.console.acting import attempt
from webhooks.console.page import Console, viewer
from webhooks.console.planning import Planning, PlanWanted
from webhooks.console.roles import Role, needs
from webhooks.problems import Problem

ROWS = 50
# The defaults of `connector backfill run`.
CANARY, COOLING, MAX_FAILED = 10, 60, 10
BEING_MADE = "The plan is being made: its state is planning until all its cases are read."
RUNNABLE = (PlanState.PLANNED, PlanState.PAUSED, PlanState.STOPPED)


def add(pages: Blueprint, console: Console) -> None:
    """Add the routes."""
    planning = Planning(console.pool, console.settings)
    _add_lists(pages, console, planning)
    _add_actions(pages, console)

    @pages.get("/back-fills/<plan>/outcomes.csv")
    @needs(Role.VIEW)
    def backfill_outcomes(plan: str) -> ResponseReturnValue:
        """The outcome of each case. Read as a whole: a slow reader then holds no connection of the database."""
        with console.read() as connection:
            _found(connection, plan)
            outcomes = "".join(outcome_file.csv_lines(connection, plan))
        headers = {"Content-Disposition": f'attachment; filename="back-fill-{plan}.csv"'}
        return Response(outcomes, content_type="text/csv; charset=utf-8", headers=headers)


def _add_lists(pages: Blueprint, console: Console, planning: Planning) -> None:
    @pages.get("/back-fills")
    @needs(Role.VIEW)
    def backfills() -> ResponseReturnValue:
        with console.read() as connection:
            found = plans.listed(connection, ROWS)
        rules = {crm_name: [rule.name for rule in mapping.file.rules] for crm_name, mapping in console.mappings.items()}
        return console.page("console/backfills.html", plans=found, rules=rules)

    @pages.post("/back-fills")
    @needs(Role.ACT)
    def plan_backfill() -> ResponseReturnValue:
        """Make a plan, in the background."""
        crm = request.form.get("crm", "")
        text_request = TextRequest(
            rule=request.form.get("rule") or None, reason_name=request.form.get("reason", "").strip() or None
        )
        try:
            source, left_out = _source()
        except BadFile as error:
            return console.refused(f"The ids cannot be read: {error}. No plan was made.")
        if crm not in console.mappings or not source:
            return console.refused("Give a condition, or ids, for a CRM that has a mapping. No plan was made.")
        one_each = request.form.get("each_case") != "1"
        wanted = PlanWanted(viewer().session.id, viewer().actor, crm, source, text_request, one_each)
        begun = planning.begin(wanted, lambda: console.done(f"{BEING_MADE} {left_out}".rstrip()))
        if begun is None:
            return console.refused("Another plan is being made. Try again when it is in the list.")
        return begun

    @pages.get("/back-fills/<plan>")
    @needs(Role.VIEW)
    def backfill(plan: str) -> ResponseReturnValue:
        with console.read() as connection:
            found = _found(connection, plan)
            tally, held = plans.tally(connection, plan), plans.held(connection, plan)
        return console.page(
            "console/backfill.html",
            plan=found,
            tally=tally,
            held=held,
            total=sum(tally.values()),
            over=sum(tally.get(state, 0) for state in OUTCOMES),
            runnable=found.state in RUNNABLE,
            active=found.state in ACTIVE,
            cancellable=found.state in ACTIVE + WAITING,
            defaults=_defaults(found),
        )


def _add_actions(pages: Blueprint, console: Console) -> None:
    @pages.post("/back-fills/<plan>/run")
    @needs(Role.ACT)
    def run_backfill(plan: str) -> ResponseReturnValue:
        def run(connection: psycopg.Connection) -> str:
            found = _found(connection, plan)
            canary = _number("canary", MAX_CANARY)
            failed, cooling = _number("max_failed", 100) / 100, _number("cooling", MAX_COOLING_SECONDS)
            if not operations.start(connection, plan, viewer().actor, int(canary), failed, cooling):
                raise ActionRefused(f"plan {plan}", f"is {found.state}: it cannot be run")
            return f"Plan {plan} runs. It stops by itself when too many of its texts fail."

        return attempt(console, run)

    @pages.post("/back-fills/<plan>/halt")
    @needs(Role.ACT)
    def halt_backfill(plan: str) -> ResponseReturnValue:
        """Pause or cancel it, as the pressed button says."""

        def halt(connection: psycopg.Connection) -> str:
            to = PlanState.CANCELLED if request.form.get("to") == "cancelled" else PlanState.PAUSED
            found = _found(connection, plan)
            taken_back = operations.halt(connection, plan, viewer().actor, to, operations.BY_OPERATOR)
            if taken_back is None:
                raise ActionRefused(f"plan {plan}", f"is {found.state}: nothing was changed")
            return f"Plan {plan} is {to}. Unsent texts that went back to it: {taken_back:,}."

        return attempt(console, halt, url_for("console.backfill", plan=plan))


def _found(connection: psycopg.Connection, plan: str) -> plans.Plan:
    """The plan. Raises Problem 404."""
    try:
        return plans.found(connection, plan)
    except NotThere:
        raise Problem(404, f"There is no plan {plan}.") from None


def _defaults(plan: plans.Plan) -> dict[str, float]:
    """What the form that runs a plan begins with: what it was run with, where it was."""
    if plan.state is PlanState.PLANNED:
        return {"canary": CANARY, "cooling": COOLING, "max_failed": MAX_FAILED}
    return {"canary": plan.canary, "cooling": plan.cooling, "max_failed": round(plan.max_failed * 100, 2)}


def _source() -> tuple[Query | list[str] | None, str]:
    """The condition or the ids of the form, and which rows have no id. None: neither or both. Raises BadFile."""
    where, ids = request.form.get("where", "").strip(), request.form.get("ids", "")
    if bool(where) is bool(ids.strip()):
        return None, ""
    if where:
        return Query(where=where), ""
    found = id_file.read(ids.encode())  # as typed: the lines are counted from the first
    return found.ids, found.left_out("the ids")


def _number(name: str, max_value: float) -> float:
    """A number of the form, from 0 to `max_value`. Raises ActionRefused."""
    try:
        value = float(request.form.get(name, ""))
    except ValueError:
        value = -1
    if not 0 <= value <= max_value:
        raise ActionRefused(
            "the plan", f"was not run: expected a number from 0 to {max_value:g} for {name.replace('_', ' ')}"
        )
    return value
