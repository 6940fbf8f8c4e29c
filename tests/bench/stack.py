"""What is measured, as processes: the connector, and rivals. Each takes case events and texts through the upstream."""

import contextlib
import json
import secrets
import shlex
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg

from tests.bench.load import Load
from tests.bench.running import Failed, answers, command, family, wait_until_up
from tests.support.pipe import free_port

# Longer than any scenario takes: something hangs.
PATIENCE = 900.0
# The statuses that accept an event, as JSON spells them.
ACCEPTED = {"200", "202"}


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
        """Megabytes that each part has in memory, what processes share counted once, in shares."""
        return {name: sum(_resident(process) for process in part) / 1e6 for name, part in self._living()}

    def _living(self) -> list[tuple[str, list[psutil.Process]]]:
        found = {name: [one for parent in part for one in family(parent)] for name, part in self.parts.items()}
        return [(name, part) for name, part in found.items() if part]


def _cpu(process: psutil.Process) -> float:
    with contextlib.suppress(psutil.NoSuchProcess):
        times = process.cpu_times()
        return times.user + times.system
    return 0.0


def _resident(process: psutil.Process) -> float:
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.memory_full_info().pss
    return 0.0


@dataclass(frozen=True)
class Upstream:
    """The running stand-in for both remote sides."""

    url: str
    process: psutil.Process

    def stats(self) -> dict[str, Any]:
        stats: dict[str, Any] = httpx.get(f"{self.url}/_stats", trust_env=False, timeout=30).json()
        return stats

    def count(self) -> dict[str, int]:
        """How many SMS and written cases; costs next to nothing."""
        counts: dict[str, int] = httpx.get(f"{self.url}/_count", trust_env=False, timeout=30).json()
        return counts

    def reset(self) -> None:
        httpx.get(f"{self.url}/_reset", trust_env=False, timeout=30)


@contextlib.contextmanager
def upstream(delay: float = 0) -> Iterator[Upstream]:
    """The stand-in for both remote sides, on a port of its own."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with command([sys.executable, "-m", "tests.bench.upstream", str(port), str(delay)], {}) as process:
        wait_until_up(process, lambda: answers(f"{url}/_count"), "the upstream answers")
        yield Upstream(url, process)


@contextlib.contextmanager
def connector(
    there: Upstream, database: str, logs: Path, workers: int = 1, per_second: float = 0, **more: str
) -> Iterator[Stack]:
    """The connector: a web process and workers. `more` are settings without their prefix, in lower case."""
    port, token, key = free_port(), secrets.token_hex(24), secrets.token_hex(24)
    environment = {
        "CONNECTOR_DATABASE_URL": database,
        "CONNECTOR_TRIAL_WITHOUT": "hours window",
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
    with contextlib.ExitStack() as stack:
        serve, *working = (
            stack.enter_context(_connector(logs / f"{name}.log", environment))
            for name in ("serve", *(f"worker-{number}" for number in range(workers)))
        )
        output, health = logs / "serve.log", f"http://127.0.0.1:{port}/readyz"
        wait_until_up(serve, lambda: answers(health), "the web process is ready", output)
        for number, process in enumerate(working):
            output = logs / f"worker-{number}.log"
            wait_until_up(process, partial(_ready, output), f"worker {number} is ready", output)
        stack.callback(_ask_to_end, [serve, *working])
        yield Stack(
            "connector",
            f"{web}/events",
            f"{web}/outbound-messages/{token}",
            f"Bearer {key}",
            {"web": [serve], "worker": working, "database": _postgres(database)},
        )


def _ask_to_end(processes: Iterable[psutil.Process]) -> None:
    """All at once: those that are left would go on for those that have ended."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()


def _connector(output: Path, environment: Mapping[str, str]) -> contextlib.AbstractContextManager[psutil.Process]:
    """One process of it, in the folder of its log: a developer's file .env is not read."""
    name = output.stem.split("-")[0]
    return command([sys.executable, "-m", "connector", name], environment, output, output.parent)


def _ready(output: Path) -> bool:
    """Whether this worker says, in its lines of JSON, that it is ready."""
    lines = [line for line in output.read_text().splitlines() if line.startswith("{") and line.endswith("}")]
    return any(json.loads(line).get("event") == "worker ready" for line in lines)


def _postgres(database: str) -> list[psutil.Process]:
    """The server's main process, if it runs on this machine."""
    with psycopg.connect(database) as connection:
        row = connection.execute("select pg_backend_pid()").fetchone()
    with contextlib.suppress(psutil.NoSuchProcess):
        backend = psutil.Process(row[0] if row else 0)
        parent = backend.parent()
        return [parent] if parent and parent.name().startswith("postgres") else []
    return []


@contextlib.contextmanager
def naive(there: Upstream, logs: Path | None = None) -> Iterator[Stack]:
    """The naive rival, behind the server that most people take."""
    gunicorn = shlex.quote(str(Path(sys.executable).parent / "gunicorn"))
    serve = f"{gunicorn} --workers 2 --threads 16 --log-level error --bind 127.0.0.1:{{port}}"
    with rival("naive", f"{serve} tests.bench.naive:app", there, logs) as stack:
        yield stack


@contextlib.contextmanager
def rival(name: str, line: str, there: Upstream, logs: Path | None = None) -> Iterator[Stack]:
    """Any command that takes JSON at /hook on {port}, and texts through UPSTREAM. Ended with all that it started."""
    port, output = free_port(), logs and logs / f"{name}.log"
    arguments = shlex.split(line.replace("{port}", str(port)))
    with command(arguments, {"UPSTREAM": there.url, "PORT": str(port)}, output) as process:
        wait_until_up(process, lambda: answers(f"http://127.0.0.1:{port}/"), f"{name} answers", output)
        time.sleep(1)  # what it starts beside its web process
        yield Stack(name, f"http://127.0.0.1:{port}/hook", "", "", {name: [process]})


def post(load: Load) -> dict[str, Any]:
    """Have this posted by a process of its own; its figures. Raises Failed when something was not accepted."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.load", json.dumps(vars(load))],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    if done.returncode:
        raise Failed(f"the events could not be posted: {done.stderr[-500:]}")
    figures: dict[str, Any] = json.loads(done.stdout)
    if not figures["statuses"].keys() <= ACCEPTED:
        raise Failed(f"not everything was accepted: {figures['statuses']}")
    return figures
