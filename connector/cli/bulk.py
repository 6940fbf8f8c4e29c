"""connector bulk: the bulk actions that were started in the console: list, show, stop."""

import sys
from dataclasses import asdict

import click

from connector.cli.connection import connected
from connector.cli.output import JSON, plain, print_json, print_table, say
from connector.store import audit, bulk_actions

BULK = click.argument("id", type=click.IntRange(1))


@click.group()
def bulk() -> None:
    """List, show and stop bulk actions. They are started in the console."""


@bulk.command(name="list")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="How many, newest first.")
@JSON
def list_bulk(limit: int, as_json: bool) -> None:
    """The newest bulk actions."""
    with connected() as connection:
        rows = bulk_actions.find(connection, limit)
    if as_json:
        print_json([asdict(row) for row in rows])
        return
    print_table(
        ["id", "state", "action", "texts", "done", "refused", "by", "started (UTC)", "why"],
        [
            [row.id, row.state, row.action, row.requested, row.done, row.refused, row.who, row.started_at, row.why]
            for row in rows
        ],
    )


@bulk.command()
@BULK
@JSON
def show(id: int, as_json: bool) -> None:
    """One bulk action, and why texts were refused."""
    with connected() as connection:
        row, refusals = bulk_actions.one(connection, id), bulk_actions.refusals(connection, id)
    if row is None:
        say(f"There is no bulk action {id}.", err=True)
        sys.exit(1)
    if as_json:
        print_json(asdict(row) | {"refusals": [asdict(refusal) for refusal in refusals]})
        return
    for name, value in asdict(row).items():
        if value not in (None, ""):
            say(f"{name.replace('_', ' '):<12} {plain(value)}")
    if refusals:
        say()
        columns = ["texts", "such as", "refused because it"]
        print_table(columns, [[refusal.texts, refusal.examples[0], refusal.why] for refusal in refusals])


@bulk.command()
@BULK
def stop(id: int) -> None:
    """Stop a bulk action. What was done stays done."""
    with connected() as connection:
        bulk_actions.stop(connection, id, audit.this_user())
    say(f"Bulk action {id} is stopped.")
