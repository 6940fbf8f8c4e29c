"""An operator's questions, in a real browser: where is this customer's text, why was it not sent, stop everything."""

from playwright.sync_api import Page, expect

from tests.browser.seen import PATIENCE_MS
from tests.support.pipe import Pipe, wait_for


def test_a_text_is_found_by_its_phone_and_says_why_it_was_skipped(pipe: Pipe, operator: Page) -> None:
    number = "+14155550177"
    [case] = pipe.box.salesforce.make_cases(1, contact={"MobilePhone": number, "HasOptedOutOfEmail": True})
    pipe.send(case)
    pipe.told(case)
    skipped = pipe.send(case).json()
    pipe.told(case, texts=2)
    assert skipped["state"] == "skipped"

    operator.keyboard.press("/")
    operator.keyboard.type(f"phone:{number}")
    operator.keyboard.press("Enter")
    expect(operator.locator("[data-row]")).to_have_count(2)
    expect(operator.locator("[data-row]").first).to_contain_text("skipped")
    operator.locator("h1").click()
    operator.keyboard.press("j")
    operator.keyboard.press("Enter")

    expect(operator.get_by_role("heading", level=1)).to_contain_text(str(skipped["id"]))
    expect(operator.locator("main")).to_contain_text(skipped["why"])


def test_everything_is_paused_and_resumed(pipe: Pipe, operator: Page) -> None:
    operator.get_by_role("link", name="Pauses").click()
    operator.get_by_label("Why").fill("wrong template")
    operator.get_by_role("button", name="Pause", exact=True).click()
    expect(operator.get_by_role("region", name="Pauses")).to_contain_text("wrong template")
    [case] = pipe.box.salesforce.make_cases(1, CCAIP_SMS_Status__c="Requested")
    wait_for(lambda: pipe.texts(case), "the event is accepted")

    operator.get_by_role("link", name="Overview").click()
    expect(operator.get_by_role("heading", name="Sending is paused")).to_be_visible()
    operator.get_by_role("link", name="Pauses").click()
    assert [text["state"] for text in pipe.texts(case)] in (["received"], ["queued"])
    operator.get_by_role("button", name="Resume").first.click()

    expect(operator.get_by_text("No person has paused anything")).to_be_visible(timeout=PATIENCE_MS)
    [text] = pipe.told(case)
    assert text["state"] == "sent"
