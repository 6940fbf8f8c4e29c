"""The promise while everything breaks: web process and workers die at any moment, the remote sides drop, lie and stall.

Seeded, and as long as wanted:

    CONNECTOR_TEST_CRASH_SECONDS=3600 CONNECTOR_TEST_SEED=7 make test ARGS="tests/e2e/test_crashes.py -s"

The sandbox is the witness: it alone knows which texts have left.
"""

import contextlib
import os
import random
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import psycopg
from psycopg.rows import dict_row

from connector.cli import demo
from connector.model import Channel, TextRequest, TicketEvent
from connector.sandbox import Sandbox
from connector.store import api_keys, events
from connector.store.api_keys import Right
from tests.conftest import created
from tests.support.pipe import free_port
from tests.support.tls import TLS

SECONDS = float(os.environ.get("CONNECTOR_TEST_CRASH_SECONDS", "25"))
SEED = int(os.environ.get("CONNECTOR_TEST_SEED", "0")) or random.SystemRandom().randrange(1, 10**6)
# A dead worker's jobs are handed on after half a minute; a text and its write-back may both be met by it.
PATIENCE = 150.0
FINAL = {"sent": "Sent", "failed": "Failed", "skipped": "Skipped", "unknown": "Unknown"}


class Mortal:
    """A command of the connector that is started again whenever it was killed."""

    def __init__(self, command: str, environment: Mapping[str, str], log: Path) -> None:
        self._command, self._environment, self._log = command, {**os.environ, **environment}, log
        self.deaths = 0
        self._start()

    def _start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "connector", self._command],
                env=self._environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def kill(self) -> None:
        """kill -9, of everything that the command has started too; and the next life."""
        self._end(signal.SIGKILL)
        self.deaths += 1
        self._start()

    def stop(self) -> int:
        """A clean end: the exit status."""
        return self._end(signal.SIGTERM)

    def _end(self, number: int) -> int:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)
        return self._process.wait(60)


class Senders:
    """Ask for texts by every channel, and ask again until it is acknowledged, as CRMs, pages and scripts do."""

    def __init__(self, box: Sandbox, web: str, url: str, key: str, chance: random.Random) -> None:
        self.box, self._web, self._url, self._key, self._chance = box, web, url, key, chance
        with psycopg.connect(url, autocommit=True) as connection:
            self._api_key = api_keys.add(connection, "agents", [Right.SEND], 1_000_000)
        self.acknowledged: list[str] = []
        self.taken: list[int] = []
        self.cases: list[str] = []
        self.statuses: Counter[int | str] = Counter()

    def work(self, done: Callable[[], bool]) -> None:
        while not done():
            [case] = self.box.salesforce.make_cases(1)
            self.cases.append(case)
            self.box.salesforce.request_text(case)  # the sandbox sends its outbound message
            channels = [self._event, self._event, self._click, self._batch]
            for channel in self._chance.sample(channels, self._chance.choice([0, 1, 2])):
                channel(case)

    def _event(self, case: str) -> None:
        """By JSON, as a trigger."""
        event_id = secrets.token_hex(8)
        self._post("/webhooks/salesforce/events", self._key, {"ticket_id": case, "event_id": event_id}, "")
        self.acknowledged.append(f"json:{event_id}")

    def _click(self, case: str) -> None:
        """By the API, as an agent: the same key until there is an answer."""
        path = f"/v1/texts?wait={self._chance.choice([0, 1])}"
        answer = self._post(path, self._api_key or "", {"ticket_id": case}, secrets.token_hex(8))
        self.taken.append(answer.json()["id"])

    def _batch(self, case: str) -> None:
        """By the library, as a back-fill."""
        with psycopg.connect(self._url, autocommit=True) as connection:
            event = TicketEvent(
                "salesforce", f"batch:{case}", case, channel=Channel.BATCH, request=TextRequest(rule="requested")
            )
            self.taken += [one.text for one in events.save(connection, [event]) if one.text]

    def _post(self, path: str, key: str, body: dict[str, Any], idempotency_key: str) -> httpx.Response:
        """Again and again, until it is acknowledged."""
        headers = {"Authorization": f"Bearer {key}"} | ({"Idempotency-Key": idempotency_key} if idempotency_key else {})
        while True:
            try:
                answer = httpx.post(
                    f"{self._web}{path}", json=body, headers=headers, verify=TLS, trust_env=False, timeout=20
                )
                self.statuses[answer.status_code] += 1
                if answer.status_code in (200, 202):
                    return answer
                assert answer.status_code == 503, answer.text
            except httpx.TransportError as error:
                self.statuses[type(error).__name__] += 1
            time.sleep(0.2)


