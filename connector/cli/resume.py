"""connector resume: probe each paused account, and resume those that pass."""

import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping

import click
import psycopg

from connector import bootstrap, crms
from connector.cli.connection import connected
from connector.cli.output import say
from connector.errors import BadMapping, BadSettings, CallFailed
from connector.settings import Settings, load
from connector.store import circuit_breaker
from connector.worker import maintenance

# Probes one account with requests that send and change nothing. Raises CallFailed.
Probe = Callable[[], None]


@click.command()
@click.option("--anyway", is_flag=True, help="Without asking CCAI Platform and the CRM first.")
def resume(anyway: bool) -> None:
    """Let texts leave again after a wrong setting was put right. It happens by itself too, a little later.

    What is stopped is asked first, by a request that can send nothing. Status 1 if it still refuses.
    """
    with connected() as connection:
        sys.exit(_resumed(connection, load(), anyway))


def _resumed(connection: psycopg.Connection, settings: Settings, anyway: bool) -> int:
    """Resume accounts whose probe passes. `anyway`: skip the probes. 1 when an account stays paused."""
    accounts = circuit_breaker.status(connection)
    tripped = [] if anyway else [account.account for account in accounts if account.tripped_at]
    with _probes(settings, tripped) as probes:
        wrong = _still_wrong(probes)
    for name, why in wrong.items():
        what = "Sending stays paused" if name == circuit_breaker.PLATFORM else f"{name} still cannot be used"
        say(f"{what}: {why}")
        say("Put it right, and restart what runs; or without asking: connector resume --anyway")
    resumed = [
        name
        for account in accounts
        if account.account not in wrong
        for name in circuit_breaker.resume(connection, account.account)
    ]
    _say(resumed, stopped=bool(wrong))
    return 1 if wrong else 0


def _say(resumed: list[str], stopped: bool) -> None:
    if not resumed and not stopped:
        click.echo("Sending was not paused.")
        return
    said = [] if stopped else ["Texts may leave again."]
    names = [
        "CCAI Platform" if name == circuit_breaker.PLATFORM else name
        for name in resumed
        if stopped or name != circuit_breaker.PLATFORM
    ]
    if names:
        said.append(f"{', '.join(names)} may be used again.")
    if said:
        click.echo(" ".join(said))


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
                found[name] = _platform(settings) if name == circuit_breaker.PLATFORM else _crm(settings, name, stack)
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
