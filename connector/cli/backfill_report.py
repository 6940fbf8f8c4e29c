"""Reports about back-fills: what a plan found, its state, and the outcome of each case.

Exit status: 0 all done, 1 some failed or are unknown, 2 refused, stopped, cancelled or paused.
"""

import shutil
import sys
import textwrap
from collections.abc import Iterator, Mapping

import click
import psycopg

from connector import harmless
from connector.backfill import plans
from connector.backfill.plans import Plan, PlanState
from connector.cli import output
from connector.model import OUTCOMES


def in_words(plan: Plan) -> Iterator[str]:
    """Summarize what a plan found, as lines of text."""
    report = plan.report or {}
    yield f"Plan {plan.id}: {output.count(report['cases'], 'case')}, {output.count(report['texts'], 'text')}."
    if plan.reason:
        yield _hanging("  reason: ", plan.reason)
    if report["texts"]:
        yield f"  {output.count(report['segments'], 'segment')}, {duration(report['seconds'])}"
        if budget := report["daily_budget"]:
            yield (
                f"  takes {output.count(budget['days'], 'day')} with the daily budget of {budget['limit']:,} "
                f"{budget['unit']}, of which batches may use {budget['for_batches']:,}"
            )
        yield f"  about {report['calls']:,} calls of the CRM"
    if report["held"]:
        yield f"  {report['held']:,} would be held now, until the hours open"
    if report["twice"]:
        once = "came more than once and counts" if report["twice"] == 1 else "came more than once and count"
        yield f"  {output.count(report['twice'], 'id')} {once} once"
    if report["skipped"]:
        yield "Not texted:"
        for one in report["skipped"]:
            yield _hanging(f"  {one['cases']:>7,}  ", one["why"])
            yield _hanging(" " * 11, f"such as {', '.join(one['examples'])}")
    if report["first"]:
        yield "The first messages:"
        for one in report["first"]:
            yield _hanging(f"  {one['to']}  ", one["message"])


def _hanging(start: str, words: str) -> str:
    """Wrap words to the terminal's width beside `start`. Keep one line when there is no terminal."""
    words = harmless.on_screen(words)
    if not sys.stdout.isatty():
        return start + words
    width = shutil.get_terminal_size().columns
    return textwrap.fill(words, width, initial_indent=start, subsequent_indent=" " * len(start))


def duration(seconds: int | None) -> str:
    """ "about 1 h 3 min 20 s" """
    if seconds is None:
        return "as fast as it goes: no limit is set"
    hours, rest = divmod(max(seconds, 1), 3600)
    minutes, seconds = divmod(rest, 60)
    parts = [(hours, "h"), (minutes, "min"), (seconds, "s")]
    return "about " + " ".join(f"{number} {unit}" for number, unit in parts if number)


def _identity(plan: Plan) -> dict[str, str]:
    """Return what names a plan in JSON; `reason` only where it has its own."""
    return {"plan": plan.id, "crm": plan.crm} | ({"reason": plan.reason} if plan.reason else {})


def show_plan(connection: psycopg.Connection, name: str, as_json: bool) -> None:
    """Print what a plan found and the command that runs it."""
    plan = plans.found(connection, name)
    if as_json:
        output.print_json({**_identity(plan), "state": plan.state, **(plan.report or {})})
        return
    for line in in_words(plan):
        click.echo(line)  # in_words has already escaped and wrapped foreign text
    if (plan.report or {}).get("texts"):
        output.say()
        output.say(f"Nothing was sent. To send: connector backfill run {plan.id}")
    else:
        output.say()
        output.say("There is nothing to send.")


def show_plans(connection: psycopg.Connection, most: int, as_json: bool) -> int:
    """Print the newest plans."""
    found = plans.listed(connection, most)
    if as_json:
        output.print_json(
            [{**_identity(plan), "state": plan.state, "why": plan.why, "made_at": plan.made_at} for plan in found]
        )
    else:
        output.print_table(
            ["plan", "crm", "state", "texts", "made (UTC)", "reason", "why"],
            [
                [one.id, one.crm, one.state, (one.report or {}).get("texts"), one.made_at, one.reason, one.why]
                for one in found
            ],
        )
    return 0


def status(connection: psycopg.Connection, name: str, as_json: bool, err: bool = False) -> int:
    """Print a plan's state and progress, and return the exit status. `err`: print on standard error."""
    plan, tally = plans.found(connection, name), plans.tally(connection, name)
    if as_json:
        output.print_json(
            {
                **_identity(plan),
                "state": plan.state,
                "why": plan.why,
                "cases": tally,
            }
        )
    else:
        reason = f" ({plan.reason})" if plan.reason else ""
        output.say(f"Plan {plan.id}{reason} is {plan.state}{f': {plan.why}' if plan.why else ''}.", err=err)
        output.say(f"  {line(tally)}", err=err)
        for hint in hints(plan):
            output.say(hint, err=err)
    return exit_status(plan, tally)


def exit_status(plan: Plan, tally: Mapping[str, int]) -> int:
    if plan.state in (PlanState.STOPPED, PlanState.CANCELLED, PlanState.PAUSED):
        return 2
    return 1 if any(tally.get(state) for state in plans.FAILURES) else 0


def line(tally: Mapping[str, int]) -> str:
    """ "812 of 2,000 cases: 800 sent, 9 skipped, 3 failed; 40 under way, 1,148 waiting" """
    over = {state.value: tally.get(state, 0) for state in OUTCOMES}
    total, done, to_come = sum(tally.values()), sum(over.values()), tally.get(plans.TO_COME, 0)
    left = {"under way": total - done - to_come, plans.TO_COME: to_come}
    parts = "; ".join(filter(None, (_counts(over), _counts(left)))) or "there is nothing to send"
    return f"{done:,} of {output.count(total, 'case')}: {parts}"


def _counts(counted: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counted.items() if count)


def hints(plan: Plan) -> Iterator[str]:
    """The commands that apply to the plan in its present state."""
    if plan.state is PlanState.PLANNED:
        yield f"Nothing was sent. To send: connector backfill run {plan.id}"
    if plan.state in (PlanState.PAUSED, PlanState.STOPPED):
        yield f"To go on: connector backfill run {plan.id}"
    if plan.state in (PlanState.PLANNING, PlanState.PAUSED, PlanState.STOPPED):
        yield f"To give it up: connector backfill cancel {plan.id}"
    if plan.state is PlanState.DONE:
        yield f"Case by case: connector backfill report {plan.id} --csv FILE"