def break_something(box: Sandbox, chance: random.Random) -> None:
    """One of what goes wrong out there, with the next calls."""
    faults: list[Callable[[], object]] = [
        lambda: box.faults.add("drop_after", side="ccaip", route="sms"),
        lambda: box.faults.add("drop_before", side="ccaip", route="sms"),
        lambda: box.faults.add("malformed", side="ccaip", route="sms"),
        lambda: box.faults.add("status", side="ccaip", route="sms", status=502),
        lambda: box.faults.add("status", side="ccaip", status=429, headers={"Retry-After": "1"}),
        lambda: box.faults.add("delay", side="ccaip", route="sms", seconds=1, times=5),
        lambda: box.faults.add("lock_row", side="salesforce", times=3),
        lambda: box.faults.add("drop_after", side="salesforce", route="update_many"),
        lambda: box.faults.add("status", side="salesforce", route="query", status=503),
        lambda: box.faults.add("malformed", side="salesforce", route="query"),
        box.salesforce.tokens.expire,
    ]
    chance.choice(faults)()


@contextlib.contextmanager
def alive(box: Sandbox, url: str, logs: Path) -> Iterator[tuple[list[Mortal], str, str]]:
    """A web process and two workers; at the end they are asked to stop, and stop in order."""
    port, token, key = free_port(), secrets.token_hex(24), secrets.token_hex(24)
    environment = demo.environment(box, url, port, token) | {
        "CONNECTOR_SALESFORCE_WEBHOOK_KEYS": key,
        "CONNECTOR_CCAIP_REQUESTS_PER_SECOND": "60",
        "CONNECTOR_CCAIP_READ_TIMEOUT": "5",
        "CONNECTOR_WRITE_BACK_HOLD_SECONDS": "1",
    }
    box.salesforce.settings.outbound_message_url = (
        f"http://127.0.0.1:{port}/webhooks/salesforce/outbound-messages/{token}"
    )
    mortals = [
        Mortal(command, environment, logs / f"{name}.log")
        for command, name in (("serve", "serve"), ("worker", "worker1"), ("worker", "worker2"))
    ]
    try:
        yield mortals, f"http://127.0.0.1:{port}", key
    finally:
        stopped = [mortal.stop() for mortal in mortals]
    assert stopped == [0, 0, 0]


def rows(url: str, query: str) -> list[dict[str, Any]]:
    with psycopg.connect(url, autocommit=True, row_factory=dict_row) as connection:
        return connection.execute(query).fetchall()


def delivered(box: Sandbox) -> bool:
    """Whether every outbound message was acknowledged: one that met a dead web process is sent again after a while."""
    messages = box.salesforce.stats()["outbound_messages"]
    return bool(messages["sent"] == messages["acked"])


def settled(url: str) -> bool:
    """Whether every text is over and its ticket told."""
    return not rows(url, "select 1 from texts where state in ('received', 'queued', 'sending') or outcome > written")


