"""connector backfill: plan, run, watch and report."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import IO, NoReturn

import click

from connector.cli.connection import connected, load_settings
from connector.cli.output import JSON, count, say
from connector.errors import BadFile, CallFailed, NotThere


class Backfill(click.Group):
    """Add a planning command for each CRM to the subcommands: connector backfill salesforce."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*_crms(), *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        return _plan(name) if name in _crms() else super().get_command(ctx, name)

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except (NotThere, CallFailed) as error:
            _refuse(str(error))
        except KeyboardInterrupt:
            _refuse("interrupted")


def _refuse(why: str, *hints: str) -> NoReturn:
    for line in (f"Error: {why}", *hints):
        say(line, err=True)
    sys.exit(2)


def _crms() -> list[str]:
    from connector import crms

    return crms.known()


@click.group(cls=Backfill)
def backfill() -> None:
    """Text for many existing tickets: plan, look at the plan, run it.

    \b
    connector backfill salesforce --where "Status = 'Waiting on Customer'"
    connector backfill run PLAN

    A plan sends nothing. A run first sends a few (the canary), waits for their outcomes, gives you time to cancel,
    and then sends the rest, behind people and triggers. It can be interrupted at any time, and run again: nobody is
    texted twice for the same reason. A worker has to be running: connector run, or connector worker.

    Exit status: 0 all done, 1 some failed or are unknown, 2 refused, stopped, cancelled or paused.
    """


def _plan(crm: str) -> click.Command:
    @click.command(
        name=crm,
        help=f"""Plan a back-fill for tickets of {crm}. Sends nothing.

    Takes one of --where, --query and --ids. For example:

    \b
    connector backfill {crm} --where "Status = 'New' AND LastModifiedDate > 2026-01-01T00:00:00Z"
    connector backfill {crm} --query cases.soql --rule requested --csv plan.csv
    cut -d, -f1 cases.csv | connector backfill {crm} --ids -
    """,
    )
    @click.option("--where", help="A condition in the CRM's own language. Newest first.")
    @click.option(
        "--query",
        "--soql",
        "query_file",
        type=click.File("rb"),
        help="A file with a whole query in the CRM's own language, in its own order.",
    )
    @click.option(
        "--ids",
        type=click.File("rb"),
        help="A file of ids, one in a line or CSV, in its own order; - is standard input.",
    )
    @click.option("--rule", help="The mapping's rule; its `when` is not looked at.  [default: the one for agents]")
    @click.option("--template", help="Start from this template of the mapping instead of the rule's message.")
    @click.option("--each-case", is_flag=True, help="Keep several cases of one customer; the window decides then.")
    @click.option("--csv", "csv_file", type=click.File("w", encoding="utf-8"), help="Write a line for each case.")
    @JSON
    def plan(
        where: str | None,
        query_file: IO[bytes] | None,
        ids: IO[bytes] | None,
        rule: str | None,
        template: str | None,
        each_case: bool,
        csv_file: IO[str] | None,
        as_json: bool,
    ) -> None:
        if sum(one is not None for one in (where, query_file, ids)) != 1:
            raise click.UsageError("expected one of --where, --query and --ids")
        from connector.backfill import library
        from connector.cli import backfill_report
        from connector.crms import Query
        from connector.model import TextRequest

        source = _ids(ids) if ids else Query(where=where, whole=_query(query_file) if query_file else None)
        with library.opened(load_settings(may_make=True)) as fill:
            name = fill.plan(crm, source, TextRequest(rule=rule, template=template), not each_case, _count())
            if sys.stderr.isatty():
                click.echo(" " * 40 + "\r", nl=False, err=True)
            backfill_report.show_plan(fill.connection, name, as_json)
            if csv_file:
                backfill_report.write_csv(fill.connection, name, csv_file)

    return plan


def _ids(file: IO[bytes]) -> list[str]:
    """Read ticket ids from a file. Report rows without an id on standard error. Raises UsageError."""
    from connector.backfill import id_file

    with _named("--ids", file):
        found = id_file.read(file.read())
    if without := found.rows_without:
        click.echo(f"{count(without, 'row')} of {file.name} without an id: left out.", err=True)
    return found.ids


