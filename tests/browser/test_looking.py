"""The preview while an agent types: soon, seldom enough, never older than what was shown, and never in the way."""

from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.seen import sent
from tests.support.agent import link, texts_to
from tests.support.pipe import Pipe
from webhooks.agent_page.access import PER_MINUTE

LOOKS = "**/preview"


def bubble(page: Page) -> Any:
    return page.locator("#preview .bubble")


@pytest.fixture
def page(pipe: Pipe, case: str, window: Page) -> Page:
    """The page with its cursor in the message, which is empty, and a clock that stands still."""
    window.clock.install()
    window.goto(link(pipe, case, agent_name="Maya"))
    window.fill("#message", "")
    expect(window.locator("#verdict")).to_contain_text("Not ready.")
    window.clock.pause_at(window.evaluate("Date.now() + 5000"))
    return window


@pytest.fixture
def looks(page: Page) -> list[str]:
    """What the page asks about from now on."""
    asked: list[str] = []
    page.on("request", lambda one: asked.append(one.post_data or "") if one.url.endswith("/preview") else None)
    return asked


def test_it_follows_the_words_without_taking_the_cursor(page: Page) -> None:
    page.keyboard.type("Your part here.")
    page.clock.run_for(300)
    expect(bubble(page)).to_have_text("Your part here.")
    expect(page.locator("#verdict")).to_contain_text("Ready.")
    for _ in "here.":
        page.keyboard.press("ArrowLeft")
    page.keyboard.type("is ")
    page.clock.run_for(1000)
    expect(bubble(page)).to_have_text("Your part is here.")
    where = "[document.activeElement.id, document.activeElement.selectionStart, document.activeElement.selectionEnd]"
    assert page.evaluate(where) == ["message", 13, 13]


def test_it_waits_for_a_pause_and_keeps_its_distance(page: Page, looks: list[str]) -> None:
    every = int(page.locator("#write").get_attribute("data-look-every-ms") or 0)
    assert 60_000 / every <= PER_MINUTE / 2, "the rest is for everything else that the page asks"
    for letter in "typed in one go":
        page.keyboard.type(letter)
        page.clock.run_for(299)
    assert looks == []
    page.clock.run_for(1)
    expect(bubble(page)).to_have_text("typed in one go")
    assert len(looks) == 1
    for letter in "!?!":  # a pause after each
        page.keyboard.type(letter)
        page.clock.run_for(320)
    assert len(looks) == 1
    page.clock.run_for(every)
    expect(bubble(page)).to_have_text("typed in one go!?!")
    assert len(looks) == 2
    page.keyboard.press("Tab")
    page.clock.run_for(every)
    assert len(looks) == 2, "leaving the field asks nothing that is known"


def test_a_verdict_on_older_words_is_not_seen(page: Page) -> None:
    held: list[Route] = []
    page.route(LOOKS, lambda route: held.append(route))
    opacity = "getComputedStyle(document.getElementById('verdict')).opacity"
    assert page.evaluate(opacity) == "1"
    page.keyboard.type("Newer words")
    expect(page.locator("#updating")).to_be_visible()
    assert page.evaluate(opacity) == "0"
    page.clock.run_for(300)
    expect(page.locator("#updating")).to_be_visible()
    held.pop().continue_()
    expect(page.locator("#updating")).to_be_hidden()
    expect(page.locator("#verdict")).to_contain_text("Ready.")
    assert page.evaluate(opacity) == "1"


def test_an_older_answer_that_comes_later_changes_nothing(page: Page) -> None:
    held: list[Route] = []
    page.route(LOOKS, lambda route: held.append(route) if not held else route.continue_())
    page.keyboard.type("Older")
    page.clock.run_for(300)
    page.keyboard.type(" and newer")
    page.clock.run_for(1000)
    expect(bubble(page)).to_have_text("Older and newer")
    with page.expect_response(LOOKS) as late:
        held.pop().continue_()
    late.value.finished()
    page.clock.run_for(5000)
    expect(bubble(page)).to_have_text("Older and newer")
    expect(page.locator("#updating")).to_be_hidden()


