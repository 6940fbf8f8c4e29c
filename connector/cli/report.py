"""connector report: counts of texts by outcome, channel, rule and refusal."""

import csv
import io
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta

import click

from connector import harmless
from connector.cli import moments
from connector.cli.connection import connected
from connector.cli.output import JSON, plain, print_json, print_table, say
from connector.store import postgres, roll_ups
from connector.store.roll_ups import Count

COLUMNS = ("state", "channel", "rule", "code", "texts")
HOUR = timedelta(hours=1)


@click.command()
@click.option("--today", is_flag=True, help="Today (UTC). This is the default.")
@click.option("--since", type=moments.Moment(), help="From this time on (UTC), rounded down to a full hour.")
@click.option(
    "--until",
    type=moments.Moment(ends=True),
    help="Until this time, rounded up to a full hour, or the end of this date.  [default: now]",
)
@click.option("--csv", "as_csv", is_flag=True, help="As CSV.")
@JSON
def report(today: bool, since: datetime | None, until: datetime | None, as_csv: bool, as_json: bool) -> None:
    """Count texts by outcome, channel, rule and refusal. For example:

    connector report --since 2026-11-01 --until 2026-11-30 --csv

    A text counts in the hour in which it got the state that it is in now.
    """
    if today and (since or until):
        raise click.UsageError("expected either --today, or --since and --until")
    if as_csv and as_json:
        raise click.UsageError("expected either --csv or --json")
    if until and not since:
        raise click.UsageError("expected --since with --until")
    moments.require_order(since, until)
    with connected() as connection:
        now = postgres.now(connection)
        first = _full_hour(since or now.replace(hour=0))
        end = _full_hour((until or now) + HOUR - timedelta(microseconds=1))
        counts = roll_ups.counts(connection, first, end)
    if as_csv:
        _print_csv(counts)
    elif as_json:
        print_json({"since": first, "until": end, "counts": [asdict(count) for count in counts]})
    else:
        _print_tables(counts, first, end)


def _full_hour(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def _print_csv(counts: Sequence[Count]) -> None:
    lines = io.StringIO()
    table = csv.writer(lines)
    table.writerow(COLUMNS)
    table.writerows([harmless.in_spreadsheet(value) for value in asdict(count).values()] for count in counts)
    click.echo(lines.getvalue(), nl=False)


def _print_tables(counts: Sequence[Count], first: datetime, end: datetime) -> None:
    say(f"From {plain(first)} until {plain(end)}: {sum(count.texts for count in counts):,} texts.")
    by: dict[tuple[str, ...], Callable[[Count], tuple[str, ...]]] = {
        ("state", "texts"): lambda count: (count.state,),
        ("channel", "state", "texts"): lambda count: (count.channel, count.state),
        ("rule", "state", "texts"): lambda count: (count.rule or "(none)", count.state),
        ("refusal code", "state", "texts"): lambda count: (count.code, count.state) if count.code else (),
    }
    for columns, key in by.items():
        total = Counter[tuple[str, ...]]()
        for count in counts:
            total[key(count)] += count.texts
        if rows := [[*names, texts] for names, texts in sorted(total.items()) if names]:
            say()
            print_table(list(columns), rows)
