"""A test stand: web process and workers as real processes, between an independent witness and a real database."""

import contextlib
import json
import os
import secrets
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
from psycopg.conninfo import make_conninfo

from tests.failure.databases import Database
from tests.failure.org import ORGANIZATION, STATUS
from tests.failure.processes import Command, Disturbances
from tests.failure.proxy import Address, Carrier, Proxy
from tests.failure.texting import OUTBOUND_NUMBER, SUBDOMAIN
from tests.failure.witness import Witness
from tests.support.command import started
from tests.support.pipe import free_port, wait_for
from tests.support.tls import TLS

COMMAND_SECONDS = 60.0
MAX_LINE = 4_000
# Within so many seconds a worker that is silent has been given up, and what it had in hand has been found.
GIVEN_UP = 100.0
FINAL = ("Sent", "Skipped", "Failed", "Unknown")


def settings(witness: Witness, url: str, port: int, sms: Address, crm: Address) -> dict[str, str]:
    """The settings that connect a process with the witness and with a database."""
    return {
        "CONNECTOR_DATABASE_URL": url,
        "CONNECTOR_TRIAL_WITHOUT": "hours window",
        "CONNECTOR_PORT": str(port),
        "CONNECTOR_CCAIP_URL": f"http://{sms[0]}:{sms[1]}",
        "CONNECTOR_CCAIP_SUBDOMAIN": SUBDOMAIN,
        "CONNECTOR_CCAIP_TOKEN": witness.texting.token,
        "CONNECTOR_CCAIP_OUTBOUND_NUMBER": OUTBOUND_NUMBER,
        "CONNECTOR_CCAIP_REQUESTS_PER_SECOND": "0",
        "CONNECTOR_WRITE_BACK_HOLD_SECONDS": "1",
        "CONNECTOR_SALESFORCE_URL": f"http://{crm[0]}:{crm[1]}",
        "CONNECTOR_SALESFORCE_CLIENT_ID": witness.org.client,
        "CONNECTOR_SALESFORCE_CLIENT_SECRET": witness.org.secret,
        "CONNECTOR_SALESFORCE_ORGANIZATION_ID": ORGANIZATION,
        "CONNECTOR_SALESFORCE_WEBHOOK_KEYS": witness.key,
    }


