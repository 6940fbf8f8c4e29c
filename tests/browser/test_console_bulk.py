"""A bulk action over a search whose texts change, in a real browser."""

from datetime import UTC, datetime, timedelta

import psycopg
from playwright.sync_api import Page, expect

from connector.model import TextRequest
from connector.store import agent_requests, text_views
from connector.store.agent_requests import SendRequest
from tests.browser.seen import PATIENCE_MS
from tests.support.pipe import Pipe

AGENT = "Walrus Agent"
SEARCH = f'agent:"{AGENT}" is:scheduled'


def scheduled(pipe: Pipe, count: int) -> list[int]:
    """Texts that this agent has scheduled for another day."""
    send_at = (datetime.now(UTC) + timedelta(days=3)).isoformat()
    request = TextRequest(message="Hello", agent_name=AGENT, send_at=send_at)
    with psycopg.connect(pipe.url, autocommit=True) as connection:
        return [
            agent_requests.take_in(connection, SendRequest("salesforce", case, request, "walrus", case)).text
            for case in pipe.box.salesforce.make_cases(count)
        ]


def cancelled_by(pipe: Pipe, texts: list[int]) -> list[str]:
    rows = pipe.query("select why from texts where id = any(%s) and state = 'cancelled' order by id", texts)
    return [row["why"] for row in rows]


def test_all_that_match_are_cancelled_while_the_set_changes(pipe: Pipe, operator: Page) -> None:
    texts = scheduled(pipe, 6)
    operator.get_by_label("Search texts").fill(SEARCH)
    operator.get_by_label("Search texts").press("Enter")
    operator.get_by_label("With the selected texts").select_option(label="Cancel")
    operator.get_by_role("button", name="Continue with all that match").click()
    expect(operator.get_by_role("heading", level=1)).to_have_text("Cancel: 6 texts")

    texts += scheduled(pipe, 2)
    operator.get_by_label("Why").fill("the parts are late")
    operator.get_by_role("button", name="Cancel: 6 texts").click()
    expect(operator.get_by_role("alert")).to_contain_text("finds more than 6 texts now")
    assert cancelled_by(pipe, texts) == []

    with psycopg.connect(pipe.url) as held, psycopg.connect(pipe.url, autocommit=True) as other:
        held.execute("select from texts where id = %s for update", [texts[0]])  # the worker waits for it
        operator.get_by_role("button", name="Cancel: 8 texts").click()
        expect(operator.get_by_role("heading", level=2, name="Progress")).to_contain_text("running")
        assert text_views.cancel(other, texts[5], "somebody else")
        scheduled(pipe, 1)

    expect(operator.get_by_role("heading", level=2, name="Progress")).to_contain_text("done", timeout=PATIENCE_MS)
    expect(operator.get_by_role("region", name="Refused")).to_contain_text("1")
    assert sorted(cancelled_by(pipe, texts)) == 7 * ["cancelled by an operator"] + ["cancelled by somebody else"]
    [waiting] = pipe.query("select id from texts where request ->> 'agent_name' = %s and state = 'received'", AGENT)
    assert waiting["id"] not in texts, "one that came later is not drawn in"