def check(box: Sandbox, url: str, senders: Senders) -> Counter[str]:
    """What was promised, by the witness's word. How many texts are in which state."""
    texts = rows(url, "select texts.*, events.event_id from events left join texts on texts.event = events.id")
    by_event = {text["event_id"]: text for text in texts}
    assert [event for event in senders.acknowledged if event not in by_event] == [], "acknowledged, and lost"
    assert set(senders.taken) <= {text["id"] for text in texts}, "taken in, and lost"
    assert {text["state"] for text in texts} <= FINAL.keys()
    assert box.ccaip.stats()["doubled_texts"] == {}, "a ticket was texted twice"
    witnessed = {text.ticket_id: text.chat_id for text in box.ccaip.texts}
    for case in senders.cases:
        fields = box.salesforce.case(case)
        told, chat = fields["CCAIP_SMS_Status__c"], fields["CCAIP_Chat_Id__c"]
        if told == "Sent":
            assert chat == str(witnessed[case])
        elif told != "Unknown":
            assert told in ("Failed", "Skipped"), f"{case} was never told: {told}"
            assert case not in witnessed or failed_later(texts, case), f"{case} was texted: {_story(texts, case)}"
    return Counter(text["state"] for text in texts)


def failed_later(texts: list[dict[str, Any]], case: str) -> bool:
    """Whether the case was told of its text, and then of a later request that failed."""
    own = [text for text in texts if text["ticket_id"] == case and text["same_as"] is None and text["outcome"]]
    newest = max(own, key=lambda text: text["known"])
    return newest["state"] == "failed" and any(text["state"] == "sent" and text["notified"] for text in own)


def _story(texts: list[dict[str, Any]], case: str) -> list[tuple[Any, ...]]:
    names = ("id", "channel", "state", "why", "same_as", "outcome", "written", "write_refused")
    return [tuple(text[name] for name in names) for text in texts if text["ticket_id"] == case]


def all_channels(url: str) -> bool:
    """Whether texts were requested over every channel."""
    channels = Counter(text["channel"] for text in rows(url, "select channel from texts"))
    return min(channels[channel] for channel in Channel) > 5


def test_nothing_is_lost_doubled_or_guessed_whatever_dies(server: str, template: str, tmp_path: Path) -> None:
    chance, other = random.Random(SEED), random.Random(SEED + 1)  # noqa: S311 - no secret
    print(f"\nseed {SEED}, {SECONDS:.0f} s")
    with (
        Sandbox(port=0, requests_per_second=0, retry_pause_seconds=0.2, every_change_twice=True).running() as box,
        created(server, f"connector_crash_{os.getpid()}", template) as url,
        alive(box, url, tmp_path) as (mortals, web, key),
    ):
        end, over = time.monotonic() + SECONDS, threading.Event()
        senders = Senders(box, web, url, key, other)
        threads = [threading.Thread(target=senders.work, args=(over.is_set,)) for _ in range(3)]
        for thread in threads:
            thread.start()
        # Longer on a slow machine, where the processes that were killed take long to start again.
        while time.monotonic() < end or (time.monotonic() < end + PATIENCE and not all_channels(url)):
            time.sleep(chance.uniform(0.1, 0.8))
            break_something(box, chance)
            if chance.random() < 0.25:
                chance.choice(mortals).kill()
        over.set()
        for thread in threads:
            thread.join()
        box.faults.clear()
        deadline = time.monotonic() + PATIENCE
        while not (delivered(box) and settled(url)):
            assert time.monotonic() < deadline, rows(url, "select * from texts where outcome > written or outcome = 0")
            time.sleep(0.5)
        states = check(box, url, senders)
        print(
            f"{len(senders.cases)} cases, {dict(states)}, {dict(senders.statuses)}, "
            f"deaths {[mortal.deaths for mortal in mortals]}"
        )
        assert all_channels(url)
        assert states["sent"] > 20
    logs = "".join(log.read_text() for log in tmp_path.glob("*.log"))
    assert "Traceback" not in logs, "an error that nobody meant"
