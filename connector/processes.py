"""The web side and the worker as child processes of one command, started and ended together."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from connector.errors import BadSettings

STOP_SECONDS = 40


def require_free(host: str, port: int, variable: str) -> None:
    """Raises BadSettings when the port is in use."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise BadSettings(f"{variable}: port {port} on {host} cannot be used ({error.strerror})") from None


@contextlib.contextmanager
def children(
    commands: Sequence[str], environment: Mapping[str, str], logs: Path | None = None
) -> Iterator[list[subprocess.Popen]]:
    """`connector <command>` for each; their output goes to <logs>/<command>.log, or where ours goes.

    Afterwards each is asked to stop, finishes what it has in hand, and is waited for.
    """
    with contextlib.ExitStack() as stack:
        started: list[subprocess.Popen] = []
        stack.callback(_stop, started)
        for command in commands:
            output = stack.enter_context((logs / f"{command}.log").open("wb")) if logs else None
            started.append(
                subprocess.Popen(  # noqa: S603 - our own command
                    [sys.executable, "-m", "connector", command],
                    env={**os.environ, **environment},
                    stdout=output,
                    stderr=output,
                    start_new_session=True,  # Ctrl-C reaches us; we tell them
                )
            )
        yield started


def _stop(started: Sequence[subprocess.Popen]) -> None:
    for process in started:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
    for process in started:
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def wait(started: Sequence[subprocess.Popen]) -> int:
    """Until one of them ends, or we are asked to. The exit status for us."""
    asked = []
    previous = {number: signal.signal(number, lambda *_: asked.append(1)) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        while not asked:
            for process in started:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    return process.wait(0.2) or 1
        return 0
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
