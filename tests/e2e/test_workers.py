"""Several workers at once, and one that is asked to stop."""

import contextlib
import os
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import psycopg
import pytest
from psycopg.rows import dict_row

from connector.cli import demo
from connector.model import TicketEvent
from connector.sandbox import Sandbox
from connector.store import events, leases
from tests.conftest import created
from tests.e2e.test_crashes import Mortal
from tests.support.pipe import free_port, wait_for

# Seconds of a measurement, and the texts that have to leave in them: 570 a minute.
SECONDS, SLOTS = 20, 190


def is_ready(log: Path) -> bool:
    return "worker ready" in log.read_text()


@contextlib.contextmanager
def workers(box: Sandbox, url: str, count: int, logs: Path, **more: str) -> Iterator[list[Mortal]]:
    """So many workers, each with a log of its own."""
    environment = demo.environment(box, url, free_port(), "t" * 30) | {
        f"CONNECTOR_{name.upper()}": value for name, value in more.items()
    }
    started = [Mortal("worker", environment, logs / f"worker{number}.log") for number in range(count)]
    try:
        for number in range(count):
            wait_for(partial(is_ready, logs / f"worker{number}.log"), "the worker is ready")
        yield started
    finally:
        for worker in started:
            worker.stop()


def ask_for(box: Sandbox, url: str, count: int) -> list[str]:
    """So many cases that want a text, taken in."""
    cases: list[str] = box.salesforce.make_cases(count, CCAIP_SMS_Status__c="Requested")
    with psycopg.connect(url, autocommit=True) as connection:
        for start in range(0, count, 100):
            part = cases[start : start + 100]
            events.save(connection, [TicketEvent("salesforce", f"e-{case}", case) for case in part])
    return cases


def states(url: str) -> dict[str, int]:
    with psycopg.connect(url, autocommit=True, row_factory=dict_row) as connection:
        rows = connection.execute("select state, count(*) from texts group by state").fetchall()
    return {row["state"]: row["count"] for row in rows}


@pytest.fixture
def url(server: str, template: str) -> Iterator[str]:
    with created(server, f"connector_workers_{os.getpid()}", template) as url:
        yield url


def test_a_worker_that_is_asked_to_stop_leaves_nothing_in_sending_and_hands_the_rest_on_at_once(
    url: str, tmp_path: Path
) -> None:
    with Sandbox(port=0, requests_per_second=0).running() as box:
        box.faults.add("delay", side="ccaip", route="sms", seconds=1, times=1000)
        cases = ask_for(box, url, 120)
        with workers(box, url, 1, tmp_path, ccaip_requests_per_second="10") as [worker]:
            wait_for(lambda: len(box.ccaip.texts) > 5, "some have left")
            start = time.monotonic()
            assert worker.stop() == 0
            assert time.monotonic() - start < 10
            with psycopg.connect(url) as connection:
                assert not leases.heard(connection).lately, "it has signed off"
        found = states(url)
        assert found.keys() <= {"sent", "queued", "received"}
        assert found["sent"] == len(box.ccaip.texts) < 60
        box.faults.clear()
        (tmp_path / "second").mkdir()
        with workers(box, url, 1, tmp_path / "second", ccaip_requests_per_second="0"):
            wait_for(lambda: len(box.ccaip.texts) >= len(cases), "the next worker sends the rest, and waits for nobody")
            wait_for(lambda: states(url) == {"sent": len(cases)}, "all are sent")
        assert box.ccaip.stats()["doubled_texts"] == {}


def measured(box: Sandbox) -> tuple[int, int, float]:
    """What the sandbox saw in the next SECONDS: texts, refusals, and the shortest time that eleven texts took."""
    begun = time.monotonic()
    time.sleep(SECONDS)
    sent = [text.monotonic for text in box.ccaip.texts if begun <= text.monotonic < begun + SECONDS]
    refused = [call for call in box.ccaip.requests if call.monotonic >= begun and call.status == 429]
    return len(sent), len(refused), min(later - first for first, later in zip(sent, sent[10:], strict=False))


def test_three_workers_fill_the_pace_and_never_exceed_it(url: str, tmp_path: Path) -> None:
    """The sandbox refuses the eleventh request within any second.

    A machine that is busy with something else may hold up one request for longer than another. So there are three
    measurements, and one has to be clean. A limit that is wrong spoils each of them.
    """
    with Sandbox(port=0, requests_per_second=10).running() as box:
        ask_for(box, url, 1000)
        with workers(box, url, 3, tmp_path):
            wait_for(lambda: len(box.ccaip.texts) > 20, "the first texts")
            for _ in range(3):
                texts, refused, apart = measured(box)
                print(f"{texts} texts in {SECONDS} s, {refused} refused; the closest eleven: {apart:.4f} s")
                if clean := refused == 0 and texts >= SLOTS and apart >= 1:
                    break
        by_worker = [(tmp_path / f"worker{number}.log").read_text().count('"text sent"') for number in range(3)]
    assert clean
    assert min(by_worker) > 15, "all three took part"
    assert box.ccaip.stats()["doubled_texts"] == {}
