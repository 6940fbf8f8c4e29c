"""A CRM needs files of its own and no others: a toy in a folder of its own is texted for, and told."""

import asyncio
import contextlib
import importlib
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

import connector.crms
import webhooks.crms
from connector import settings
from connector.sandbox import Sandbox
from connector.store import postgres
from connector.worker import run
from tests.support.pipe import wait_for
from webhooks.app import create_app

CRM = """
from connector.model import Ticket

TICKETS = {"T-1": {"Id": "T-1", "Phone": "(415) 555-0132", "State": "Requested"}}

def named(ticket):
    return {"id": ticket["Id"], "phone": ticket["Phone"], "state": ticket["State"]}

class Toy:
    def warm_up(self): ...
    def read(self, ids): return {one: Ticket("toy", one, named(TICKETS[one])) for one in ids if one in TICKETS}
    def find(self, query): return iter(())
    def fitting(self, query, ids): return set(ids)
    def not_an_id(self, given): return None if given.startswith("T-") else "a ticket's id begins with T-"
    def write(self, changes):
        for ticket, fields in changes:
            TICKETS[ticket].update(fields)
        return [None] * len(changes)
    def probe(self): ...
    def is_own(self, user): return False
    def usage(self, newest=None): return None
    def check(self): return []
    def close(self): ...

def connect(file): return Toy()
def address(): return "https://toy.example.com"
def ticket_id(given): return given
"""
HOOKS = """
import json
from flask import jsonify
from connector.model import TicketEvent
from webhooks.receive import WebhookRoute

def parse(message):
    return [TicketEvent("toy", json.loads(message.body)["event"], json.loads(message.body)["ticket"])]

def routes(file): return [WebhookRoute("/events", parse, lambda taken, refused: jsonify(texts=[taken[0].text]))]
def ticket_id(given): return given
def verifier(): return None
"""
MAPPING = """
[ticket]
object = "Ticket"
id = "id"
[fields]
id = "Id"
phone = "Phone"
state = "State"
[phones]
prefer = ["phone"]
country = "US"
[[rules]]
name = "requested"
when = "state == 'Requested'"
once_per = ["id"]
message = "Hi, your toy is ready."
[write_back.sent]
State = "Sent"
[write_back.skipped]
State = "Skipped"
[write_back.failed]
State = "Failed"
[write_back.unknown]
State = "Unknown"
[write_back.cancelled]
State = "Cancelled"
"""


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with everything that the toy consists of; the folder of its mapping."""
    for package, source in ((connector.crms, CRM), (webhooks.crms, HOOKS)):
        folder = tmp_path / package.__name__
        folder.mkdir()
        (folder / "toy.py").write_text(source, encoding="utf-8")
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(folder)])
    mappings = tmp_path / "mappings"
    mappings.mkdir()
    (mappings / "toy.toml").write_text(MAPPING, encoding="utf-8")
    return mappings


@pytest.fixture
def box() -> Iterator[Sandbox]:
    with Sandbox(port=0, requests_per_second=0).running() as box:
        yield box


@contextlib.contextmanager
def worker(wanted: settings.Settings, url: str) -> Iterator[None]:
    """A worker in a thread of this process, which knows where the toy's files are."""
    loop, stop = asyncio.new_event_loop(), asyncio.Event()
    thread = threading.Thread(target=loop.run_until_complete, args=[run.work(wanted, url, stop)])
    thread.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


def test_a_crm_of_its_own_files_is_texted_for_and_told(toy: Path, url: str, box: Sandbox) -> None:
    wanted = settings.load(
        mappings=toy,
        trial_without="hours window",
        ccaip_url=box.url,
        ccaip_subdomain=box.ccaip.settings.subdomain,
        ccaip_token=box.ccaip.settings.api_token,
        ccaip_outbound_number=box.ccaip.settings.numbers[0],
        _env_file=None,
    )
    with postgres.pool(url, 8) as pool:
        answer = (
            create_app(wanted, pool).test_client().post("/webhooks/toy/events", json={"event": "1", "ticket": "T-1"})
        )
    assert answer.json == {"texts": [1]}

    tickets = importlib.import_module("connector.crms.toy").TICKETS

    with worker(wanted, url):
        wait_for(lambda: tickets["T-1"]["State"] == "Sent", "the toy's ticket is told")

    assert [text.ticket_id for text in box.ccaip.texts] == ["T-1"]
    with psycopg.connect(url) as connection:
        assert connection.execute("select crm, state from texts").fetchall() == [("toy", "sent")]
