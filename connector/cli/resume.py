"""connector resume: end a pause, and resume tripped accounts whose probe passes."""

import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import click
import psycopg

from connector import bootstrap, crms
from connector.cli.connection import connected
from connector.cli.output import JSON, count, plain, print_json, say
from connector.cli.pause import scopes, sentence, target
from connector.errors import BadMapping, BadSettings, CallFailed
from connector.settings import Settings, load
from connector.store import audit, circuit_breaker, installation, pauses, text_views
from connector.store.audit import Action
from connector.store.circuit_breaker import PLATFORM
from connector.store.pauses import Scope
from connector.worker import maintenance

# Probes one account with requests that send and change nothing. Raises CallFailed.
Probe = Callable[[], None]


@dataclass(slots=True)
class Resumed:
    """The result. `wrong`: the accounts that stay paused, with the reason. `other`: what else keeps texts waiting."""

    ended: bool = False
    accounts: list[str] = field(default_factory=list)
    wrong: dict[str, str] = field(default_factory=dict)
    blocking: list[str] = field(default_factory=list)
    other: list[str] = field(default_factory=list)


@click.command()
@scopes
@click.option(
    "--restored",
    type=click.Choice(["unknown", "send"]),
    help="After a restore: what waited becomes unknown, as it may have been sent since the backup; or it is sent.",
)
@click.option("--anyway", is_flag=True, help="Without asking CCAI Platform and the CRM first.")
@click.option("--dry-run", is_flag=True, help="Ask, and change nothing.")
@JSON
def resume(
    rule: str | None,
    batch: bool,
    account: str | None,
    restored: str | None,
    anyway: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Let texts leave again: end a pause, and use accounts again after a wrong setting was put right.

    What is stopped is asked first, by a request that can send nothing. Status 1 if it still refuses, or if something
    else keeps these texts from being sent. What else keeps texts waiting is said.
    """
    scope, name = target(rule, batch, account)
    with connected() as connection:
        _require_word(connection, restored)
        found = _resumed(connection, load(), scope, name, anyway, dry_run, restored)
        if as_json:
            print_json({name: getattr(found, name) for name in Resumed.__slots__} | {"dry_run": dry_run})
        else:
            _say(found, scope, dry_run)
        sys.exit(1 if found.wrong or found.blocking else 0)


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


def _resumed(
    connection: psycopg.Connection,
    settings: Settings,
    scope: Scope,
    name: str,
    anyway: bool,
    dry_run: bool,
    restored: str | None,
) -> Resumed:
    """Resume what passes its probe. `anyway`: skip the probes. `dry_run`: change nothing."""
    in_force = {(one.scope, one.name) for one in pauses.current(connection)}
    accounts = [one for one in circuit_breaker.status(connection) if scope is Scope.ALL or one.account == name]
    found = Resumed()
    if scope in (Scope.ALL, Scope.ACCOUNT):
        asked = {one.account for one in accounts if one.tripped_at}
        if (scope, name) in in_force:
            asked.add(name or PLATFORM)
        with _probes(settings, [] if anyway else sorted(asked)) as probes:
            found.wrong = _still_wrong(probes)
    is_ended = (name or PLATFORM) not in found.wrong
    found.ended = is_ended and (scope, name) in in_force
    resumable = [one.account for one in accounts if one.account not in found.wrong]
    found.accounts = resumable
    if not dry_run:
        if is_ended:
            found.ended = _ended(connection, scope, name)
        why = {one.account: one.tripped_why or one.paused_why for one in accounts}
        found.accounts = [
            one for account in resumable for one in _used_again(connection, account, why[account], not anyway, restored)
        ]
    _add_what_waits(connection, found, scope, name)
    return found


def _ended(connection: psycopg.Connection, scope: Scope, name: str) -> bool:
    with connection.transaction():
        ended = pauses.resume(connection, scope, name)
        if ended:
            audit.record(
                connection, audit.this_user(), Action.SENDING_RESUME, audit.named(scope.value, name or "everything")
            )
    return ended


def _used_again(
    connection: psycopg.Connection, account: str, why: str | None, probed: bool, restored: str | None
) -> list[str]:
    with connection.transaction():
        if account == PLATFORM and restored == "send":
            installation.trust(connection)
        names = list(circuit_breaker.resume(connection, account))
        for name in names:
            before = {"why": why, "probed": probed}
            about = audit.named("account", name)
            after = {"restored": restored} if account == PLATFORM and restored else None
            audit.record(connection, audit.this_user(), Action.SENDING_RESUME, about, before=before, after=after)
    return names


def _add_what_waits(connection: psycopg.Connection, found: Resumed, scope: Scope, name: str) -> None:
    """Add what still keeps texts waiting: that covers all of those asked for (`blocking`), or others or some."""
    for one in pauses.current(connection):
        if (one.scope, one.name) != (scope, name):
            is_wider = scope is not Scope.ALL and (one.scope == Scope.ALL or one.name == PLATFORM)
            (found.blocking if is_wider else found.other).append(sentence(one))
    if scope is not Scope.ALL and name != PLATFORM:
        for status in circuit_breaker.status(connection):
            if status.account == PLATFORM and status.tripped_at:
                found.blocking.append(f"Sending is paused: {status.tripped_why}. It goes on with: connector resume")
    counts = text_views.counts(connection)
    if held := sum(row["held"] for row in counts):
        due = min(row["leaves_at"] for row in counts if row["leaves_at"])
        waits = "waits" if held == 1 else "wait"
        found.other.append(
            f"{count(held, 'queued text')} still {waits} for quiet hours to end, for their time, or for another try: "
            f"the next leaves at {plain(due)}."
        )


def _say(found: Resumed, scope: Scope, dry_run: bool) -> None:
    for name, why in found.wrong.items():
        what = "Sending stays paused" if name == PLATFORM else f"{name} still cannot be used"
        say(f"{what}: {why}")
        say("Put it right, and restart what runs; or without asking: connector resume --anyway")
    if not found.ended and not found.accounts and not found.wrong:
        click.echo("Sending was not paused." if scope is Scope.ALL else "It was not paused.")
    elif words := " ".join(_words(found)):
        click.echo(f"Nothing was changed. Without --dry-run: {words}" if dry_run else words)
    for line in [*found.blocking, *(found.other if found.ended or found.accounts else [])]:
        say(line)


def _words(found: Resumed) -> Iterator[str]:
    if (found.ended or found.accounts) and not found.wrong and not found.blocking:
        yield "Texts may leave again."
    names = [
        "CCAI Platform" if name == PLATFORM else name
        for name in found.accounts
        if found.wrong or found.blocking or name != PLATFORM
    ]
    if names:
        yield f"{', '.join(names)} may be used again."
    elif found.ended and (found.wrong or found.blocking):
        yield "This pause has ended; another one is in force."


def _still_wrong(probes: Mapping[str, Probe]) -> dict[str, str]:
    """The accounts whose probe fails, with the reason."""
    wrong = {}
    for name, probe in probes.items():
        try:
            probe()
        except CallFailed as error:
            wrong[name] = str(error)
    return wrong


@contextlib.contextmanager
def _probes(settings: Settings, names: list[str]) -> Iterator[dict[str, Probe]]:
    """A probe for each account. An account that is not set up here gets none, which is reported."""
    found: dict[str, Probe] = {}
    with contextlib.ExitStack() as stack:
        for name in names:
            try:
                found[name] = _platform(settings) if name == PLATFORM else _crm(settings, name, stack)
            except (BadSettings, BadMapping) as error:
                click.echo(f"{name} is not asked first, because it is not set up here:\n{error}", err=True)
        yield found


def _platform(settings: Settings) -> Probe:
    mappings = bootstrap.mappings(settings).values()
    numbers = sorted({number for mapping in mappings for number in mapping.outbound_numbers})
    return maintenance.platform_probe(bootstrap.account(settings), numbers)


def _crm(settings: Settings, name: str, stack: contextlib.ExitStack) -> Probe:
    mappings = bootstrap.mappings(settings)
    if name not in mappings:
        raise BadSettings(f"CONNECTOR_MAPPINGS: expected a mapping file {name}.toml")
    crm = crms.connect(name, mappings[name].file)
    stack.callback(crm.close)
    return crm.probe
