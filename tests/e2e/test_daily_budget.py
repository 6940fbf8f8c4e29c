"""A daily budget from outside: two workers, what the sandbox's platform got, and what an agent is told."""

import contextlib
from pathlib import Path

from connector.sandbox import Sandbox
from tests.e2e.test_workers import ask_for, states, workers
from tests.support.agent import Agent
from tests.support.pipe import running, wait_for

SHIPPED = Path(__file__).parent.parent.parent / "mappings" / "salesforce.toml"
LIMIT, ASKED = 40, 100
WAITING = "select not_before > now() as held from texts where state = 'queued'"


def test_two_workers_use_the_whole_budget_and_no_more_and_an_agent_is_told(url: str, tmp_path: Path) -> None:
    (tmp_path / "salesforce.toml").write_text(
        f'{SHIPPED.read_text()}\n[policy.daily_budget]\ntexts = {LIMIT}\nzone = "UTC"\n'
    )
    more = {"mappings": str(tmp_path), "ccaip_requests_per_second": "0"}
    with Sandbox(port=0, requests_per_second=0).running() as box:
        cases = ask_for(box, url, ASKED)
        [another] = box.salesforce.make_cases(1)
        with workers(box, url, 1, tmp_path, **more), running(box, url, tmp_path, **more) as pipe:
            wait_for(lambda: states(url) == {"sent": LIMIT, "queued": ASKED - LIMIT}, "the budget is used up", 60)
            wait_for(lambda: all(one["held"] for one in pipe.query(WAITING)), "the others wait for the next day", 60)

            assert len(box.ccaip.texts) == LIMIT
            preview = pipe.api("POST", "/texts/preview", json={"ticket_id": another}).json()
            assert preview["allowed"]
            assert "is used up; the text can leave from 2" in preview["why"]
            agent = Agent(pipe)
            with contextlib.closing(agent.client):
                assert "Waits The daily budget of 40 texts" in agent.open(another).words
            text = pipe.send(another).json()
            assert text["state"] == "queued"
            assert text["said"].startswith("It waits until ")
            assert pipe.api("DELETE", f"/texts/{text['id']}").json()["state"] == "cancelled"
        assert len(box.ccaip.texts) == LIMIT
        assert {one.ticket_id for one in box.ccaip.texts} <= set(cases)
