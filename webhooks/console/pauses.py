"""The pauses: what is paused and why, a new pause, and its end after asking what it concerns."""

import contextlib
from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from typing import Literal

import psycopg
from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from connector import pausing, typed_times
from connector.errors import ActionRefused
from connector.pausing import Resumed
from connector.store import circuit_breaker, installation, pauses
from connector.store.circuit_breaker import PLATFORM
from connector.store.pauses import Pause, Scope
from webhooks.concurrency import ConcurrencyLimit
from webhooks.console.acting import attempt, reason
from webhooks.console.page import Console, viewer
from webhooks.console.roles import Role, needs

# What becomes of texts that waited when the database was restored, by the form's value.
RESTORED: dict[str, Literal["unknown", "send"]] = {"unknown": "unknown", "send": "send"}
# Requests that ask an account whether it can be used again, each for as long as its answers may take.
MAX_PROBES = 4


def add(pages: Blueprint, console: Console) -> None:
    """Add the routes."""
    probing = ConcurrencyLimit(MAX_PROBES, MAX_PROBES)
    choices = {
        f"{scope.value}:{name}": _words(scope, name)
        for scope, names in pausing.known(console.mappings).items()
        for name in names
    }

    @pages.get("/pauses", endpoint="pauses")
    @needs(Role.VIEW)
    def show_pauses() -> ResponseReturnValue:
        with console.read() as connection:
            in_force, accounts = pauses.current(connection), circuit_breaker.status(connection)
            restored = installation.marked(connection)
        return console.page(
            "console/pauses.html",
            pauses=in_force,
            accounts=accounts,
            choices=choices,
            chosen=request.args.get("scope", ""),
            platform=PLATFORM,
            restored=restored,
        )

    @pages.post("/pauses")
    @needs(Role.ACT)
    def begin_pause() -> ResponseReturnValue:
        def begin(connection: psycopg.Connection) -> str:
            scope, name = _target(choices)
            by = viewer()
            begun = pausing.pause(connection, by.actor, scope, name, reason(), by.who, _until())
            return f"{_sentence(begun)} Nothing that it covers is sent from now on."

        return attempt(console, begin)

    @pages.post("/pauses/resume")
    @needs(Role.ACT)
    def resume() -> ResponseReturnValue:
        """End a pause. With `check`, only say what would happen. With `anyway`, ask nothing first."""
        try:
            scope, name = _target({*choices, *_paused(console)})
        except ActionRefused as error:
            return console.refused(str(error))
        check, anyway = "check" in request.form, "anyway" in request.form
        actor = viewer().actor
        restored = RESTORED.get(request.form.get("restored", ""))
        if restored is None and not check and _asks_what_was_restored(console, scope, name):
            return console.refused("Say what becomes of the texts that waited when the database was restored.")
        with contextlib.nullcontext(True) if anyway else probing.place("") as free:
            if not free:
                return console.refused("Others are ending pauses at the moment. Nothing was changed; try again soon.")
            found = pausing.resume(
                console.read,
                console.settings,
                actor,
                scope,
                name,
                anyway=anyway,
                dry_run=check,
                restored=restored or "unknown",
            )
        words = " ".join(_said(found, check))
        return console.refused(words) if found.wrong or found.is_blocked else console.done(words)


def _asks_what_was_restored(console: Console, scope: Scope, name: str) -> bool:
    """Whether this resume sends, or gives up, texts that waited when the database was restored."""
    with console.read() as connection:
        marked, accounts = installation.marked(connection), circuit_breaker.status(connection)
    resumed = [one for one in accounts if one.manual_resume and pausing.concerns(scope, name, one.account)]
    return bool(resumed and (marked.texts or marked.cases))


def _words(scope: Scope, name: str) -> str:
    words = Pause(scope, name, "", "", datetime.now(UTC)).what
    return "Everything" if scope is Scope.ALL else words[0].upper() + words[1:]


def _paused(console: Console) -> Iterator[str]:
    """What is paused: perhaps a rule or an account that no mapping of this process has any more."""
    with console.read() as connection:
        yield from (f"{one.scope}:{one.name}" for one in pauses.current(connection))
        yield from (f"{Scope.ACCOUNT}:{one.account}" for one in circuit_breaker.status(connection))


def _target(choices: Collection[str]) -> tuple[Scope, str]:
    """What the form names. Raises ActionRefused for something that is not among these."""
    chosen = request.form.get("scope", "")
    if chosen not in choices:
        raise ActionRefused("this", "is not known here: choose something from the list. Nothing was done")
    scope, _, name = chosen.partition(":")
    return Scope(scope), name


def _until() -> datetime | None:
    """The end in the form, in UTC; None: it is open. Raises ActionRefused."""
    typed = request.form.get("until", "").strip()
    if not typed:
        return None
    try:
        moment = typed_times.parse(typed)
    except ValueError:
        raise ActionRefused("the end", "has to be a time, such as 2026-11-30T08:00. Nothing was done") from None
    if moment <= datetime.now(UTC):
        raise ActionRefused("the end", "has to be still to come. Nothing was done")
    return moment


def _sentence(one: Pause) -> str:
    words = f"{one.what} is paused by {one.paused_by}: {one.why.rstrip('.')}."
    return words[0].upper() + words[1:]


def _said(found: Resumed, check: bool) -> list[str]:
    """What a resume has done, or would do, in sentences."""
    lines = []
    for name, why in found.wrong.items():
        lines.append(f"{_account(name)} still refuses, and stays paused: {why.rstrip('.')}. Put it right first.")
    for name in found.unasked:
        lines.append(f"{_account(name)} is not set up in this process, and was not asked.")
    for name in found.accounts:
        lines.append(f"{_account(name)} {'would be' if check else 'is'} used again.")
    if found.ended:
        lines.append("This pause would end." if check else "This pause has ended.")
    if not lines:
        lines.append("It was not paused: nothing was changed.")
    lines += [f"But {_sentence(one)}" for one in found.wider]
    if found.tripped:
        lines.append(f"But CCAI Platform cannot be used: {found.tripped.rstrip('.')}.")
    lines += [_sentence(one) for one in found.others]
    return lines


def _account(name: str) -> str:
    return "CCAI Platform" if name == PLATFORM else name
