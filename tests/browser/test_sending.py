"""The page for agents in a real browser, from the words to the outcome; opened from a case as in a CRM."""

from typing import Any

from playwright.sync_api import Page, expect

from tests.browser.seen import PATIENCE_MS, sent
from tests.support.agent import link, texts_to
from tests.support.pipe import Pipe, wait_for


def test_from_the_case_to_the_phone_and_back(pipe: Pipe, case: str, window: Page, agents_page: None) -> None:
    window.goto(f"{pipe.box.url}/?ticket={case}")
    with window.context.expect_page() as opened:
        window.get_by_role("link", name="Text customer").click()
    page = opened.value
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Text {pipe.box.salesforce.tickets()[0][-1]['person']}")
    assert "link=" not in page.url
    page.get_by_role("textbox", name="Message").fill("Your part is here. Call us? – Ana")
    expect(page.locator("#preview .bubble")).to_have_text("Your part is here. Call us? - Ana")
    page.get_by_role("button", name="Send").click()
    chat = sent(page)
    expect(page.locator(".said")).to_have_text(f"Sent. Chat {chat} is selecting.")
    expect(page.get_by_text("The ticket has the result")).to_be_visible(timeout=PATIENCE_MS)
    expect(page).to_have_title(f"Sent. Chat {chat} is selecting. · Text customer")
    expect(window.locator("#phone")).to_contain_text("Your part is here. Call us? - Ana")
    expect(window.locator("#details")).to_contain_text(chat)
    page.reload()
    page.go_back()
    assert texts_to(pipe, case) == ["Your part is here. Call us? - Ana"]


def test_a_customer_in_another_session(pipe: Pipe, case: str, window: Page) -> None:
    window.goto(link(pipe, case, agent_name="Maya"))
    window.click("#send")
    sent(window)
    window.get_by_role("link", name="Write another").click()
    window.get_by_label("Reason for sending anyway").fill("They asked for it")
    window.click("#send")
    expect(window.locator(".said")).to_contain_text("already in a text conversation")
    window.get_by_role("link", name="Write another").click()
    expect(window.locator("#preview")).to_contain_text("The customer was in another session at")
    assert len(texts_to(pipe, case)) == 1


def test_a_customer_without_a_usable_phone(pipe: Pipe, window: Page) -> None:
    [case] = pipe.box.salesforce.make_cases(1, contact={"MobilePhone": "12"})
    window.goto(link(pipe, case))
    expect(window.get_by_role("alert")).to_contain_text("This cannot be sent.")
    expect(window.get_by_role("alert")).to_contain_text("No usable phone")
    expect(window.get_by_role("textbox")).to_have_count(0)
    expect(window.get_by_role("button")).to_have_count(0)
    pipe.box.salesforce.edit(case, {"SuppliedPhone": "(415) 555-2671"})
    window.get_by_role("link", name="Look again").click()
    expect(window.get_by_role("button", name="Send")).to_be_visible()


def test_a_crm_that_is_away_and_comes_back(pipe: Pipe, case: str, window: Page) -> None:
    window.goto(link(pipe, case))
    window.fill("#message", "Carefully chosen words")
    pipe.box.faults.add("status", side="salesforce", status=503, times=50)
    window.click("#send")
    expect(window.get_by_role("alert")).to_contain_text("Nothing was sent. Your words are kept here.")
    pipe.box.faults.clear()
    window.get_by_role("button", name="Try again").click()
    expect(window.locator("#message")).to_have_value("Carefully chosen words")
    assert pipe.texts(case) == []


def test_a_platform_that_does_not_answer(pipe: Pipe, case: str, window: Page) -> None:
    window.goto(link(pipe, case))
    pipe.box.faults.add("drop_after", side="ccaip", seconds=1)
    window.click("#send")
    expect(window.locator(".step-now")).to_have_text("Being sent")
    expect(window.locator(".said")).to_contain_text("It is not known whether it was sent", timeout=PATIENCE_MS)
    expect(window.locator(".said")).to_contain_text("It is not sent again by itself.")


def test_a_link_that_was_used_and_a_session_that_is_over(pipe: Pipe, case: str, open_context: Any) -> None:
    url = link(pipe, case)
    first, second = open_context().new_page(), open_context().new_page()
    first.goto(url)
    second.goto(url)
    expect(second.get_by_role("heading", level=1)).to_have_text("This page is no longer open")
    expect(second.locator("main")).to_contain_text("Open the page again from the ticket.")
    first.context.clear_cookies()
    first.fill("#message", "Carefully chosen words")
    first.click("#send")
    expect(first.get_by_role("heading", level=1)).to_have_text("This page is not open")
    expect(first.get_by_label("Your words, to be copied")).to_have_value("Carefully chosen words")
    assert pipe.texts(case) == []


def test_without_scripts(pipe: Pipe, case: str, open_context: Any) -> None:
    page = open_context(java_script_enabled=False).new_page()
    page.goto(link(pipe, case))
    page.fill("#message", "Words of my own")
    page.get_by_role("button", name="Update the preview").click()
    expect(page.locator("#preview .bubble")).to_have_text("Words of my own")
    page.get_by_role("button", name="Use these words").click()
    expect(page.locator("#message")).to_have_value(page.locator("#preview .bubble").inner_text())
    page.fill("#message", "Words of my own")
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_text("The ticket has the result")).to_be_visible(timeout=PATIENCE_MS)  # it loads itself again
    assert page.locator("#chat-id").inner_text() == pipe.box.salesforce.case(case)["CCAIP_Chat_Id__c"]
    page.reload()
    assert texts_to(pipe, case) == ["Words of my own"]


def test_by_keyboard_alone(pipe: Pipe, case: str, window: Page) -> None:
    window.goto(link(pipe, case))
    keys = window.keyboard
    wanted = ["template", "message", "send"]
    for name in wanted:
        for _ in range(10):
            if window.evaluate("document.activeElement.id") == name:
                break
            keys.press("Tab")
        assert window.evaluate("document.activeElement.id") == name
        outline = window.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid", f"the focus on {name} can be seen"
        if name == "message":
            keys.press("Control+A")
            keys.type("By keyboard")
    keys.press("Enter")
    sent(window)
    assert window.evaluate("document.activeElement.id") == "top", "the new page is read from its heading"
    assert texts_to(pipe, case) == ["By keyboard"]


def test_a_double_click_and_two_windows_are_one_text(pipe: Pipe, case: str, open_context: Any) -> None:
    one, two = open_context().new_page(), open_context().new_page()
    one.goto(link(pipe, case, agent_name="Ana"))
    two.goto(link(pipe, case, agent_name="Maya"))
    one.dblclick("#send")
    chat = sent(one)
    two.click("#send")
    expect(two.locator(".notice")).to_contain_text("had been asked for already, by Ana. Nothing was sent twice.")
    assert sent(two) == chat
    assert len(texts_to(pipe, case)) == 1


def test_what_is_typed_stays_words_and_the_cookie_out_of_reach(pipe: Pipe, case: str, window: Page) -> None:
    window.goto(link(pipe, case))
    window.fill("#message", "<img src=x onerror=\"document.title='gone'\">")
    window.click("#send")
    sent(window)
    assert window.locator("img").count() == 0
    [text] = pipe.told(case)
    assert text["sms"]["message"].startswith("<img")
    wait_for(lambda: "Sent" in window.title(), "the title is the page's own")
    assert {cookie["name"] for cookie in window.context.cookies()} == {"texting"}
    assert window.evaluate("document.cookie") == "", "no script can read it"
