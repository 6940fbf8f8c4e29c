"""The web process and the worker as child processes of one command, started and ended together."""

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
# What prctl(2) of Linux is asked: a signal for us when who started us is gone.
SET_PARENT_DEATH_SIGNAL = 1


def require_free(host: str, port: int, variable: str) -> None:
    """Raises BadSettings when the port is in use."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise BadSettings(f"{variable}: port {port} on {host} cannot be used ({error.strerror})") from None


def aside(ask: Callable[..., Answer], *given: object) -> Answer:
    """What `ask` answers, in a process of its own that takes with it what it had to load."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as there:
        return there.submit(ask, *given).result()


def answers(host: str, port: int) -> bool:
    """Whether the web process there is ready."""
    # Who listens everywhere is reached here too.
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
    """`connector <command> <options>` for each; their output goes to <logs>/<command>.log, or where ours goes.

    Afterwards each is asked to stop, finishes what it has in hand, and is waited for. On Linux they are asked to stop
    too when this process is killed.
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
                start_new_session=True,  # Ctrl-C reaches us; we tell them
                preexec_fn=_ends_with_us(),
            )
        yield started


def _without_files_for(given: Mapping[str, str]) -> dict[str, str]:
    """Our environment, but for the files that were named for what is given outright."""
    return {name: value for name, value in os.environ.items() if name.upper().removesuffix(SUFFIX) not in given}


def _ends_with_us() -> Callable[[], object] | None:
    """What a child does first, so that none is left behind with nobody to look after it."""
    if sys.platform != "linux":
        return None
    import ctypes  # here: only who starts children needs it

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
    """Until one of them ends, or we are asked to. The exit status for us. `announced` is called until it is true."""
    asked, done = [], False
    previous = {number: signal.signal(number, lambda *_: asked.append(1)) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        while not asked:
            for command, process in started.items():
                with contextlib.suppress(subprocess.TimeoutExpired):
                    status = process.wait(0.2)
                    if asked:  # so were they, by a service manager
                        return 0
                    how = f"killed by {signal.Signals(-status).name}" if status < 0 else f"status {status}"
                    log.error("a process has ended, so all stop: start them again", process=command, why=how)
                    return max(status, 0) or 1
            done = done or announced()
        return 0
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
