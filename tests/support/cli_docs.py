"""docs/cli.md, made of the commands' own help: python -m tests.support.cli_docs."""

from collections.abc import Iterator
from pathlib import Path

import click

from connector.cli import main

PATH = Path(__file__).parent.parent.parent / "docs" / "cli.md"
HEAD = """# Commands

The `--help` of every command. Made by `python -m tests.support.cli_docs`.
Settings are `CONNECTOR_…` variables: see [settings](settings.md).

Exit status: 0 success; 1 a problem, or what was asked for did not happen; 2 invalid command line or
settings; 130 after Ctrl-C.
`connector status` has 1 while sending or an account is paused, a CRM refuses what is written to it, or an opt-out
review is overdue; `connector check` if it finds a problem.
Every command that uses a database names the configured database, org and tenant on standard error; `run`, `serve` and
`worker` also log them.
If no database is configured and the embedded one does not exist yet, `run`, `serve`, `worker`, `migrate`, `backfill
salesforce`, `keys add` and `suppress add` create it. All other commands exit with status 2, because they were
probably started outside the folder of the `.env` file.
"""


def pages() -> str:
    """The whole page."""
    return HEAD + "".join(_page(name, command) for name, command in _commands("connector", main))


def _commands(name: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    yield name, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for each in command.list_commands(context):
            found = command.get_command(context, each)
            if found:
                yield from _commands(f"{name} {each}", found)


def _page(name: str, command: click.Command) -> str:
    settings = {**main.context_settings, **command.context_settings}  # a command inherits those of the group
    context = click.Context(command, info_name=name, terminal_width=100, **settings)
    return f"\n## {name}\n\n```\n{command.get_help(context).strip()}\n```\n"


if __name__ == "__main__":
    PATH.write_text(pages(), encoding="utf-8")
