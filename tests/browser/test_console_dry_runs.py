"""Trying a mapping and deciding again, in a real browser, beside a running connector."""

from pathlib import Path
from typing import Any

from playwright.sync_api import Page

from tests.browser.seen import PHONE
from tests.support.pipe import Pipe

SHIPPED = (Path(__file__).parent.parent.parent / "mappings" / "salesforce.toml").read_text()
WORDS, OTHER_WORDS = "there is news on your case", "your case has news: it is"


def sign_in(page: Page, pipe: Pipe) -> None:
    page.goto(f"{pipe.web}/console/sign-in")
    page.fill("input[name=key]", pipe.every_right)
    page.locator("main button").first.click()
    page.get_by_role("heading", name="Overview").wait_for()


def test_a_draft_is_tried_and_a_text_decided_again(pipe: Pipe, case: str, open_context: Any, tmp_path: Path) -> None:
    """On a phone, with the draft uploaded; from the result to the text, decided again."""
    pipe.box.salesforce.request_text(case)
    [text] = pipe.told(case)
    draft = tmp_path / "salesforce.toml"
    draft.write_text(SHIPPED.replace(WORDS, OTHER_WORDS))
    page = open_context(viewport=PHONE, has_touch=True).new_page()
    sign_in(page, pipe)
    page.get_by_role("link", name="Try a mapping").click()

    page.set_input_files("#file", draft)
    page.fill("#events", "0")
    page.fill("#tickets", case)
    page.get_by_role("button", name="Try the draft").click()

    page.get_by_role("heading", name="1 worded differently (rule requested)").wait_for()
    assert "your case has news: it is" in page.locator("tr[data-row]").inner_text()
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    page.goto(f"{pipe.web}/console/texts/{text['id']}/decide-again")
    page.get_by_text("Nothing differs.").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
