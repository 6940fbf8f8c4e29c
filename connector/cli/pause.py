"""connector pause: stop sending everything, one rule, batches, or the use of one account, until `connector resume`."""

import contextlib
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import click
import psycopg

from connector import bootstrap, pausing, typed_times
from connector.cli.connection import connected
from connector.cli.output import JSON, plain, print_json, say
from connector.errors import BadMapping, BadSettings
from connector.model import Channel
from connector.settings import load
from connector.store import audit
from connector.store.circuit_breaker import PLATFORM
from connector.store.pauses import Pause, Scope

# What a command is about: the scope, and the name of the account, channel or rule.
Target = tuple[Scope, str]


def scopes(command: Any) -> Any:
    """Add the options that say what to pause or resume. Without one, it is everything."""
    for option in (
        click.option("--rule", metavar="NAME", help="Only texts of this rule."),
        click.option("--batch", is_flag=True, help="Only back-fills."),
        click.option("--account", metavar="NAME", help=f"Only this account: {PLATFORM}, or a CRM's name."),
    ):
        command = option(command)
    return command


def target(rule: str | None, batch: bool, account: str | None) -> Target:
    """What the options name. Raises click.UsageError for more than one of them."""
    named = [(Scope.RULE, rule)] if rule else []
    named += [(Scope.CHANNEL, Channel.BATCH.value)] if batch else []
    named += [(Scope.ACCOUNT, account)] if account else []
    if len(named) > 1:
        raise click.UsageError("expected one of --rule, --batch and --account, or none of them")
    return named[0] if named else (Scope.ALL, "")


def _time(_: click.Context, __: click.Parameter, typed: str | None) -> datetime | None:
    """A time with its time zone. Raises click.BadParameter."""
    if typed is None:
        return None
    with contextlib.suppress(ValueError):
        if datetime.fromisoformat(typed).tzinfo:
            return typed_times.parse(typed)
    example = "2026-11-30T08:00-05:00"
    raise click.BadParameter(f"expected a time with its zone before the year 9999, such as {example}, not {typed!r}")


@click.command()
@scopes
@click.option("--why", required=True, help="The reason, for operators and agents.")
@click.option("--by", default="an operator", show_default=True, help="Who pauses.")
@click.option("--until", callback=_time, metavar="TIME", help="End by itself, such as at 2026-11-30T08:00-05:00.")
@JSON
def pause(
    rule: str | None,
    batch: bool,
    account: str | None,
    why: str,
    by: str,
    until: datetime | None,
    as_json: bool,
) -> None:
    """Send nothing more, within a second, on all machines. Texts wait; an agent's text fails with the reason.

    Calls that are under way are finished.
    """
    scope, name = target(rule, batch, account)
    _require_known(scope, name)
    with connected() as connection:
        sys.exit(_paused(connection, scope, name, why, by, until, as_json))


def _paused(
    connection: psycopg.Connection,
    scope: Scope,
    name: str,
    why: str,
    by: str,
    until: datetime | None,
    as_json: bool,
) -> int:
    if until and until <= datetime.now(UTC):
        raise click.BadParameter("expected a time that is still to come", param_hint="--until")
    begun = pausing.pause(connection, audit.this_user(), scope, name, why, by, until)
    if as_json:
        print_json(asdict(begun))
    else:
        say(sentence(begun))
    return 0


def sentence(one: Pause) -> str:
    """A pause in a sentence, and how to end it."""
    until = f" until {plain(one.ends_at)}" if one.ends_at else ""
    words = f"{one.what} is paused since {plain(one.since)}{until} by {one.paused_by}: {one.why.rstrip('.')}."
    return f"{words[0].upper()}{words[1:]} It goes on with: {command(one.scope, one.name)}"


def command(scope: Scope, name: str) -> str:
    """The command that ends this pause."""
    options = {
        Scope.ALL: "",
        Scope.ACCOUNT: f" --account {name}",
        Scope.CHANNEL: " --batch",
        Scope.RULE: f" --rule {name}",
    }
    return f"connector resume{options[Scope(scope)]}"


def _require_known(scope: Scope, name: str) -> None:
    """Raise click.BadParameter for a rule or an account that is not set up. A mapping that is wrong is no obstacle."""
    if scope not in (Scope.RULE, Scope.ACCOUNT):
        return
    try:
        mappings = bootstrap.mappings(load())
    except (BadSettings, BadMapping):
        return  # sending must be stoppable, whatever is wrong with the settings here
    known = pausing.known(mappings)[scope]
    if name not in known:
        raise click.BadParameter(f"there is no {scope.value} {name}; expected one of: {', '.join(known)}")
