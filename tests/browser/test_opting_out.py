"""From the customer's phone to the case and the page for agents, in a real browser and in two languages."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from playwright.sync_api import Page, expect

from connector.store import opt_outs
from tests.browser.seen import PATIENCE_MS
from tests.fixtures import salesforce
from tests.support import chat_webhooks
from tests.support.agent import link, texts_to
from tests.support.pipe import Pipe, wait_for


@pytest.fixture(autouse=True)
def heard(pipe: Pipe) -> Iterator[None]:
    """The sandbox tells the connector what customers write."""
    with chat_webhooks.told(pipe):
        yield


def reply(sandbox: Page, words: str) -> None:
    sandbox.get_by_role("textbox", name="Reply as the customer").fill(words)
    sandbox.locator("form.reply").get_by_role("button", name="Send").click()
    expect(sandbox.locator("#phone")).to_contain_text(words)


def processed(pipe: Pipe) -> None:
    """Every chat event that was told has had its effect."""
    pipe.box.ccaip.webhooks.wait()
    wait_for(lambda: not pipe.query("select 1 from chat_events where processed_at is null"), "all events are processed")


def may_be_texted(pipe: Pipe, case: str) -> bool:
    seen = pipe.api("POST", "/texts/preview", json={"ticket_id": case}).json()
    return not [one for one in seen["findings"] if one["check"] == "opt_out" and one["verdict"] != "ok"]


def held(pipe: Pipe, case: str) -> list[dict[str, Any]]:
    """The case's texts that wait for something."""
    return [one for one in pipe.texts(case) if one["state"] == "queued" and one["why"]]


def blocked(pipe: Pipe, case: str, window: Page, words: str) -> None:
    """The page for agents shows no form, and this reason."""
    window.goto(link(pipe, case))
    expect(window.get_by_role("alert")).to_contain_text("This cannot be sent.")
    expect(window.get_by_role("alert")).to_contain_text(words)
    expect(window.get_by_role("textbox")).to_have_count(0)


def decided(pipe: Pipe, case: str) -> None:
    """A person finds that the case's message was no opt-out."""
    with psycopg.connect(pipe.url, autocommit=True) as connection:
        [review] = [one for one in opt_outs.reviews(connection, 100, pending=True) if one.ticket_id == case]
        assert opt_outs.decide(connection, review.id, False, "read it", "a test")


@pytest.mark.parametrize("word", ["STOP", "ALTO"])
def test_a_word_on_the_phone_opts_out_and_start_opts_in(pipe: Pipe, case: str, window: Page, word: str) -> None:
    window.goto(f"{pipe.box.url}/?ticket={case}")
    window.get_by_role("button", name="Request a text").click()
    expect(window.locator("#details")).to_contain_text("Sent", timeout=PATIENCE_MS)
    pipe.told(case)
    reply(window, "please leave me alone and don't text me any more")
    processed(pipe)
    pipe.box.salesforce.request_text(case)
    [waiting] = wait_for(lambda: held(pipe, case), "the next text waits")

    window.get_by_role("button", name=word, exact=True).click()
    wait_for(lambda: salesforce.opted_out(pipe.box, case), "the contact says that the customer opted out")
    wait_for(
        lambda: pipe.query("select 1 from texts where id = %s and state = 'cancelled'", waiting["id"]),
        "the text that waited is cancelled",
    )
    expect(window.locator("#details")).to_contain_text(f"the customer replied {word} on", timeout=PATIENCE_MS)
    blocked(pipe, case, window, f"The customer replied {word} on")

    decided(pipe, case)
    window.goto(f"{pipe.box.url}/?ticket={case}")
    window.get_by_role("button", name="START", exact=True).click()
    wait_for(lambda: not salesforce.opted_out(pipe.box, case), "the contact may be texted again")
    window.goto(link(pipe, case))
    expect(window.get_by_role("button", name="Send", exact=True)).to_be_visible()
    assert len(texts_to(pipe, case)) == 1


@pytest.mark.parametrize(
    ("wish", "complaint"),
    [
        ("please don't text me any more", "Don't send me more invoices"),
        ("por favor, ya no me manden mensajes", "No me manden más facturas"),
    ],
    ids=["English", "Spanish"],
)
def test_a_wish_waits_for_a_person_and_a_complaint_changes_nothing(
    pipe: Pipe, case: str, window: Page, wish: str, complaint: str
) -> None:
    pipe.box.salesforce.request_text(case)
    pipe.told(case)
    window.goto(f"{pipe.box.url}/?ticket={case}")
    reply(window, complaint)
    processed(pipe)
    assert may_be_texted(pipe, case)

    reply(window, wish)
    processed(pipe)
    blocked(pipe, case, window, "The customer may have opted out on")
    pipe.box.salesforce.request_text(case)
    wait_for(
        lambda: held(pipe, case),
        "the next text waits for a person",
    )
    assert len(texts_to(pipe, case)) == 1

    decided(pipe, case)
    assert may_be_texted(pipe, case)
