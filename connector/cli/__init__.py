"""The command line. Each file holds the commands of one noun.

A command loads its file when it runs, so that a web process does not import a worker's libraries.

Exit status: 0 for success, 1 for a failure or a finding, 2 for an unusable command line or unusable
settings, 130 after Ctrl-C.
"""

import importlib
import sys
from collections.abc import Sequence
from typing import Any

import click
import psycopg

from connector import INTERRUPTED, INTERRUPTED_STATUS, __version__, logs
from connector.cli import console
from connector.errors import ActionRefused, BadMapping, BadSettings

# The file in this folder and the function in it, for each command.
COMMANDS = {
    "run": ("run", "run"),
    "serve": ("run", "serve"),
    "worker": ("run", "work"),
    "migrate": ("database", "migrate"),
    "check": ("check", "check"),
    "try-mapping": ("try_mapping", "command"),
    "status": ("status", "status"),
    "pause": ("pause", "pause"),
    "resume": ("resume", "resume"),
    "texts": ("texts", "texts_group"),
    "opt-outs": ("opt_outs", "opt_outs"),
    "suppress": ("suppressions", "suppress"),
    "keys": ("api_keys", "keys"),
    "person": ("person", "person"),
    "purge": ("purge", "purge"),
    "audit": ("audit", "audit"),
    "report": ("report", "report"),
    "psql": ("psql", "psql"),
    "backfill": ("backfill", "backfill"),
    "bulk": ("bulk", "bulk"),
    "sandbox": ("sandbox", "sandbox"),
    "demo": ("demo", "demo"),
}


class Commands(click.Group):
    """Report wrong settings and mappings without a traceback, on a console of any encoding."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module, command = COMMANDS[name]
        found: click.Command = getattr(importlib.import_module(f"connector.cli.{module}"), command)
        return found

    def main(self, *args: Any, **extra: Any) -> Any:
        console.forgiving()
        return super().main(*args, **extra)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        _require_values(args)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo(INTERRUPTED, err=True)
            sys.exit(INTERRUPTED_STATUS)
        except ActionRefused as error:
            click.echo(str(error), err=True)
            sys.exit(1)
        except (BadSettings, BadMapping) as error:
            raise click.UsageError(str(error)) from None
        except UnicodeEncodeError:
            raise click.UsageError("an argument has characters that are no text in this console's encoding") from None
        except psycopg.OperationalError as error:
            raise click.ClickException(f"the database does not answer: {str(error).splitlines()[0]}") from None
        except psycopg.errors.NumericValueOutOfRange:
            raise click.UsageError("an argument has a number that is too large") from None
        except psycopg.errors.ReadOnlySqlTransaction:
            raise click.ClickException("the database cannot be written: it is read-only now") from None


def _require_values(args: Sequence[str]) -> None:
    """Refuse empty values, such as those of variables that are not set in a script. Raises UsageError."""
    for before, arg in zip(["", *args], args, strict=False):
        option, equals, value = arg.partition("=")
        if not arg.strip():
            name = before if before.startswith("-") else "an argument"
            raise click.UsageError(f"{name}: expected a value, but it is empty")
        if option.startswith("--") and equals and not value.strip():
            raise click.UsageError(f"{option}: expected a value, but it is empty")


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="connector")
def main() -> None:
    """Texts customers through CCAI Platform when a CRM asks for it, once, and writes the outcome to the ticket.

    Settings are CONNECTOR_… variables, or stand in a file .env in the working folder: docs/settings.md lists them.
    """
    logs.configure()