def _query(file: IO[bytes]) -> str:
    from connector.backfill import decoding

    with _named("--query", file):
        return decoding.text_of(file.read())


@contextlib.contextmanager
def _named(option: str, file: IO[bytes]) -> Iterator[None]:
    """Name the option and the file in the error when the file cannot be read."""
    try:
        yield
    except BadFile as error:
        raise click.UsageError(f"{option} {file.name}: {error}") from None
    except OSError as error:
        raise click.UsageError(f"{option} {file.name} cannot be read: {error.strerror}") from None


def _count() -> Callable[[int], None]:
    """Print progress on standard error when it is a terminal."""

    def show(cases: int) -> None:
        if sys.stderr.isatty():
            click.echo(f"{count(cases, 'case')} read …\r", nl=False, err=True)

    return show


PLAN = click.argument("plan")
MAKE_ANOTHER = "make another one with: connector backfill CRM"
# The reason for refusing to run a plan, by state.
CANNOT_RUN = {
    "planning": f"is still being made. If the command that makes it has ended, {MAKE_ANOTHER}",
    "cancelled": f"was cancelled and is not run again. For the cases that were not texted, {MAKE_ANOTHER}",
}
TO_FILE = click.File("w", encoding="utf-8")


@backfill.command()
@PLAN
@click.option("--canary", type=click.IntRange(0), default=10, show_default=True, help="Texts that go first; 0: none.")
@click.option(
    "--cooling-off",
    type=click.FloatRange(0),
    default=60,
    show_default=True,
    help="Seconds between the canary and the rest, in which it can be cancelled.",
)
@click.option(
    "--max-failed",
    type=click.FloatRange(0, 100),
    default=10,
    show_default=True,
    help="Percent of the texts that may fail before it stops.",
)
@click.option("--detach", is_flag=True, help="Do not watch: the workers go on by themselves.")
def run(plan: str, canary: int, cooling_off: float, max_failed: float, detach: bool) -> None:
    """Run a plan, or go on with it. Ctrl-C pauses it. A plan that runs already is watched, or detached, as it is."""
    from connector.backfill import plans
    from connector.cli import backfill_report, backfill_watch

    with connected() as connection, backfill_watch.interruptible() as interrupted:
        watched = None if detach else backfill_watch.WATCHED
        if not plans.start(connection, plan, canary, max_failed / 100, cooling_off, watched):
            found = plans.found(connection, plan)
            if found.state is plans.PlanState.DONE:
                sys.exit(backfill_report.status(connection, plan, as_json=False))
            if found.state not in plans.ACTIVE:
                _refuse(f"plan {plan} {CANNOT_RUN[found.state]}")
            click.echo(f"Plan {plan} runs already, with the options that it was started with.", err=True)
        if detach:
            plans.watch(connection, plan, None)
            click.echo(f"Plan {plan} runs. How far it is: connector backfill status {plan}")
            sys.exit(0)
        sys.exit(backfill_watch.watch(connection, plan, interrupted))


@backfill.command()
@PLAN
@JSON
def status(plan: str, as_json: bool) -> None:
    """Where a plan is, and how far it has come."""
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
    """Send nothing more for now. Texts that have not left go back to the plan."""
    _halt(plan, "pause", "paused")


@backfill.command()
@PLAN
def cancel(plan: str) -> None:
    """Give it up. Texts that have not left go back to the plan, and are not sent."""
    _halt(plan, "cancel", "cancelled")


def _halt(name: str, verb: str, to: str) -> None:
    from connector.backfill import plans
    from connector.cli import backfill_report

    with connected() as connection:
        taken_back = plans.halt(connection, name, plans.PlanState(to), "by an operator")
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
    """Go on with a plan that was paused or stopped, with the options that it was run with."""
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
    """What became of each case, and a summary. For example: connector backfill report PLAN --csv outcomes.csv"""
    from connector.backfill import plans
    from connector.cli import backfill_report

    with connected() as connection:
        plans.found(connection, plan)  # fail before an existing file is overwritten
        if csv_file:
            backfill_report.write_csv(connection, plan, csv_file)
        if json_file:
            backfill_report.write_json(connection, plan, json_file)
        sys.exit(backfill_report.status(connection, plan, as_json=False, err=bool(csv_file or json_file)))
