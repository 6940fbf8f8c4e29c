"""A person comes first: a click's text leaves at once, whatever else is on its way."""

import time
from pathlib import Path

import psycopg

from connector.model import Channel, TextRequest, TicketEvent
from connector.sandbox import Sandbox
from connector.store import events
from tests.conftest import created
from tests.support.pipe import running, wait_for

BATCH = 5000
PATIENCE = 2.0


def test_while_a_batch_is_sent_a_clicks_text_leaves_within_two_seconds(
    server: str, template: str, tmp_path: Path
) -> None:
    with (
        Sandbox(port=0, requests_per_second=10).running() as box,
        created(server, "connector_test_people", template) as url,
        running(box, url, tmp_path, ccaip_requests_per_second="10") as pipe,
    ):
        cases, clicked = box.salesforce.make_cases(BATCH), box.salesforce.make_cases(5)
        with psycopg.connect(url, autocommit=True) as connection:
            for first in range(0, BATCH, 500):
                events.save(
                    connection,
                    [
                        TicketEvent(
                            "salesforce",
                            f"batch:{case}",
                            case,
                            channel=Channel.BATCH,
                            request=TextRequest(rule="requested"),
                        )
                        for case in cases[first : first + 500]
                    ],
                )
        wait_for(lambda: len(box.ccaip.texts) >= 10, "the batch is under way")
        waited = []
        for case in clicked:
            start = time.monotonic()
            answer = pipe.send(case, wait=10).json()
            waited.append(time.monotonic() - start)
            assert answer["state"] == "sent", answer
            time.sleep(0.5)
        assert max(waited) < PATIENCE, waited
        assert sum(one.ticket_id in set(cases) for one in box.ccaip.texts) < BATCH, "the batch was still under way"
