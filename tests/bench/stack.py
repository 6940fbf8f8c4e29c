"""What is measured, as processes: the connector, and rivals. Each takes case events and texts through the upstream."""

import contextlib
import json
import os
import secrets
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil

from connector import processes
from tests.bench.load import Load
from tests.pipe import free_port

# Longer than any scenario takes: something hangs.
PATIENCE = 900.0


@dataclass(frozen=True)
class Stack:
    """Something that takes case events. `hook` takes one JSON event, `messages` (ours only) outbound messages."""

    name: str
    hook: str
    messages: str
    authorization: str
    parts: Mapping[str, list[psutil.Process]]

    def load(self, events: int, first: int, connections: int = 16, batch: int = 0) -> Load:
        url = self.messages if batch else self.hook
        return Load(url, events, first, connections, batch, "" if batch else self.authorization)

    def cpu(self) -> dict[str, float]:
        """Seconds of CPU that each part has used so far."""
        return {name: sum(_cpu(process) for process in part) for name, part in self._living()}

    def memory(self) -> dict[str, float]:
        """Megabytes that each part has in memory, what its processes share counted once for each."""
        return {name: sum(_rss(process) for process in part) / 1e6 for name, part in self._living()}

    def _living(self) -> list[tuple[str, list[psutil.Process]]]:
        found = {name: [one for parent in part for one in _family(parent)] for name, part in self.parts.items()}
        # What the parts have in common, such as nothing of ours, is not counted twice.
        return [(name, part) for name, part in found.items() if part]


def _family(parent: psutil.Process) -> list[psutil.Process]:
    with contextlib.suppress(psutil.NoSuchProcess):
        return [parent, *parent.children(recursive=True)]
    return []


def _cpu(process: psutil.Process) -> float:
    with contextlib.suppress(psutil.NoSuchProcess):
        times = process.cpu_times()
        return times.user + times.system
    return 0.0


def _rss(process: psutil.Process) -> float:
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.memory_info().rss
    return 0.0


@dataclass(frozen=True)
class Upstream:
    """The running stand-in for both remote sides."""

    url: str
    process: psutil.Process

    def stats(self) -> dict[str, Any]:
        return httpx.get(f"{self.url}/_stats", trust_env=False, timeout=30).json()

    def reset(self) -> None:
        httpx.get(f"{self.url}/_reset", trust_env=False, timeout=30)


def wait_for(look: Callable[[], object], what: str, seconds: float = 60, pause: float = 0.02) -> None:
    end = time.monotonic() + seconds
    while not look():
        if time.monotonic() > end:
            raise TimeoutError(f"did not happen: {what}")
        time.sleep(pause)


def answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False, timeout=5).status_code < 500
    except httpx.TransportError:
        return False


@contextlib.contextmanager
def upstream(delay: float = 0) -> Iterator[Upstream]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with _command([sys.executable, "-m", "tests.bench.upstream", str(port), str(delay)], {}) as process:
        wait_for(lambda: answers(f"{url}/_stats"), "the upstream answers")
        yield Upstream(url, process)


@contextlib.contextmanager
def connector(
    there: Upstream, database: str, logs: Path, workers: int = 1, per_second: float = 0, **more: str
) -> Iterator[Stack]:
    """The connector: a web side and workers. `more` are settings without their prefix, in lower case."""
    port, token, key = free_port(), secrets.token_hex(24), secrets.token_hex(24)
    environment = {
        "CONNECTOR_DATABASE_URL": database,
        "CONNECTOR_HOST": "127.0.0.1",
        "CONNECTOR_PORT": str(port),
        "CONNECTOR_CCAIP_URL": there.url,
        "CONNECTOR_CCAIP_SUBDOMAIN": "bench",
        "CONNECTOR_CCAIP_TOKEN": "bench",
        "CONNECTOR_CCAIP_OUTBOUND_NUMBER": "+16285550199",
        "CONNECTOR_CCAIP_REQUESTS_PER_SECOND": str(per_second),
        "CONNECTOR_SALESFORCE_URL": there.url,
        "CONNECTOR_SALESFORCE_CLIENT_ID": "bench",
        "CONNECTOR_SALESFORCE_CLIENT_SECRET": "bench",
        "CONNECTOR_SALESFORCE_ORGANIZATION_ID": "00D000000000001EAA",
        "CONNECTOR_SALESFORCE_OUTBOUND_MESSAGE_TOKENS": token,
        "CONNECTOR_SALESFORCE_WEBHOOK_KEYS": key,
    } | {f"CONNECTOR_{name.upper()}": value for name, value in more.items()}
    web = f"http://127.0.0.1:{port}/webhooks/salesforce"
    commands = ["serve", *["worker"] * workers]
    with processes.children(commands, environment, logs) as started:
        found = [psutil.Process(process.pid) for process in started]
        wait_for(lambda: answers(f"http://127.0.0.1:{port}/readyz"), "the web side is ready")
        ready = logs / "worker.log"
        wait_for(lambda: ready.read_text().count("worker ready") >= 1, "the workers are ready")
        yield Stack(
            "connector", f"{web}/events", f"{web}/outbound-messages/{token}", f"Bearer {key}",
            {"web": found[:1], "worker": found[1:], "database": _postgres(database)},
        )  # fmt: skip


def _postgres(database: str) -> list[psutil.Process]:
    """The server's main process, if it runs on this machine."""
    import psycopg

    with psycopg.connect(database) as connection:
        row = connection.execute("select pg_backend_pid()").fetchone()
    with contextlib.suppress(psutil.NoSuchProcess):
        backend = psutil.Process(row[0] if row else 0)
        return [parent] if (parent := backend.parent()) else []
    return []


@contextlib.contextmanager
def naive(there: Upstream) -> Iterator[Stack]:
    """The naive rival behind the same server as ours."""
    serve = "granian --interface wsgi --workers 2 --blocking-threads 16 --no-ws --log-level error --port {port}"
    with rival("naive", f"{Path(sys.executable).parent}/{serve} tests.bench.naive:app", there) as stack:
        yield stack


@contextlib.contextmanager
def rival(name: str, command: str, there: Upstream) -> Iterator[Stack]:
    """Any command that takes JSON at /hook on {port}, and texts through UPSTREAM. Ended with all that it started."""
    port = free_port()
    arguments = shlex.split(command.format(port=port))
    with _command(arguments, {"UPSTREAM": there.url, "PORT": str(port)}) as process:
        wait_for(lambda: answers(f"http://127.0.0.1:{port}/"), f"{name} answers")
        time.sleep(1)  # what it starts beside its web side
        yield Stack(name, f"http://127.0.0.1:{port}/hook", "", "", {name: [process]})


@contextlib.contextmanager
def _command(arguments: list[str], environment: Mapping[str, str]) -> Iterator[psutil.Process]:
    started = subprocess.Popen(
        arguments, env={**os.environ, **environment}, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield psutil.Process(started.pid)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(started.pid, signal.SIGTERM)
        try:
            started.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(started.pid, signal.SIGKILL)
            started.wait()


def post(load: Load) -> dict[str, Any]:
    """Have this posted by a process of its own; its figures."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.load", json.dumps(vars(load))],
        capture_output=True, text=True, check=True, timeout=PATIENCE,
    )  # fmt: skip
    return json.loads(done.stdout)
