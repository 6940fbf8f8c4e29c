"""Back, reload, other tabs and lost sessions: one form is one text, and what was typed is there again."""

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.seen import sent
from tests.support.agent import link, texts_to
from tests.support.pipe import Pipe


def ended(pipe: Pipe, case: str) -> None:
    """The customer's chat is over: another text could leave."""
    pipe.told(case)
    pipe.box.ccaip.end_chat(int(pipe.box.salesforce.case(case)["CCAIP_Chat_Id__c"]))


def same_words(page: Page) -> None:
    """Field, preview, counter and verdict are about the same words."""
    typed = page.locator("#message").input_value()
    expect(page.locator("#preview .bubble")).to_have_text(typed)
    if page.locator(".with-script").count():
        expect(page.locator("#counter")).to_contain_text(f"{len(typed)} characters")
        expect(page.locator("#updating")).to_be_hidden()


@pytest.mark.parametrize("script", [True, False], ids=["script", "no script"])
@pytest.mark.parametrize("how", ["back", "back and reload", "new tab"])
def test_back_and_send_shows_the_first_text_although_its_chat_is_over(
    pipe: Pipe, case: str, open_context: Any, script: bool, how: str
) -> None:
    pipe.send(case)
    ended(pipe, case)
    page = open_context(java_script_enabled=script).new_page()
    page.goto(link(pipe, case, agent_name="Maya"))
    form = page.url
    page.fill("#message", "Words of my own")
    page.fill("#override", "They asked for it")
    page.click("#send")
    chat = sent(page)
    ended(pipe, case)

    if how == "new tab":
        page = page.context.new_page()
        page.goto(form)
    else:
        page.go_back()
    if how == "back and reload":
        page.reload()
    expect(page.locator("#message")).to_have_value("Words of my own")
    same_words(page)
    expect(page.locator(".notice")).to_contain_text("This text was asked for already")
    page.click("#send")

    assert sent(page) == chat
    expect(page.locator(".notice")).to_contain_text("Nothing was sent twice.")
    assert texts_to(pipe, case)[1:] == ["Words of my own"]


def test_write_another_sends_another(pipe: Pipe, case: str, window: Page) -> None:
    window.goto(link(pipe, case, agent_name="Maya"))
    window.click("#send")
    sent(window)
    ended(pipe, case)
    window.get_by_role("link", name="Write another").click()
    window.fill("#message", "Once more")
    window.fill("#override", "They asked for it")
    window.click("#send")
    sent(window)
    ended(pipe, case)
    window.go_back()
    expect(window.locator("#message")).to_have_value("Once more")
    window.click("#send")
    sent(window)
    assert texts_to(pipe, case)[1:] == ["Once more"]


def test_what_was_typed_survives_a_look_at_another_page(pipe: Pipe, case: str, window: Page) -> None:
    pipe.send(case)
    ended(pipe, case)
    window.goto(link(pipe, case))
    window.fill("#message", "Half a sentence, not sent yet")
    window.fill("#override", "They asked")
    window.get_by_role("link", name="Details").click()
    window.locator("#watch").wait_for()
    window.go_back()
    expect(window.locator("#message")).to_have_value("Half a sentence, not sent yet")
    expect(window.locator("#override")).to_have_value("They asked")
    same_words(window)
    expect(window.locator("#verdict")).to_contain_text("Ready,")


def test_a_reason_that_is_brought_back_counts_only_for_what_it_was_given_for(
    pipe: Pipe, case: str, window: Page
) -> None:
    pipe.send(case)
    ended(pipe, case)
    window.goto(link(pipe, case))
    window.fill("#override", "They asked")
    pipe.query("update texts set state = 'unknown' where ticket_id = %s returning id", case)
    window.reload()
    expect(window.locator("#override")).to_have_value("They asked")
    expect(window.locator("#verdict")).to_contain_text("it wants a reason, given with this in view: yours is older.")
    window.click("#send")
    expect(window.locator("#override-problem")).to_contain_text("Your reason was given before this was shown")
    expect(window.locator("#override")).to_have_value("")
    assert len(texts_to(pipe, case)) == 1
    window.fill("#override", "They asked, and it is not known whether it came")
    expect(window.locator("#verdict")).to_contain_text("Ready,")
    window.click("#send")
    sent(window)
    assert len(texts_to(pipe, case)) == 2


def test_words_are_kept_when_another_tab_was_faster(pipe: Pipe, case: str, open_context: Any) -> None:
    one, two = open_context().new_page(), open_context().new_page()
    one.goto(link(pipe, case, agent_name="Ana"))
    two.goto(link(pipe, case, agent_name="Maya"))
    one.click("#send")
    chat = sent(one)
    two.fill("#message", "Carefully chosen words")
    same_words(two)
    two.click("#send")
    expect(two.get_by_role("heading", name="Your words were not sent")).to_be_visible()
    assert sent(two) == chat
    two.get_by_role("button", name="Write another text with these words").click()
    expect(two.locator("#message")).to_have_value("Carefully chosen words")
    assert len(texts_to(pipe, case)) == 1


def test_a_page_that_the_browser_froze_knows_what_happened_meanwhile(pipe: Pipe, case: str, window: Page) -> None:
    """Back may show the very page that was left, with its old fields and a Send that says that it is sending."""
    window.goto(link(pipe, case, agent_name="Maya"))
    window.fill("#message", "Words of my own")
    pipe.send(case, after=0)
    ended(pipe, case)
    with window.expect_navigation():
        window.evaluate("window.dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")
    expect(window.locator("#message")).to_have_value("Words of my own")
    same_words(window)
    window.click("#send")
    expect(window.locator(".notice")).to_contain_text("Nothing was sent twice.")
    assert len(texts_to(pipe, case)) == 1
