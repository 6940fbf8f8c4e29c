"""connector backfill: plan, run, watch and report."""

import sys
from typing import IO, NoReturn

import click

from connector.backfill.limits import MAX_CANARY, MAX_COOLING_SECONDS
from connector.cli.backfill_plan import plan_command
from connector.cli.connection import connected
from connector.cli.finite_range import FiniteRange
from connector.cli.output import JSON, say
from connector.errors import ActionRefused, CallFailed, NotThere


class Backfill(click.Group):
    """Add a planning command for each CRM to the subcommands: connector backfill salesforce."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*_crms(), *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        return plan_command(name) if name in _crms() else super().get_command(ctx, name)

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except (NotThere, CallFailed, ActionRefused) as error:
            _refuse(str(error))


def _refuse(why: str, *hints: str) -> NoReturn:
    for line in (f"Error: {why}", *hints):
        say(line, err=True)
    sys.exit(2)


def _crms() -> list[str]:
    from connector import crms

    return crms.known()


@click.group(cls=Backfill)
def backfill() -> None:
    """Text the customers of many existing tickets: plan, look at the plan, run it.

    \b
    connector backfill salesforce --where "Status = 'Waiting on Customer'"
    connector backfill run PLAN

    A plan sends nothing. A run first sends a few (the canary), waits for their outcomes, gives you time to cancel,
    and then sends the rest, behind people and triggers. It can be interrupted at any time, and run again: nobody is
    texted twice for the same reason. A worker has to be running: connector run, or connector worker.

    Exit status: 0 all done, 1 some failed or are unknown, 2 refused, stopped, cancelled or paused.
    """


PLAN = click.argument("plan")
MAKE_ANOTHER = "make another one with: connector backfill CRM"
# The reason for refusing to run a plan, by state.
CANNOT_RUN = {
    "planning": f"is still being made. If the process that makes it has ended, a worker cancels it: {MAKE_ANOTHER}",
    "cancelled": f"was cancelled and is not run again. For the cases that were not texted, {MAKE_ANOTHER}",
}
TO_FILE = click.File("w", encoding="utf-8")


@backfill.command()
@PLAN
@click.option(
    "--canary",
    type=click.IntRange(0, MAX_CANARY),
    default=10,
    show_default=True,
    help="Texts that go first; 0: none.",
)
@click.option(
    "--cooling-off",
    type=FiniteRange(0, MAX_COOLING_SECONDS),
    default=60,
    show_default=True,
    help="Seconds between the canary and the rest, in which it can be cancelled.",
)
@click.option(
    "--max-failed",
    type=FiniteRange(0, 100),
    default=10,
    show_default=True,
    help="Percent of the texts that may fail before it stops.",
)
@click.option("--detach", is_flag=True, help="Do not watch: the workers go on by themselves.")
def run(plan: str, canary: int, cooling_off: float, max_failed: float, detach: bool) -> None:
    """Run or continue a plan. Ctrl-C pauses it. A plan that is running already is only watched, or detached."""
    from connector.backfill import operations, plans
    from connector.cli import backfill_report, backfill_watch
    from connector.store import audit

    with connected() as connection, backfill_watch.interruptible() as interrupted:
        watched = None if detach else backfill_watch.WATCHED_SECONDS
        user = audit.this_user()
        if not operations.start(connection, plan, user, canary, max_failed / 100, cooling_off, watched):
            found = plans.found(connection, plan)
            if found.state is plans.PlanState.DONE:
                sys.exit(backfill_report.status(connection, plan, as_json=False))
            if found.state not in plans.ACTIVE:
                _refuse(f"plan {plan} {CANNOT_RUN[found.state]}")
            click.echo(f"Plan {plan} runs already, with the options that it was started with.", err=True)
        backfill_watch.warn_without_worker(connection)
        if detach:
            plans.watch(connection, plan, None)
            click.echo(f"Plan {plan} runs. How far it is: connector backfill status {plan}")
            sys.exit(0)
        sys.exit(backfill_watch.watch(connection, plan, interrupted))


@backfill.command()
@PLAN
@JSON
def status(plan: str, as_json: bool) -> None:
    """The state of a plan, and its progress."""
    from connector.cli import backfill_report

    with connected() as connection:
        sys.exit(backfill_report.status(connection, plan, as_json))


@backfill.command(name="list")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="How many, newest first.")
@JSON
def list_plans(limit: int, as_json: bool) -> None:
    """The newest plans."""
    from connector.cli import backfill_report

    with connected() as connection:
        sys.exit(backfill_report.show_plans(connection, limit, as_json))


@backfill.command()
@PLAN
def pause(plan: str) -> None:
    """Pause a plan. Texts that have not been sent return to it."""
    _halt(plan, "pause", "paused")


@backfill.command()
@PLAN
def cancel(plan: str) -> None:
    """Cancel a plan. Texts that have not been sent return to it."""
    _halt(plan, "cancel", "cancelled")


def _halt(name: str, verb: str, to: str) -> None:
    from connector.backfill import operations, plans
    from connector.cli import backfill_report
    from connector.store import audit

    with connected() as connection:
        taken_back = operations.halt(connection, name, audit.this_user(), plans.PlanState(to), operations.BY_OPERATOR)
        plan, tally = plans.found(connection, name), plans.tally(connection, name)
    if taken_back is None and plan.state != to:
        _refuse(f"plan {name} is {plan.state}: there is nothing to {verb}", *backfill_report.hints(plan))
    said = f"Plan {name} is {to}{' already' if taken_back is None else ''}."
    if taken_back:
        said += f" {taken_back:,} {'text' if taken_back == 1 else 'texts'} not sent yet went back to the plan."
    for line in (said, f"  {backfill_report.line(tally)}", *backfill_report.hints(plan)):
        say(line)


@backfill.command()
@PLAN
@click.option("--watch", is_flag=True, help="Watch it, and pause it with Ctrl-C.")
@click.pass_context
def resume(ctx: click.Context, plan: str, watch: bool) -> None:
    """Continue a plan that was paused or stopped, with the options of its last run."""
    from connector.backfill import plans

    with connected() as connection:
        found = plans.found(connection, plan)
    if found.state is plans.PlanState.PLANNED:
        _refuse(f"plan {plan} has never run: there is nothing to resume. To run it: connector backfill run {plan}")
    if found.state in plans.ACTIVE and not watch:
        click.echo(f"Plan {plan} runs already. How far it is: connector backfill status {plan}")
        return
    ctx.invoke(
        run,
        plan=plan,
        canary=found.canary,
        cooling_off=found.cooling,
        max_failed=found.max_failed * 100,
        detach=not watch,
    )


@backfill.command()
@PLAN
@click.option("--csv", "csv_file", type=TO_FILE, help="A line for each case; - is standard output.")
@click.option("--json", "json_file", type=TO_FILE, help="The same as JSON, an object in a line.")
def report(plan: str, csv_file: IO[str] | None, json_file: IO[str] | None) -> None:
    """The outcome of each case, and a summary. For example: connector backfill report PLAN --csv outcomes.csv"""
    from connector.backfill import outcome_file, plans
    from connector.cli import backfill_report

    with connected() as connection:
        plans.found(connection, plan)  # fail before an existing file is overwritten
        if csv_file:
            csv_file.writelines(outcome_file.csv_lines(connection, plan))
        if json_file:
            json_file.writelines(outcome_file.json_lines(connection, plan))
        sys.exit(backfill_report.status(connection, plan, as_json=False, err=bool(csv_file or json_file)))
