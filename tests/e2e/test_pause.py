"""`connector pause` in the middle of a back-fill and a burst of triggers. The sandbox is the witness."""

import time
from collections import Counter
from pathlib import Path

import psycopg

from connector.model import Channel, TextRequest, TicketEvent
from connector.sandbox import Sandbox
from connector.store import events
from tests.conftest import created
from tests.support.command import connector
from tests.support.pipe import running, wait_for

BATCH, TRIGGERS = 5000, 60
PATIENCE = 120.0


def test_nothing_is_sent_a_second_after_a_pause_and_each_text_once_after_the_resume(
    server: str, template: str, tmp_path: Path
) -> None:
    with (
        Sandbox(port=0, requests_per_second=0).running() as box,
        created(server, "connector_test_pause", template) as url,
        running(box, url, tmp_path) as pipe,
    ):
        cases = box.salesforce.make_cases(BATCH)
        asked = box.salesforce.make_cases(TRIGGERS, CCAIP_SMS_Status__c="Requested")
        with psycopg.connect(url, autocommit=True) as connection:
            for first in range(0, BATCH, 500):
                batch = cases[first : first + 500]
                request = TextRequest(rule="requested")
                events.save(
                    connection,
                    [
                        TicketEvent("salesforce", f"b:{one}", one, channel=Channel.BATCH, request=request)
                        for one in batch
                    ],
                )
        for case in asked[: TRIGGERS // 2]:
            assert pipe.event(case).status_code < 300
        wait_for(lambda: len(box.ccaip.texts) >= 100, "texts are being sent")

        paused = connector("pause", "--why", "a wrong message", "--by", "Ana", CONNECTOR_DATABASE_URL=url)
        assert paused.returncode == 0, paused.stderr
        time.sleep(1)
        sent = len(box.ccaip.texts)
        assert 100 <= sent < BATCH + TRIGGERS, "some were sent, and some were not"
        for case in asked[TRIGGERS // 2 :]:
            assert pipe.event(case).status_code < 300
        agent = pipe.send(cases[-1], wait=10).json()
        assert agent["state"] in ("failed", "skipped"), agent
        time.sleep(2)
        assert len(box.ccaip.texts) == sent, "nothing was sent after one second"
        status = connector("status", CONNECTOR_DATABASE_URL=url)
        assert status.returncode == 1
        assert "Sending is paused since" in status.stdout
        assert "by Ana: a wrong message." in status.stdout

        resumed = connector("resume", "--anyway", CONNECTOR_DATABASE_URL=url)
        assert resumed.returncode == 0, resumed.stdout
        wait_for(lambda: len(box.ccaip.texts) >= BATCH + TRIGGERS, "all texts are sent", PATIENCE)
        counts = Counter(one.ticket_id for one in box.ccaip.texts)
        assert counts == Counter([*cases, *asked])
