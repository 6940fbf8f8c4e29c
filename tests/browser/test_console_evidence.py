"""The console in a real browser: an unknown text is settled from its evidence, and a person's page is printed."""

import re

from playwright.sync_api import Page, expect

from tests.support import chat_webhooks
from tests.support.pipe import Pipe, wait_for


def test_an_unknown_text_is_settled_from_its_evidence_and_the_case_gets_its_chat(
    pipe: Pipe, case: str, operator: Page
) -> None:
    """The answer to the call was lost, and the chat posts events that belong to no text."""
    with chat_webhooks.told(pipe):
        pipe.box.faults.add("drop_after", side="ccaip")
        pipe.box.salesforce.request_text(case)
        [text] = pipe.told(case)
    assert (text["state"], pipe.box.salesforce.case(case)["CCAIP_SMS_Status__c"]) == ("unknown", "Unknown")
    [chat] = [one.id for one in pipe.box.ccaip.chats.values() if one.ticket_id == case]

    operator.get_by_role("link", name="Unknown", exact=True).click()
    operator.get_by_role("link", name=f"Text {text['id']}", exact=True).click()
    operator.get_by_label(f"It was sent as chat {chat}.").check()
    operator.get_by_label("How you know").fill("its chat began with our call")
    operator.get_by_role("button", name=f"Settle text {text['id']}").click()

    expect(operator.get_by_role("status")).to_contain_text(f"sent, chat {chat}")
    wait_for(
        lambda: pipe.box.salesforce.case(case)["CCAIP_SMS_Status__c"] == "Sent", "the case says that the text was sent"
    )
    assert pipe.box.salesforce.case(case)["CCAIP_Chat_Id__c"] == str(chat)


def test_a_person_page_is_printed_with_its_checksum(pipe: Pipe, case: str, operator: Page) -> None:
    pipe.send(case)
    [text] = pipe.told(case)
    number = text["sms"]["end_user_number"]

    operator.get_by_role("link", name="Person", exact=True).click()
    operator.get_by_label("Phone number").fill(number)
    operator.get_by_role("button", name="Show person", exact=True).click()
    expect(operator.get_by_role("heading", name=f"Person {number}")).to_be_visible()
    assert number[1:] not in operator.url

    operator.emulate_media(media="print")
    expect(operator.locator("#checksum")).to_have_text(re.compile("[0-9a-f]{64}"))
    expect(operator.locator("#checksum")).to_be_visible()
    expect(operator.get_by_text(text["sms"]["message"])).to_be_visible()
    expect(operator.locator("#erase")).to_be_hidden()
    expect(operator.get_by_role("navigation")).to_be_hidden()
    printed = operator.pdf()
    assert printed.startswith(b"%PDF-")
    assert len(printed) > 10_000, "it has pages with words"
