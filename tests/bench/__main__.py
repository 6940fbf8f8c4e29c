"""The benchmark's command line: `make bench`, or python -m tests.bench --help."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import httpx
import psutil
import psycopg
from rich.console import Console

from tests.bench import aging, growth, scenarios
from tests.bench.place import Place, Sizes
from tests.bench.report import Report
from tests.bench.running import Failed
from tests.conftest import own_server

OURS = ("connector",)
# Measures a stack, by its name: the figures.
Scenario = Callable[[Place, str], Any]
# Each scenario, and whether rivals take part. The first ones are measured in rounds, all of them in each: how fast a
# shared machine is changes from minute to minute.
IN_ROUNDS: dict[str, tuple[Scenario, bool]] = {
    "accept": (scenarios.accept, True),
    "outbound": (scenarios.outbound, False),
    "delay": (scenarios.delay, True),
}
ONCE: dict[str, tuple[Scenario, bool]] = {
    "idle": (scenarios.idle, True),
    "click": (scenarios.click, False),
    "pace": (scenarios.pace, False),
    "memory": (growth.memory, False),
    "old": (aging.old, False),
}
SCENARIOS = IN_ROUNDS | ONCE
# What a stack that does not work may end in. The others are measured all the same.
WRONG = (Failed, httpx.HTTPError, psycopg.Error, psutil.Error, subprocess.SubprocessError)


def _rivals(context: click.Context, parameter: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    rivals: dict[str, str] = {}
    for one in given:
        name, _, command = one.partition("=")
        if not name.isidentifier() or "{port}" not in command:
            raise click.BadParameter(f"{one!r}: expected NAME=COMMAND, the command with {{port}} in it")
        if name in ("connector", "naive", *rivals):
            raise click.BadParameter(f"{name!r} is there already")
        rivals[name] = command
    return rivals


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--quick", is_flag=True, help="Small numbers: to see that everything works.")
@click.option("--only", multiple=True, type=click.Choice(list(SCENARIOS)), help="This scenario; may be repeated.")
@click.option(
    "--rival",
    "rivals",
    multiple=True,
    metavar="NAME=COMMAND",
    callback=_rivals,
    help="Something else to measure: a command that listens on {port}, takes POST /hook and texts through "
    "$UPSTREAM; may be repeated.",
)
@click.option(
    "--rounds",
    type=click.IntRange(1),
    help=f"Rounds of {', '.join(IN_ROUNDS)} and old; medians are shown.  [default: 3, quick: 1]",
)
@click.option(
    "--workers",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Workers of the connector; `pace` always has three, `old` one.",
)
@click.option("--old", type=click.IntRange(1), help="Old texts in the ledger.  [default: 1000000, quick: 20000]")
@click.option("--database", "given", metavar="URL", help="A PostgreSQL to create databases on.  [default: our own]")
@click.option(
    "--json",
    "json_path",
    type=click.Path(dir_okay=False, path_type=Path),
    default="bench.json",
    show_default=True,
    help="Where the figures go.",
)
@click.option("--charts", type=click.Path(file_okay=False, path_type=Path), help="A folder for charts as SVG.")
def main(
    quick: bool,
    only: tuple[str, ...],
    rivals: dict[str, str],
    rounds: int | None,
    workers: int,
    old: int | None,
    given: str | None,
    json_path: Path,
    charts: Path | None,
) -> None:
    """How fast the connector is and what it costs, beside rivals, all on this machine.

    Exit status 1 if something did not work or a text left twice.
    """
    signal.signal(signal.SIGTERM, _end)
    sizes = Sizes.of(quick, rounds, workers, old)
    report = Report(sizes, ["connector", "naive", *rivals])
    try:
        with own_server(given, "bench-") as (server, folder):
            _measure(Place(server, folder, sizes, rivals), only or tuple(SCENARIOS), report)
    finally:
        report.write(json_path)
        if charts:
            report.draw(charts)
        report.show(Console(width=None if sys.stdout.isatty() else 200))
    sys.exit(1 if report.failures else 0)


def _end(number: int, _: object) -> None:
    sys.exit(128 + number)


def _measure(place: Place, wanted: tuple[str, ...], report: Report) -> None:
    for number in range(place.sizes.rounds):
        for name in IN_ROUNDS:
            if name in wanted:
                _one(place, name, report, f", round {number + 1}")
    for name in ONCE:
        if name in wanted:
            _one(place, name, report)


def _one(place: Place, name: str, report: Report, which: str = "") -> None:
    scenario, rivals_too = SCENARIOS[name]
    for stack in place.everybody if rivals_too else OURS:
        place.say(f"{name}: {stack}{which}")
        start = time.monotonic()
        try:
            report.add(name, stack, scenario(place, stack))
        except WRONG as error:
            report.failures.append(f"{name}, {stack}: {error}")
            place.say(f"  failed: {error}")
        place.say(f"  {time.monotonic() - start:.0f} s")


if __name__ == "__main__":
    main()
