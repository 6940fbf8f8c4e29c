"""connector try-mapping: try a draft of a mapping file on stored events and tickets, beside the mapping in use."""

import contextlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import psycopg

from connector import bootstrap, crms
from connector.cli import decisions
from connector.cli.connection import load_settings
from connector.cli.output import JSON, count, plain, print_json, say
from connector.dry_run import both_mappings, try_mapping
from connector.dry_run.trial import WORDS, Group, Kind, Trial, Tried
from connector.dry_run.try_mapping import EVENTS, MAX_EVENTS, MAX_TICKETS
from connector.errors import CallFailed, Unreadable
from connector.mapping.rules import Mapping as TicketMapping
from connector.store import postgres

# Texts of a group, and tickets that could not be read, that are shown to people.
MAX_SHOWN = 10
LIVE, DRAFT = "in use", "draft"


@click.command(name="try-mapping")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--crm", metavar="NAME", help="The CRM that the draft is for.  [default: the draft's own name, or the only CRM]"
)
@click.option(
    "--events",
    type=click.IntRange(0, MAX_EVENTS),
    help=f"How many of the newest events.  [default: {EVENTS}; 0 with --ticket]",
)
@click.option("--ticket", "tickets", metavar="ID", multiple=True, help="This ticket. May be given up to 1,000 times.")
@click.option("--messages", is_flag=True, help="Show the messages that differ. They may hold personal data.")
@JSON
def command(
    file: Path, crm: str | None, events: int | None, tickets: tuple[str, ...], messages: bool, as_json: bool
) -> None:
    """Try a draft of a mapping file: which texts would it send, skip or word differently? Changes and sends nothing.

    The draft and the mapping in use decide now about the same events and tickets. A ticket is tried as at its newest
    trigger; without one, as if a trigger came now.

    Status 1: the CRM cannot be asked, or some tickets could not be read. Status 2: the draft cannot be used.

    \b
    connector try-mapping new/salesforce.toml
    connector try-mapping draft.toml --ticket 500000000000001AAA --messages
    """
    settings = load_settings()
    mappings = bootstrap.mappings(settings)
    name = _crm(mappings, crm, file)
    both = both_mappings.with_draft(mappings, name, _content(file), str(file))
    for warning in both.warnings:
        say(f"warning  {file}, {warning}", err=True)
    ids = _ids(name, tickets)
    wanted = events if events is not None else 0 if tickets else EVENTS
    try:
        with (
            postgres.ready(settings) as url,
            psycopg.connect(url, autocommit=True) as connection,
            contextlib.closing(crms.connect(name, both.to_read)) as connected,
        ):
            found = try_mapping.try_mapping(
                lambda: contextlib.nullcontext(connection), name, connected, both, wanted, ids, _show_progress
            )
    except CallFailed as error:
        say(f"{name} cannot be asked: {error}", err=True)
        sys.exit(1)
    if as_json:
        print_json(_as_json(found, messages))
    else:
        for line in _in_words(found, messages):
            say(line)
    sys.exit(1 if found.unread else 0)


def _crm(mappings: Mapping[str, TicketMapping], crm: str | None, file: Path) -> str:
    """Return the CRM that the draft is for. Raises UsageError."""
    name = crm or (file.stem if file.stem in mappings or len(mappings) > 1 else next(iter(mappings)))
    if name not in mappings:
        raise click.UsageError(f"--crm: expected one of {', '.join(mappings)}")
    return name


def _content(file: Path) -> bytes:
    """Return the draft. Raises UsageError."""
    try:
        return file.read_bytes()
    except OSError as error:
        raise click.UsageError(f"{file} cannot be read: {error.strerror}") from None


def _ids(crm: str, given: Sequence[str]) -> list[str]:
    """Return full ids of tickets. Raises UsageError."""
    if len(given) > MAX_TICKETS:
        raise click.UsageError(f"--ticket: expected at most {MAX_TICKETS:,}")
    try:
        return [crms.named(crm, one) for one in given]
    except Unreadable as error:
        raise click.UsageError(f"--ticket: {error}") from None


def _show_progress(read: int, of: int) -> None:
    """Print progress on standard error when it is a terminal."""
    if sys.stderr.isatty():
        click.echo(f"{read:,} of {count(of, 'ticket')} read …" + ("\n" if read == of else "\r"), nl=False, err=True)


def _in_words(found: Trial, messages: bool) -> Iterator[str]:
    yield f"{count(found.tried, 'text')} tried at {plain(found.at)}; nothing was changed or sent."
    for group in found.groups:
        yield f"  {len(group.texts):>6,}  {group.words}"
    yield f"  {found.same:>6,}  {WORDS[Kind.SAME]}"
    if found.unread:
        yield f"  {len(found.unread):>6,}  not tried: the ticket could not be read"
        for one in found.unread[:MAX_SHOWN]:
            yield f"          {one.item.ticket_id}: {one.why}"
    for group in found.groups:
        yield ""
        yield f"{group.words[0].upper()}{group.words[1:]}:"
        for text in group.texts[:MAX_SHOWN]:
            yield _named(text)
            yield from decisions.difference_lines(text.differences, LIVE, DRAFT, messages)
        if len(group.texts) > MAX_SHOWN:
            yield f"… and {len(group.texts) - MAX_SHOWN:,} more; --json shows all"


def _named(text: Tried) -> str:
    which = f"text {text.item.id}" if text.item.text else "no text yet"
    return f"{text.item.ticket_id}, {which} ({text.item.channel})"


def _as_json(found: Trial, messages: bool) -> dict[str, Any]:
    return {
        "at": found.at,
        "tried": found.tried,
        "changed": found.changed,
        "same": found.same,
        "groups": [_group_json(group, messages) for group in found.groups],
        "unread": [{"ticket_id": one.item.ticket_id, "why": one.why} for one in found.unread],
    }


def _group_json(group: Group, messages: bool) -> dict[str, Any]:
    return {
        "kind": group.kind,
        "words": group.words,
        "live_rule": group.live_rule,
        "draft_rule": group.draft_rule,
        "check": group.check,
        "texts": [
            {
                "text": text.item.id if text.item.text else None,
                "ticket_id": text.item.ticket_id,
                "channel": text.item.channel,
                "live": decisions.verdict_json(text.live),
                "draft": decisions.verdict_json(text.draft),
                "differences": [decisions.difference_json(one, "live", "draft", messages) for one in text.differences],
            }
            for text in group.texts
        ],
    }