class Stand:
    """A running connector, and all that can happen to it."""

    def __init__(self, witness: Witness, carrier: Carrier, database: Database, logs: Path, **more: str) -> None:
        self.witness, self.database, self.logs = witness, database, logs
        self._carrier, self._port = carrier, free_port()
        self._more = {f"CONNECTOR_{name.upper()}": value for name, value in more.items()}
        self.disturbances = database.disturbances
        self.web = f"http://127.0.0.1:{self._port}"
        self.web_side = self.command("serve", "serve", ready=lambda _: self.ready())
        self.workers: list[Command] = []
        self._api_key = ""
        self._operator = witness.listen("operator")
        self._http = httpx.Client(verify=TLS, trust_env=False, timeout=30)

    def command(self, name: str, *arguments: str, ready: Any) -> Command:
        """A command with ways of its own; not started."""
        remote = self.witness.listen(name)
        ways = {
            "database": Proxy(self._carrier, self.database.address),
            "sms": Proxy(self._carrier, remote),
            "crm": Proxy(self._carrier, remote),
        }
        environment = self.environment(*(way.address for way in ways.values()))
        return Command(name, list(arguments), environment, self.logs / f"{name}.log", ready, ways, self.disturbances)

    def environment(self, database: Any, sms: Any, crm: Any) -> dict[str, str]:
        """The settings of a process that reaches the three by these addresses; `database` may be a whole URL."""
        url = database if isinstance(database, str) else self._url_by(*database)
        return settings(self.witness, url, self._port, sms, crm) | self._more

    def _url_by(self, host: str, port: int) -> str:
        return make_conninfo(self.database.url, host=host, port=port)

    def add_worker(self, shift: str = "") -> Command:
        """One more worker, started; its clock may be off, such as by "+3600s"."""
        worker = self.command(f"worker{len(self.workers)}", "worker", ready=lambda log: "worker ready" in log)
        worker.shift(shift)
        self.workers.append(worker)
        worker.start()
        return worker

    def ready(self) -> bool:
        """What /readyz says."""
        try:
            return httpx.get(f"{self.web}/readyz", verify=TLS, trust_env=False, timeout=5).status_code == 200
        except httpx.TransportError:
            return False

    def post_events(self, *tickets: str, event_id: str = "") -> httpx.Response:
        """Triggers: JSON events about these cases, in one message. Raises httpx.TransportError."""
        name = event_id or secrets.token_hex(8)
        body = [{"ticket_id": ticket, "event_id": f"{name}-{at}"} for at, ticket in enumerate(tickets)]
        headers = {"Authorization": f"Bearer {self.witness.key}"}
        return self._http.post(f"{self.web}/webhooks/salesforce/events", json=body, headers=headers)

    def trigger(self, *tickets: str) -> list[int]:
        """Triggers about these cases, acknowledged; the ids of their texts."""
        name = secrets.token_hex(8)

        def acknowledged() -> list[int] | None:
            answer = self.post_events(*tickets, event_id=name)
            assert answer.status_code in (202, 503), answer.text
            return [one["text"] for one in answer.json()["texts"]] if answer.status_code == 202 else None

        return wait_for(acknowledged, "the events are acknowledged")

    def api(self, method: str, path: str, **more: Any) -> httpx.Response:
        """Ask the API, with a key that has all rights. Raises httpx.TransportError."""
        headers = {"Authorization": f"Bearer {self.api_key}"} | more.pop("headers", {})
        return self._http.request(method, f"{self.web}/v1{path}", headers=headers, **more)

    def click(self, ticket: str, key: str = "", wait: float = 0) -> httpx.Response:
        """An agent asks for a text. Raises httpx.TransportError."""
        headers = {"Idempotency-Key": key or secrets.token_hex(8)}
        return self.api("POST", f"/texts?wait={wait}", json={"ticket_id": ticket}, headers=headers)

    @property
    def api_key(self) -> str:
        if not self._api_key:
            rights = [word for right in ("preview", "send", "read") for word in ("--right", right)]
            added = self.run("keys", "add", "agents", *rights, "--per-minute", "1000000")
            self._api_key = added.stdout.strip().splitlines()[-1]
        return self._api_key

    def run(self, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
        """An operator's command, on a machine with ways that nothing happens to."""
        environment = {**os.environ, **self.environment(self.database.url, self._operator, self._operator)}
        return started(arguments, environment, given=given, patience=COMMAND_SECONDS)

    def says(self, ticket: str) -> str:
        """What a case says of its text."""
        return str(self.witness.org.case(ticket)[STATUS])

    def await_told(self, tickets: Sequence[str], patience: float, *words: str) -> None:
        """Wait until each of these cases says one of these words; without any, anything final."""

        def waiting() -> dict[str, str]:
            said = {ticket: self.says(ticket) for ticket in tickets}
            return {ticket: one for ticket, one in said.items() if one not in (words or FINAL)}

        end = time.monotonic() + patience
        while left := waiting():
            if time.monotonic() > end:
                shown = dict(list(left.items())[:5])
                raise AssertionError(f"{len(left)} of {len(tickets)} cases say something else: {shown}")
            time.sleep(0.05)

    def await_settled(self, patience: float) -> None:
        """Wait until nothing is left to be done."""
        wait_for(lambda: not self.database.waiting(), "everything is settled", patience)

    def plan(self, *cases: str, where: str = "") -> str:
        """Plan a back-fill of these cases, or of those that a condition finds; its id."""
        which = ["--where", where] if where else ["--ids", "-"]
        planned = self.run("backfill", "salesforce", *which, "--json", given="\n".join(cases))
        assert planned.returncode == 0, planned.stderr
        return str(json.loads(planned.stdout)["plan"])

    def run_plan(self, plan: str) -> None:
        """Let the workers run a plan, without a canary and whatever fails."""
        rest = ("--canary", "0", "--cooling-off", "0", "--max-failed", "100", "--detach")
        ran = self.run("backfill", "run", plan, *rest)
        assert ran.returncode == 0, ran.stderr

    def heal(self) -> None:
        """Nothing is wrong any more; whoever was killed lives again."""
        self.witness.faults.clear()
        for command in (self.web_side, *self.workers):
            for way in command.ways.values():
                way.mend()
            command.thaw()
            if command.process and not command.lives:
                command.start()
        for one in self.disturbances:
            if one.end == float("inf"):
                one.over()

    def stop(self) -> dict[str, int]:
        """Ask all to stop; their exit statuses."""
        return {command.name: command.stop() for command in (self.web_side, *self.workers) if command.process}

    def end(self) -> None:
        """Leave nothing behind."""
        self._http.close()
        for command in (self.web_side, *self.workers):
            command.end()
            for way in command.ways.values():
                way.cut()

    def log(self) -> str:
        """What all processes have logged."""
        return "".join(path.read_text() for path in sorted(self.logs.glob("*.log")))

    def indiscretions(self) -> list[str]:
        """What stands in the logs and must not: secrets, whole numbers, tracebacks, endless lines."""
        secret = (
            self.witness.key,
            self._api_key,
            self.witness.texting.token,
            self.witness.org.secret,
            "news on your case",
        )
        numbers = {entry.request.number for entry in self.witness.journal if entry.request.number} - {OUTBOUND_NUMBER}
        found = []
        for line in self.log().splitlines():
            if any(one and one in line for one in (*secret, *numbers)) or "Traceback" in line:
                found.append(line[:500])
            elif len(line) > MAX_LINE:
                found.append(f"{len(line)} characters: {line[:500]}")
        return found


@contextlib.contextmanager
def stand(server: str, url: str, logs: Path, workers: int = 2, **more: str) -> Iterator[Stand]:
    """A stand with a web process and so many workers, ready. `more` are settings without their prefix."""
    logs.mkdir(parents=True, exist_ok=True)
    carrier, witness = Carrier(), Witness()
    made: Stand | None = None
    try:
        made = Stand(witness, carrier, Database(server, url, Disturbances()), logs, **more)
        made.web_side.start()
        for _ in range(workers):
            made.add_worker()
        for command in (made.web_side, *made.workers):
            command.await_ready()
        yield made
        assert not witness.errors, witness.errors[0]
    finally:
        if made:
            made.end()
        witness.close()
        carrier.close()
