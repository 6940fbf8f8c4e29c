"""A person's pauses, for command line and console: begin one, and end one after asking what it concerns."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

import psycopg

from connector import bootstrap, crms
from connector.ccaip import client
from connector.errors import BadMapping, BadSettings, CallFailed
from connector.mapping.rules import Mapping as TicketMapping
from connector.model import Channel
from connector.settings import Settings
from connector.store import audit, circuit_breaker, installation, pauses
from connector.store.audit import Action, Actor
from connector.store.circuit_breaker import PLATFORM
from connector.store.pauses import Pause, Scope
from connector.store.postgres import Connect

# Probes one account with requests that send and change nothing. Raises CallFailed.
Probe = Callable[[], None]


def known(mappings: Mapping[str, TicketMapping]) -> dict[Scope, list[str]]:
    """What can be paused, by scope: the names of channels, rules and accounts."""
    return {
        Scope.ALL: [""],
        Scope.CHANNEL: [Channel.BATCH.value],
        Scope.RULE: [rule.name for mapping in mappings.values() for rule in mapping.file.rules],
        Scope.ACCOUNT: [PLATFORM, *mappings],
    }


def pause(
    connection: psycopg.Connection,
    actor: Actor,
    scope: Scope,
    name: str,
    why: str,
    by: str,
    ends_at: datetime | None = None,
) -> Pause:
    """Begin a pause; committed and recorded when it returns. `by`: who pauses, for operators and agents."""
    with connection.transaction():
        begun = pauses.pause(connection, scope, name, why, by, ends_at)
        audit.record(connection, actor, Action.SENDING_PAUSE, _about(scope, name), why=why)
    return begun


@dataclass(slots=True)
class Resumed:
    """What a resume has done, or would do.

    `ended`: the pause that was asked for. `accounts`: may be used again. `wrong`: accounts that stay paused, with the
    reason; `unasked`: accounts that are not set up here, and were not asked. `wider`: pauses that still cover all that
    was asked for, and `tripped`, why CCAI Platform still cannot be used. `others`: pauses of something else.
    """

    ended: bool = False
    accounts: list[str] = field(default_factory=list)
    wrong: dict[str, str] = field(default_factory=dict)
    unasked: dict[str, str] = field(default_factory=dict)
    wider: list[Pause] = field(default_factory=list)
    tripped: str | None = None
    others: list[Pause] = field(default_factory=list)

    @property
    def is_blocked(self) -> bool:
        """Whether something still keeps all that was asked for from being sent."""
        return bool(self.wider or self.tripped)


def resume(
    connect: Connect,
    settings: Settings,
    actor: Actor,
    scope: Scope,
    name: str = "",
    *,
    anyway: bool = False,
    dry_run: bool = False,
    restored: Literal["unknown", "send"] = "unknown",
) -> Resumed:
    """End a pause, and use accounts again whose probe passes; committed and recorded when it returns.

    `anyway`: without probes. `dry_run`: probe, and change nothing. `restored`: what becomes of texts that waited when
    the database was restored; "send" only if nothing was sent since the backup.
    """
    with connect() as connection:
        in_force = {(one.scope, one.name) for one in pauses.current(connection)}
        accounts = [one for one in circuit_breaker.status(connection) if concerns(scope, name, one.account)]
    found = Resumed()
    if scope in (Scope.ALL, Scope.ACCOUNT) and not anyway:
        asked = {one.account for one in accounts if one.tripped_at}
        if (scope, name) in in_force:
            asked.add(name or PLATFORM)
        with _probes(settings, sorted(asked), found.unasked) as probes:
            found.wrong = _still_wrong(probes)
    is_ended = (name or PLATFORM) not in found.wrong
    found.ended = is_ended and (scope, name) in in_force
    resumable = [one for one in accounts if one.account not in found.wrong]
    found.accounts = [one.account for one in resumable]
    with connect() as connection:
        if not dry_run:
            found.ended = is_ended and _ended(connection, actor, scope, name)
            found.accounts = [
                used for one in resumable for used in _used_again(connection, actor, one, not anyway, restored)
            ]
        _add_what_is_left(connection, found, scope, name)
    return found


def concerns(scope: Scope, name: str, account: str) -> bool:
    """Whether a pause of this scope and name concerns an account as a whole. A rule may have the name of an account."""
    return scope == Scope.ALL or (scope, name) == (Scope.ACCOUNT, account)


def _about(scope: Scope, name: str) -> str:
    return audit.named(scope.value, name or "everything")


def _ended(connection: psycopg.Connection, actor: Actor, scope: Scope, name: str) -> bool:
    with connection.transaction():
        ended = pauses.resume(connection, scope, name)
        if ended:
            audit.record(connection, actor, Action.SENDING_RESUME, _about(scope, name))
    return ended


def _used_again(
    connection: psycopg.Connection, actor: Actor, account: circuit_breaker.Status, probed: bool, restored: str
) -> Sequence[str]:
    after = {"restored": restored} if account.manual_resume else None
    before = {"why": account.tripped_why or account.paused_why, "probed": probed}
    with connection.transaction():
        if account.manual_resume and restored == "send":
            installation.trust(connection)
        names = list(circuit_breaker.resume(connection, account.account))
        for name in names:
            about = audit.named("account", name)
            audit.record(connection, actor, Action.SENDING_RESUME, about, before=before, after=after)
    return names


def _add_what_is_left(connection: psycopg.Connection, found: Resumed, scope: Scope, name: str) -> None:
    for one in pauses.current(connection):
        if (one.scope, one.name) != (scope, name):
            is_wider = scope is not Scope.ALL and concerns(one.scope, one.name, PLATFORM)
            (found.wider if is_wider else found.others).append(one)
    if not concerns(scope, name, PLATFORM):
        for status in circuit_breaker.status(connection):
            if status.account == PLATFORM and status.tripped_at:
                found.tripped = status.tripped_why


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
def _probes(settings: Settings, names: Sequence[str], unasked: dict[str, str]) -> Iterator[dict[str, Probe]]:
    """A probe for each account. One that is not set up here gets none, and is added to `unasked` with the reason."""
    found: dict[str, Probe] = {}
    with contextlib.ExitStack() as stack:
        for name in names:
            try:
                found[name] = _platform(settings) if name == PLATFORM else _crm(settings, name, stack)
            except (BadSettings, BadMapping) as error:
                unasked[name] = str(error)
        yield found


def _platform(settings: Settings) -> Probe:
    mappings = bootstrap.mappings(settings).values()
    numbers = sorted({number for mapping in mappings for number in mapping.outbound_numbers})
    return client.probe_of(bootstrap.account(settings), numbers)


def _crm(settings: Settings, name: str, stack: contextlib.ExitStack) -> Probe:
    mappings = bootstrap.mappings(settings)
    if name not in mappings:
        raise BadSettings(f"CONNECTOR_MAPPINGS: expected a mapping file {name}.toml")
    crm = crms.connect(name, mappings[name].file)
    stack.callback(crm.close)
    return crm.probe
