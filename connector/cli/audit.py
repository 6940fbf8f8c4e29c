"""connector audit: show, export and trim the audit trail."""

import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import IO, Any

import click

from connector import harmless
from connector.cli import moments
from connector.cli.connection import connected, load_settings
from connector.cli.finite_range import FiniteRange
from connector.cli.output import JSON, count, plain, print_json, print_table, say
from connector.cli.suppressions import number_of
from connector.store import audit as store
from connector.store.audit import Action, Entry, Filter


@click.group(invoke_without_command=True)
@moments.between("made")
@click.option("--who", metavar="NAME", help="Only those of this system user, API key (key:NAME) or agent.")
@click.option(
    "--what",
    metavar="ACTION",
    type=click.Choice([action.value for action in Action]),
    help="Only these, such as text.cancel.",
)
@click.option("--about", metavar="OBJECT", help='Only those about this, such as "text 17" or "key salesforce".')
@click.option("--phone", metavar="NUMBER", help="Only those about this number, in E.164. Entries hold no numbers.")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="How many, newest first.")
@click.option(
    "--export",
    "file",
    type=click.File("w", encoding="utf-8"),
    help="Write all of them as JSON Lines, newest first; - is standard output.",
)
@JSON
@click.pass_context
def audit(
    ctx: click.Context,
    since: datetime | None,
    until: datetime | None,
    who: str | None,
    what: str | None,
    about: str | None,
    phone: str | None,
    limit: int,
    file: IO[str] | None,
    as_json: bool,
) -> None:
    """What people did, and changes of settings at start. Nobody can change the entries. For example:

    \b
    connector audit --since 2026-11-24 --who root
    connector audit --export audit.jsonl
    """
    if ctx.invoked_subcommand:
        return
    if about and phone:
        raise click.UsageError("expected either --about or --phone")
    moments.require_order(since, until)
    with connected() as connection:
        number = store.number(connection, number_of(phone)) if phone else None
        wanted = Filter(since=since, until=until, who=who, what=what, about=number or about)
        if file:
            _write(store.export(connection, wanted), file)
        else:
            _show(store.find(connection, wanted, limit), as_json)


def _write(entries: Iterable[Entry], file: IO[str]) -> None:
    for entry in entries:
        line = json.dumps(asdict(entry), ensure_ascii=False, default=plain)
        file.write(f"{harmless.in_json(line)}\n")


def _show(entries: Iterable[Entry], as_json: bool) -> None:
    if as_json:
        print_json([asdict(entry) for entry in entries])
        return
    print_table(
        ["at (UTC)", "who", "from", "what", "about", "change"],
        [
            [entry.at, entry.who, f"{entry.source} {entry.origin}", entry.what, entry.about, _change(entry)]
            for entry in entries
        ],
    )


def _change(entry: Entry) -> str:
    parts = [_values(entry.before), _values(entry.after)]
    change = " -> ".join(part for part in parts if part)
    return "; ".join(part for part in (change, entry.why) if part)


def _values(values: Mapping[str, Any] | None) -> str:
    return ", ".join(f"{name}={plain(value)}" for name, value in (values or {}).items())


@audit.command()
@click.option(
    "--days",
    type=FiniteRange(0, 36_500, min_open=True),
    help="How many days to keep.  [CONNECTOR_AUDIT_RETENTION_DAYS]",
)
@click.option("--dry-run", is_flag=True, help="Only count them.")
def trim(days: float | None, dry_run: bool) -> None:
    """Delete entries whose retention has ended. Needs the database role that owns the tables.

    A worker does the same once an hour where its own role owns the tables.
    """
    kept = days or load_settings().audit_retention_days
    if not kept:
        raise click.UsageError("CONNECTOR_AUDIT_RETENTION_DAYS is 0: entries are kept forever. Name the --days to keep")
    with connected() as connection:
        if dry_run:
            entries = count(store.old(connection, kept), "audit record")
            say(f"{entries} older than {kept:g} days would be deleted. Nothing was changed.")
            return
        if not store.may_trim(connection):
            say("This database role does not own the audit trail. Set CONNECTOR_DATABASE_URL to the owner's.", err=True)
            sys.exit(1)
        deleted = store.trim(connection, store.this_user(), kept)
        say(f"{count(deleted, 'audit record')} older than {kept:g} days deleted.")
