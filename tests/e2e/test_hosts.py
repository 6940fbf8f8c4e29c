"""Two workers on two hosts, and one of them loses the database in the middle of a call."""

import os
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

from connector.model import TicketEvent
from connector.sandbox import Clock, Sandbox
from connector.store import events
from tests.conftest import created
from tests.support.hosts import hosts
from tests.support.pipe import wait_for

# A call is given up once its worker has had the time of the longest one.
GIVEN_UP = 75.0


class Held(Clock):
    """A clock whose delays last until they are released."""

    def __init__(self) -> None:
        self.reached, self.released = threading.Event(), threading.Event()

    def sleep(self, seconds: float) -> None:
        self.reached.set()
        self.released.wait(seconds)


def ask_for_one(box: Sandbox, url: str) -> str:
    """A case that wants a text, taken in."""
    case: str
    [case] = box.salesforce.make_cases(1, CCAIP_SMS_Status__c="Requested")
    with psycopg.connect(url, autocommit=True) as connection:
        events.save(connection, [TicketEvent("salesforce", f"e-{case}", case)])
    return case


def state(url: str, case: str) -> str:
    with psycopg.connect(url, autocommit=True, row_factory=dict_row) as connection:
        [row] = connection.execute("select state from texts where ticket_id = %s", [case]).fetchall()
    return str(row["state"])


def told(box: Sandbox, case: str) -> tuple[Any, Any]:
    after = box.salesforce.case(case)
    return after["CCAIP_SMS_Status__c"], after["CCAIP_Chat_Id__c"]


def chat(box: Sandbox, case: str) -> str | None:
    """The chat that the witness has for this case."""
    return next((str(text.chat_id) for text in box.ccaip.texts if text.ticket_id == case), None)


def test_a_host_without_its_database_in_the_middle_of_a_call_is_given_up_and_has_the_last_word_when_it_is_back(
    server: str, template: str, tmp_path: Path
) -> None:
    clock = Held()
    with (
        Sandbox(port=0, clock=clock, requests_per_second=0).running() as box,
        created(server, f"connector_hosts_{os.getpid()}", template) as url,
        hosts(2, box, url, tmp_path, ccaip_read_timeout="20") as (first, second),
    ):
        box.faults.add("delay", side="ccaip", route="sms", seconds=200)
        first.start()
        slow = ask_for_one(box, url)
        wait_for(clock.reached.is_set, "the call hangs")
        assert state(url, slow) == "sending"
        first.cut()
        clock.released.set()
        wait_for(lambda: "text sent" in first.log, "the first host has its answer")

        second.start()
        other = ask_for_one(box, url)
        wait_for(lambda: told(box, other) == ("Sent", chat(box, other)), "the second host sends what comes meanwhile")
        wait_for(lambda: told(box, slow) == ("Unknown", None), "the first host is given up", GIVEN_UP)
        assert "Traceback" not in second.log
        assert state(url, slow) == "unknown"
        first.mend()
        wait_for(lambda: told(box, slow) == ("Sent", chat(box, slow)), "the certain answer counts")

        assert second.stop() == 0
        third = ask_for_one(box, url)
        wait_for(lambda: told(box, third) == ("Sent", chat(box, third)), "the first host works on")
        assert first.stop() == 0
        assert Counter(text.ticket_id for text in box.ccaip.texts) == {slow: 1, other: 1, third: 1}
