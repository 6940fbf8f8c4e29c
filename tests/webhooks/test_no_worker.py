"""What people are told while no worker runs: nothing is being sent, on the page and in the API."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from flask.testing import FlaskClient
from lxml import html

from connector import settings
from connector.cli import demo
from connector.store import api_keys, leases, postgres
from connector.store.api_keys import Right
from tests.support.pipe import Pipe, without_job
from webhooks.app import create_app

NOTHING = "nothing is being sent now, because no worker of the connector is running"


@pytest.fixture
def web(pipe: Pipe, url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[FlaskClient]:
    """A web process beside the sandbox, on a database that no worker has ever seen."""
    for name, value in demo.environment(pipe.box, url, 8080, pipe.token).items():
        monkeypatch.setenv(name, value)
    with postgres.pool(url, 2) as pool:
        yield create_app(settings.load(_env_file=None), pool).test_client()


@pytest.fixture
def ask(url: str, web: FlaskClient) -> Any:
    """Asks the API with a key that has all rights."""
    with psycopg.connect(url, autocommit=True) as connection:
        key = api_keys.add(connection, "any", list(Right), 1000)

    def ask(path: str, **body: Any) -> Any:
        headers = {"Authorization": f"Bearer {key}", "Idempotency-Key": "0123456789"}
        return web.post(f"/v1{path}", json=body, headers=headers).json

    return ask


def test_the_api_says_that_nothing_is_being_sent(url: str, case: str, ask: Any) -> None:
    seen = ask("/texts/preview", ticket_id=case)
    assert seen["findings"][-1]["check"] == "worker"
    assert NOTHING in seen["why"]
    text = ask("/texts", ticket_id=case)
    assert (text["final"], NOTHING in text["said"]) == (False, True)
    with psycopg.connect(url, autocommit=True) as connection:
        leases.alive(connection)
    assert "why" not in ask("/texts/preview", ticket_id=case)
    assert ask("/texts", ticket_id=case)["said"] == "It is being looked at."


def test_the_page_says_so_instead_of_ready_and_a_spinner(case: str, web: FlaskClient, ask: Any) -> None:
    url = ask("/links", ticket_id=case)["url"].partition("localhost")[2]
    page = html.fromstring(web.get(url, follow_redirects=True).text)
    verdict = page.xpath("string(//*[@id='verdict'])")
    assert "Not now: nothing is being sent at the moment." in verdict
    assert "Ready" not in verdict
    [form] = page.xpath("//form[@id='write']")
    sent = web.post(form.get("action"), data=dict(form.fields) | {"do": "send"}, follow_redirects=True)
    shown = html.fromstring(sent.text)
    assert NOTHING in shown.xpath("string(//*[@class='said said-received'])")
    assert not shown.xpath("//*[contains(@class, 'step-now')]")
    assert "Waiting: nothing is being sent now" in shown.text_content()


def test_a_ticket_that_is_told_later_is_not_being_told(url: str, case: str, web: FlaskClient, ask: Any) -> None:
    """A text that failed tells its ticket after another one of the ticket, which still waits."""
    failed = ask("/texts", ticket_id=case)["id"]
    link = ask("/links", ticket_id=case)["url"].partition("localhost")[2]
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("update texts set state = 'failed', why = 'no', outcome = 1 where id = %s", [failed])
    waiting = without_job(url, case)
    page = web.get(link, follow_redirects=True).request.path
    shown = web.get(f"{page}/texts/{failed}").text
    assert f"The ticket is notified after text {waiting}, which is not settled yet" in shown
    assert "Writing back to the ticket" not in shown
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("update texts set state = 'sent' where id = %s", [waiting])
    assert "Writing back to the ticket" in web.get(f"{page}/texts/{failed}").text
