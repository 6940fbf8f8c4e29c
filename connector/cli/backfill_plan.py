"""connector backfill CRM: plan a back-fill from a condition, a query or a file of ids."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import IO

import click

from connector.cli.connection import load_settings
from connector.cli.output import JSON, count
from connector.errors import BadFile


def plan_command(crm: str) -> click.Command:
    """Return the planning command of a CRM."""

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
        help="A file of ids, one per line or as CSV, in its own order; - is standard input.",
    )
    @click.option("--rule", help="The mapping's rule; its `when` is ignored.  [default: the one for agents]")
    @click.option("--template", help="Start from this template of the mapping instead of the rule's message.")
    @click.option(
        "--reason",
        metavar="NAME",
        help="One more reason to text the same cases, such as 'spring recall'. One text for each case under one name.",
    )
    @click.option("--each-case", is_flag=True, help="Keep several cases of one customer; the window decides then.")
    @click.option("--csv", "csv_file", type=click.File("w", encoding="utf-8"), help="Write a line for each case.")
    @JSON
    def plan(
        where: str | None,
        query_file: IO[bytes] | None,
        ids: IO[bytes] | None,
        rule: str | None,
        template: str | None,
        reason: str | None,
        each_case: bool,
        csv_file: IO[str] | None,
        as_json: bool,
    ) -> None:
        if sum(one is not None for one in (where, query_file, ids)) != 1:
            raise click.UsageError("expected one of --where, --query and --ids")
        from connector.backfill import library, outcome_file
        from connector.cli import backfill_report
        from connector.crms import Query
        from connector.model import TextRequest

        request = TextRequest(rule=rule, template=template, reason_name=reason)
        source = _ids(ids) if ids else Query(where=where, whole=_query(query_file) if query_file else None)
        with library.opened(load_settings(may_make=True)) as fill:
            name = fill.plan(crm, source, request, not each_case, _count())
            if sys.stderr.isatty():
                click.echo(" " * 40 + "\r", nl=False, err=True)
            backfill_report.show_plan(fill.connection, name, as_json)
            if csv_file:
                csv_file.writelines(outcome_file.csv_lines(fill.connection, name))

    return plan


def _ids(file: IO[bytes]) -> list[str]:
    """Read ticket ids from a file. Report rows without an id on standard error. Raises UsageError."""
    from connector.backfill import id_file

    with _named("--ids", file):
        found = id_file.read(file.read())
    if left_out := found.left_out(file.name):
        click.echo(left_out, err=True)
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
