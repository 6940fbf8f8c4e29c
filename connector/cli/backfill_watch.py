"""Watch a back-fill until it ends. Ctrl-C or the end of the terminal pauses it."""

import contextlib
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Protocol

import psycopg
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn
from rich.text import Text

from connector import harmless
from connector.backfill import operations, plans
from connector.backfill.plans import ACTIVE, Plan, PlanState
from connector.cli import backfill_report, output
from connector.model import OUTCOMES, State
from connector.store import audit, leases

# Seconds: between two polls; until a run whose command has died is paused; until a run without progress is reported.
POLL_SECONDS, WATCHED_SECONDS, WARN_SECONDS = 0.5, 15.0, 20.0
# Seconds between two lines of progress when there is no terminal.
LINE = 10.0
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

NO_WORKER = "No worker is running: nothing is sent until one runs. Start one with: connector run, or worker"

Tally = Mapping[str, int]


class Show(Protocol):
    """Displays the progress of a run."""

    def __call__(self, plan: Plan, tally: Tally) -> None: ...

    def say(self, words: str) -> None: ...


def watch(connection: psycopg.Connection, name: str, interrupted: threading.Event) -> int:
    """Watch a plan until it ends or is interrupted, which pauses it. Return the exit status."""
    with _screen() if sys.stderr.isatty() else _lines() as show:
        _until_over(connection, name, show, interrupted)
    return backfill_report.status(connection, name, as_json=False)


def warn_without_worker(connection: psycopg.Connection) -> None:
    """Say on standard error that the plan waits, where no worker runs."""
    if not leases.heard(connection).lately:
        output.say(NO_WORKER, err=True)


@contextlib.contextmanager
def interruptible() -> Iterator[threading.Event]:
    """An event that Ctrl-C, SIGTERM and SIGHUP set. Inside the block they do not end the process."""
    interrupted = threading.Event()
    before = {one: signal.signal(one, lambda *_: interrupted.set()) for one in SIGNALS}
    try:
        yield interrupted
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def _until_over(connection: psycopg.Connection, name: str, show: Show, interrupted: threading.Event) -> None:
    since, before, warned = time.monotonic(), None, False
    while True:
        plan, tally = plans.found(connection, name), plans.tally(connection, name)
        show(plan, tally)
        if plan.state not in ACTIVE:
            return
        if interrupted.is_set():
            _pause(connection, name, show)
            return
        if (plan.state, tally) != before:
            since, before = time.monotonic(), (plan.state, tally)
        elif plan.state is not PlanState.COOLING and time.monotonic() - since > WARN_SECONDS and not warned:
            held = plans.held(connection, name)
            show.say(
                f"{output.count(held, 'text')} held until the hours open; until when: connector texts list --held"
                if held
                else "Nothing happens. Why, may be said by: connector status"
                if leases.heard(connection).lately
                else NO_WORKER
            )
            warned = True
        plans.watch(connection, name, WATCHED_SECONDS)
        interrupted.wait(POLL_SECONDS)


def _pause(connection: psycopg.Connection, name: str, show: Show) -> None:
    """Pause the plan: take back unsent texts, then wait for those being sent."""
    if operations.halt(connection, name, audit.this_user(), PlanState.PAUSED, "interrupted") is None:
        return
    show.say("Pausing: waiting for texts that are being sent …")
    end = time.monotonic() + WATCHED_SECONDS
    while plans.tally(connection, name).get(State.SENDING) and time.monotonic() < end:
        time.sleep(POLL_SECONDS)


class _Rate(ProgressColumn):
    """Texts per second, and the time left at this rate."""

    def render(self, task: Task) -> Text:
        if not task.speed:
            return Text("")
        left = (
            "" if task.remaining is None else f", {backfill_report.duration(round(task.remaining / task.speed))} left"
        )
        return Text(f"{task.speed:.1f}/s{left}")


@contextlib.contextmanager
def _screen() -> Iterator[Show]:
    """Show a progress bar that fits 80 columns."""
    console = Console(stderr=True, highlight=False)
    columns = (TextColumn("{task.description}"), BarColumn(16), MofNCompleteColumn(), _Rate())
    with Progress(*columns, console=console, transient=True, speed_estimate_period=60) as bar:
        task = bar.add_task("starting", total=None)

        class OnScreen:
            def __call__(self, plan: Plan, tally: Tally) -> None:
                bar.update(task, description=_description(plan), total=sum(tally.values()), completed=_over(tally))

            def say(self, words: str) -> None:
                console.print(Text(harmless.on_screen(words)))

        yield OnScreen()


@contextlib.contextmanager
def _lines() -> Iterator[Show]:
    """Print a line with the time whenever the state changes, and every LINE seconds."""
    last, shown = 0.0, ""

    class InLines:
        def __call__(self, plan: Plan, tally: Tally) -> None:
            nonlocal last, shown
            if plan.state != shown or time.monotonic() - last >= LINE:
                last, shown = time.monotonic(), plan.state
                self.say(f"{_description(plan)}  {backfill_report.line(tally)}")

        def say(self, words: str) -> None:
            output.say(f"{datetime.now(UTC):%H:%M:%S} UTC  {words}", err=True)

    yield InLines()


def _over(tally: Tally) -> int:
    return sum(tally.get(state, 0) for state in OUTCOMES)


def _description(plan: Plan) -> str:
    if plan.state is PlanState.COOLING and plan.cooling_until:
        left = max(round((plan.cooling_until - datetime.now(UTC)).total_seconds()), 0)
        return f"{plan.state}, {left} s"
    return plan.state.value
