"""`connector run` with its own PostgreSQL, as somebody has it who names no database."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from tests.conftest import server_folder
from tests.failure.org import STATUS
from tests.failure.stand import settings
from tests.failure.witness import Witness
from tests.support.pipe import free_port, wait_for
from tests.support.tls import TLS

STARTS, RECOVERS = 60.0, 15.0


@dataclass
class Running:
    """A command that runs, and what it serves."""

    witness: Witness
    process: subprocess.Popen[bytes]
    folder: Path
    web: str
    key: str

    def ready(self) -> bool:
        try:
            return httpx.get(f"{self.web}/readyz", verify=TLS, trust_env=False, timeout=5).status_code == 200
        except httpx.TransportError:
            return False

    def trigger(self, case: str) -> None:
        """Tell of a case until it is acknowledged."""
        headers = {"Authorization": f"Bearer {self.key}"}
        body = {"ticket_id": case, "event_id": f"event-{case}"}

        def acknowledged() -> bool:
            address = f"{self.web}/webhooks/salesforce/events"
            answer = httpx.post(address, json=body, headers=headers, verify=TLS, trust_env=False, timeout=20)
            return answer.status_code == 202

        wait_for(acknowledged, "the event is acknowledged")

    def await_sent(self, case: str) -> None:
        wait_for(lambda: self.witness.org.case(case)[STATUS] == "Sent", f"{case} is told", STARTS)

    def kill_the_server(self) -> None:
        """SIGKILL for PostgreSQL's main process."""
        lines = (self.folder / "data" / "postgres" / "postmaster.pid").read_text().splitlines()
        os.kill(int(lines[0]), signal.SIGKILL)


@contextlib.contextmanager
def running() -> Iterator[Running]:
    """`connector run`, ready. Not in a folder of pytest's: for root, the server belongs to another user."""
    folder, witness, port = server_folder("connector-failure-"), Witness(), free_port()
    remote = witness.listen("run")
    given = settings(witness, "", port, remote, remote)
    environment = {**os.environ, **given, "CONNECTOR_DATA_DIR": str(folder / "data")}
    with (folder / "run.log").open("wb") as log:
        command = [sys.executable, "-m", "connector", "run"]
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
    web, key = f"http://127.0.0.1:{port}", given["CONNECTOR_SALESFORCE_WEBHOOK_KEYS"]
    made = Running(witness, process, folder, web, key)
    try:
        wait_for(made.ready, f"`connector run` is ready: see {folder}/run.log", STARTS)
        yield made
    finally:
        _end(process, folder)
        witness.close()
        shutil.rmtree(folder, ignore_errors=True)


def _end(process: subprocess.Popen[bytes], folder: Path) -> None:
    """End it with everything that it has started, the server too."""
    left = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(45)
    left += [one for one in psutil.process_iter(["cmdline"]) if str(folder) in " ".join(one.info["cmdline"] or [])]
    for kill in (process.kill, *(one.kill for one in left)):
        with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
            kill()
    process.wait(10)


def its_server_is_killed() -> None:
    """PostgreSQL is killed: it is served again within 15 seconds, or the command ends with a status."""
    with running() as command:
        [before, after] = command.witness.org.make_cases(2)
        command.trigger(before)
        command.await_sent(before)
        command.kill_the_server()
        wait_for(lambda: command.process.poll() is not None or not command.ready(), "the server is missed")

        wait_for(lambda: command.process.poll() is not None or command.ready(), "served again, or ended", RECOVERS)

        if command.process.poll() is None:
            command.trigger(after)
            command.await_sent(after)
        else:
            assert command.process.returncode > 0