def test_only_what_changes_is_read_out(page: Page) -> None:
    lines = page.evaluate("Array.from(document.querySelectorAll('[aria-live], [role=status]'), (one) => one.id)")
    assert lines == ["verdict"]
    page.evaluate(
        "() => { window.said = []; const line = document.getElementById('verdict');"
        " new MutationObserver(() => window.said.push(line.textContent.trim()))"
        ".observe(line, { childList: true, characterData: true, subtree: true, attributes: true }); }"
    )
    for word in ("Your", " part", " is", " here"):
        page.keyboard.type(word)
        page.clock.run_for(1300)
        expect(page.locator("#updating")).to_be_hidden()
    assert page.evaluate("window.said") == ["Ready. Nothing blocks it."]
    page.keyboard.type(" bit.ly/abc")
    page.clock.run_for(1300)
    expect(page.locator("#verdict")).to_contain_text("Not ready. The message holds a public link shortener")
    assert len(page.evaluate("window.said")) == 2


def test_too_many_requests_are_said_and_asked_again_later(page: Page, looks: list[str]) -> None:
    refused = {"status": 429, "headers": {"Retry-After": "20"}, "body": ""}
    page.route(LOOKS, lambda route: route.fulfill(**refused), times=1)
    page.keyboard.type("Words")
    page.clock.run_for(300)
    expect(page.locator("#verdict")).to_have_text("There were too many requests in this minute; trying again.")
    expect(bubble(page)).to_have_count(0)
    page.clock.run_for(19_000)
    assert len(looks) == 1
    page.clock.run_for(1_000)
    expect(bubble(page)).to_have_text("Words")
    expect(page.locator("#verdict")).to_contain_text("Ready.")


def test_a_page_that_is_over_says_so_while_somebody_types(page: Page, looks: list[str]) -> None:
    page.context.clear_cookies()
    page.keyboard.type("Words")
    page.clock.run_for(300)
    expect(page.locator("#verdict")).to_contain_text("This page is open no longer. Copy your words")
    page.keyboard.type(" and more")
    page.clock.run_for(60_000)
    assert len(looks) == 1


def test_a_customer_who_opts_out_meanwhile_cannot_be_sent_to(pipe: Pipe, case: str, page: Page) -> None:
    number = pipe.box.salesforce.case(case)["ContactMobile"]
    pipe.api("POST", "/suppressions", json={"number": number})
    page.keyboard.type("Words")
    page.clock.run_for(300)
    expect(page.locator("#verdict")).to_contain_text("suppression list")
    expect(page.locator("#send")).to_be_hidden()
    pipe.api("POST", "/suppressions", json={"number": number, "suppressed": False})
    page.keyboard.type(" again")
    page.clock.run_for(1000)
    expect(page.locator("#send")).to_be_visible()


def test_what_is_sent_is_what_stands_in_the_field(pipe: Pipe, case: str, page: Page) -> None:
    page.keyboard.type("Seen in the preview")
    page.clock.run_for(300)
    expect(bubble(page)).to_have_text("Seen in the preview")
    page.keyboard.type(", and not yet seen")
    pressed = (
        "() => { document.getElementById('send').click(); const field = document.getElementById('message');"
        " return [field.value, field.readOnly]; }"
    )
    assert page.evaluate(pressed) == ["Seen in the preview, and not yet seen", True], "what is under way stays as it is"
    page.clock.resume()
    sent(page)
    assert texts_to(pipe, case) == ["Seen in the preview, and not yet seen"]


def test_words_that_a_browser_brings_back_are_looked_at(pipe: Pipe, case: str, window: Page) -> None:
    """As when a page is loaded again: the words are there before the script is."""
    window.add_init_script(
        "new MutationObserver((_, watching) => { if (!document.getElementById('send')) return;"
        " document.getElementById('message').value = 'Brought back'; watching.disconnect(); })"
        ".observe(document, { childList: true, subtree: true })"
    )
    window.goto(link(pipe, case))
    expect(bubble(window)).to_have_text("Brought back")
