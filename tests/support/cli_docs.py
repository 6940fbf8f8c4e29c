"""docs/cli.md, made of the commands' own help: python -m tests.support.cli_docs."""

from collections.abc import Iterator
from pathlib import Path

import click

from connector.cli import main

PATH = Path(__file__).parent.parent.parent / "docs" / "cli.md"
HEAD = """# Commands

What `--help` says of every command. Made by `python -m tests.support.cli_docs`.
Settings are `CONNECTOR_…` variables: see the [README](../README.md#point-it-at-a-real-org-and-tenant).
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
    context = click.Context(command, info_name=name, terminal_width=100, **command.context_settings)
    return f"\n## {name}\n\n```\n{command.get_help(context).strip()}\n```\n"


if __name__ == "__main__":
    PATH.write_text(pages(), encoding="utf-8")
