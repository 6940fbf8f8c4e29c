"""connector resume: end a pause, and resume tripped accounts whose probe passes."""

import sys
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Literal

import click
import psycopg

from connector import pausing
from connector.cli.connection import connected
from connector.cli.output import JSON, count, plain, print_json, say
from connector.cli.pause import scopes, sentence, target
from connector.pausing import Resumed
from connector.settings import load
from connector.store import audit, circuit_breaker, installation, text_views
from connector.store.circuit_breaker import PLATFORM
from connector.store.pauses import Scope


@click.command()
@scopes
@click.option(
    "--restored",
    type=click.Choice(["unknown", "send"]),
    help="After a restore: what waited becomes unknown, as it may have been sent since the backup; or it is sent.",
)
@click.option("--anyway", is_flag=True, help="Without a probe.")
@click.option("--dry-run", is_flag=True, help="Only probe, and change nothing.")
@JSON
def resume(
    rule: str | None,
    batch: bool,
    account: str | None,
    restored: Literal["unknown", "send"] | None,
    anyway: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Resume sending: end a pause, and use accounts again after a setting was corrected.

    For everything and for an account, first makes a probe, which can send no text. Status 1 if the probe fails, or if
    something else keeps these texts from being sent. Also prints what else keeps texts waiting.
    """
    scope, name = target(rule, batch, account)
    with connected() as connection:
        _require_word(connection, restored)
        found = pausing.resume(
            lambda: nullcontext(connection),
            load(),
            audit.this_user(),
            scope,
            name,
            anyway=anyway,
            dry_run=dry_run,
            restored=restored or "unknown",
        )
        other = [*map(sentence, found.others), *_held(connection)]
    for unasked, why in found.unasked.items():
        click.echo(f"{unasked} is not asked first, because it is not set up here:\n{why}", err=True)
    if as_json:
        print_json(
            {
                "ended": found.ended,
                "accounts": found.accounts,
                "wrong": found.wrong,
                "blocking": list(_blocking(found)),
                "other": other,
                "dry_run": dry_run,
            }
        )
    else:
        _say(found, other, scope, dry_run)
    sys.exit(1 if found.wrong or found.is_blocked else 0)


def _require_word(connection: psycopg.Connection, restored: str | None) -> None:
    """Raise UsageError where texts wait in a restored database and it is not said what becomes of them."""
    marked = installation.marked(connection)
    waits = any(one.manual_resume for one in circuit_breaker.status(connection)) and (marked.texts or marked.cases)
    if waits and restored is None:
        raise click.UsageError(
            f"{count(marked.texts, 'text')} and {count(marked.cases, 'case')} of back-fills waited when this database "
            "was restored, and may have been sent since the backup. With --restored unknown, these texts become "
            "unknown and these cases are skipped: none of them is sent. With --restored send, all are sent: only if "
            "nothing was sent since the backup"
        )


def _blocking(found: Resumed) -> Iterator[str]:
    """What still keeps all that was asked for from being sent."""
    yield from map(sentence, found.wider)
    if found.tripped:
        yield f"Sending is paused: {found.tripped}. It goes on with: connector resume"


def _held(connection: psycopg.Connection) -> Iterator[str]:
    counts = text_views.counts(connection)
    if held := sum(row.held for row in counts):
        due = min(row.leaves_at for row in counts if row.leaves_at)
        waits = "waits" if held == 1 else "wait"
        yield (
            f"{count(held, 'queued text')} still {waits} for quiet hours to end, for their time, or for another try: "
            f"the next leaves at {plain(due)}."
        )


def _say(found: Resumed, other: list[str], scope: Scope, dry_run: bool) -> None:
    for name, why in found.wrong.items():
        what = "Sending stays paused" if name == PLATFORM else f"{name} still cannot be used"
        say(f"{what}: {why}")
        say("Put it right, and restart what runs; or without asking: connector resume --anyway")
    if not found.ended and not found.accounts and not found.wrong:
        click.echo("Sending was not paused." if scope is Scope.ALL else "It was not paused.")
    elif words := " ".join(_words(found)):
        click.echo(f"Nothing was changed. Without --dry-run: {words}" if dry_run else words)
    for line in [*_blocking(found), *(other if found.ended or found.accounts else [])]:
        say(line)


def _words(found: Resumed) -> Iterator[str]:
    if (found.ended or found.accounts) and not found.wrong and not found.is_blocked:
        yield "Texts may leave again."
    names = [
        "CCAI Platform" if name == PLATFORM else name
        for name in found.accounts
        if found.wrong or found.is_blocked or name != PLATFORM
    ]
    if names:
        yield f"{', '.join(names)} may be used again."
    elif found.ended and (found.wrong or found.is_blocked):
        yield "This pause has ended; another one is in force."
