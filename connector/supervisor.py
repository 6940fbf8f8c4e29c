"""Run the web process and the worker as child processes of one command, started and stopped together."""

import contextlib
import http.client
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

import structlog

from connector.errors import BadSettings
from connector.secret_files import SUFFIX

log = structlog.get_logger()

Answer = TypeVar("Answer")

STOP_SECONDS = 40
# Option of prctl(2) on Linux: send this process a signal when its parent has ended.
SET_PARENT_DEATH_SIGNAL = 1


def require_free(host: str, port: int, variable: str) -> None:
    """Raise BadSettings when the port is in use."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise BadSettings(f"{variable}: port {port} on {host} cannot be used ({error.strerror})") from None


def aside(ask: Callable[..., Answer], *given: object) -> Answer:
    """Return the result of `ask`, run in a process of its own. What it loads is freed with that process.

    On Linux, that process ends with this one, which a signal may end at once.
    """
    with ProcessPoolExecutor(1, multiprocessing.get_context("fork"), initializer=_ends_with_us()) as there:
        return there.submit(ask, *given).result()


def answers(host: str, port: int) -> bool:
    """Return whether the web process at this address is ready."""
    # A server that listens on all interfaces is reached on loopback too.
    connection = http.client.HTTPConnection({"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), port, timeout=1)  # noqa: S104
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


@contextlib.contextmanager
def children(
    commands: Sequence[str], environment: Mapping[str, str], logs: Path | None = None, options: Sequence[str] = ()
) -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    """Run `connector <command> <options>` for each command.

    Output goes to <logs>/<command>.log, or where this process's output goes. At the end of the block, each child is
    asked to stop, finishes the work in progress, and is waited for. On Linux, the children are asked to stop when this
    process is killed, too.
    """
    with contextlib.ExitStack() as stack:
        started: dict[str, subprocess.Popen[bytes]] = {}
        stack.callback(_stop, started)
        for command in commands:
            output = stack.enter_context((logs / f"{command}.log").open("wb")) if logs else None
            started[command] = subprocess.Popen(  # noqa: S603 - our own command
                [sys.executable, "-m", "connector", command, *options],
                env={**_without_files_for(environment), **environment},
                stdout=output,
                stderr=output,
                start_new_session=True,  # Ctrl-C reaches this process only, which stops the children
                preexec_fn=_ends_with_us(),
            )
        yield started


def _without_files_for(given: Mapping[str, str]) -> dict[str, str]:
    """Return this process's environment, without the secret files of settings that are given directly."""
    return {name: value for name, value in os.environ.items() if name.upper().removesuffix(SUFFIX) not in given}


def _ends_with_us() -> Callable[[], object] | None:
    """Return the first action of a child, which keeps it from running on without its parent."""
    if sys.platform != "linux":
        return None
    import ctypes  # here: needed only where children are started

    return partial(ctypes.CDLL(None).prctl, SET_PARENT_DEATH_SIGNAL, signal.SIGTERM)


def _stop(started: Mapping[str, subprocess.Popen[bytes]]) -> None:
    for process in started.values():
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
    for process in started.values():
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def wait(started: Mapping[str, subprocess.Popen[bytes]], announced: Callable[[], bool] = lambda: True) -> int:
    """Wait until a child ends or a stop signal arrives; return the exit status. Call `announced` until it is true."""
    asked, done = [], False
    previous = {number: signal.signal(number, lambda *_: asked.append(1)) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        while not asked:
            for command, process in started.items():
                with contextlib.suppress(subprocess.TimeoutExpired):
                    status = process.wait(0.2)
                    if asked:  # a service manager signals the children too
                        return 0
                    how = f"killed by {signal.Signals(-status).name}" if status < 0 else f"status {status}"
                    log.error("a process has ended, so all stop: start them again", process=command, why=how)
                    return max(status, 0) or 1
            done = done or announced()
        return 0
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
