"""Starts the processes that are measured, waits until they are up, and ends them with all that they started."""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import httpx
import psutil

from connector.environment import PREFIX

# Seconds for a process to end by itself. Its figures are taken by then: nothing is lost if it has to be killed.
STOP = 3.0


class Failed(Exception):
    """What is measured does not do what it should."""


def wait_for(look: Callable[[], object], what: str, seconds: float = 60, pause: float = 0.02) -> None:
    """Return as soon as this is so. Raises Failed when it takes too long."""
    end = time.monotonic() + seconds
    while not look():
        if time.monotonic() > end:
            raise Failed(f"did not happen: {what}")
        time.sleep(pause)


def answers(url: str) -> bool:
    """Whether there is a server that can answer."""
    try:
        return httpx.get(url, trust_env=False, timeout=5).status_code < 500
    except httpx.TransportError:
        return False


def wait_until_up(process: psutil.Process, look: Callable[[], object], what: str, output: Path | None = None) -> None:
    """Return as soon as this is so. Raises Failed when the process ends instead; the last of its output says why."""
    try:
        wait_for(lambda: _ended(process) or look(), what)
        if not _ended(process):
            return
        problem = f"did not happen: {what}; it has ended"
    except Failed as error:
        problem = str(error)
    last = output.read_text(errors="replace")[-1000:] if output else ""
    raise Failed(f"{problem}\n{last}".strip())


def _ended(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.status() == psutil.STATUS_ZOMBIE
    return True


def family(parent: psutil.Process) -> list[psutil.Process]:
    """The process and all below it; none if it has ended."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return [parent, *parent.children(recursive=True)]
    return []


@contextlib.contextmanager
def command(
    arguments: list[str], environment: Mapping[str, str], output: Path | None = None, folder: Path | None = None
) -> Iterator[psutil.Process]:
    """A process and what it starts, until the end of the block. It hears of Ctrl-C from us only."""
    if not shutil.which(arguments[0]):
        raise Failed(f"there is no command {arguments[0]}")
    with (output or Path(os.devnull)).open("wb") as log:
        started = subprocess.Popen(
            arguments,
            env=_environment(environment),
            start_new_session=True,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        yield psutil.Process(started.pid)
    finally:
        _end(started)


def _environment(more: Mapping[str, str]) -> dict[str, str]:
    """Ours without what leads elsewhere: the settings of a real connector, and proxies."""
    ours = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(PREFIX) and not name.lower().endswith("_proxy")
    }
    return ours | dict(more)


def _end(started: subprocess.Popen[bytes]) -> None:
    """Ask it and all that it started to end, and end those that do not."""
    everybody = family(psutil.Process(started.pid)) if started.poll() is None else []
    with contextlib.suppress(ProcessLookupError):
        os.killpg(started.pid, signal.SIGTERM)
    _, left = psutil.wait_procs(everybody, timeout=STOP)
    for process in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(started.pid, signal.SIGKILL)
    started.wait()
