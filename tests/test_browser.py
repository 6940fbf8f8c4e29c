"""The page for agents in a real browser, opened from the sandbox's case as from a CRM."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from connector import segments
from tests.agent import link, texts_to
from tests.pipe import Pipe, wait_for

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
AXE = Path(os.environ.get("AXE_HOME", "/nowhere")) / "node_modules" / "axe-core" / "axe.min.js"
TABLE = json.loads((Path(__file__).parent / "fixtures" / "segments.json").read_text(encoding="utf-8"))
PATIENCE_MS = 15_000
PHONE, DESKTOP = {"width": 360, "height": 740}, {"width": 1280, "height": 800}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        pytest.skip("chromium is not installed: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def open_context(browser: Browser) -> Iterator[Any]:
    """New browser windows that know nothing of each other; whatever a page complains of fails the test."""
    opened: list[BrowserContext] = []
    complaints: list[str] = []

    def another(**more: Any) -> BrowserContext:
        context = browser.new_context(**({"viewport": DESKTOP} | more))
        context.set_default_timeout(PATIENCE_MS)
        context.on("weberror", lambda error: complaints.append(str(error.error)))
        context.on("console", lambda message: complaints.append(message.text) if _complains(message) else None)
        opened.append(context)
        return context

    yield another
    for context in opened:
        context.close()
    assert complaints == []


def _complains(message: Any) -> bool:
    # Chromium notes every answer of 4xx and 5xx as an error: that is what some of these tests are about.
    return message.type in ("error", "warning") and "the server responded with a status" not in message.text


@pytest.fixture
def window(open_context: Any) -> Page:
    return open_context().new_page()


@pytest.fixture
def agents_page(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sandbox's cases open the page."""
    salesforce = pipe.box.salesforce.settings
    salesforce.agents_url, salesforce.agents_key = pipe.web, pipe.every_right


def sent(page: Page) -> str:
    """The chat id, as soon as the page shows it."""
    chat = page.locator("#chat-id")
    chat.wait_for(timeout=PATIENCE_MS)
    return chat.inner_text()


def test_from_the_case_to_the_phone_and_back(pipe: Pipe, case: str, window: Page, agents_page: None) -> None:
    window.goto(f"{pipe.box.url}/?ticket={case}")
    with window.context.expect_page() as opened:
        window.get_by_role("link", name="Text customer").click()
    page = opened.value
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Text {pipe.box.salesforce.tickets()[-1]['person']}")
    assert "link=" not in page.url
    page.get_by_label("What the customer is told").fill("Your part is here. Call us? – Ana")
    page.get_by_label("What the customer is told").blur()
    expect(page.locator("#preview .bubble")).to_have_text("Your part is here. Call us? - Ana")
    page.get_by_role("button", name="Send").click()
    chat = sent(page)
    expect(page.locator(".said")).to_have_text(f"Sent. Chat {chat} is selecting.")
    expect(page.get_by_text("The ticket has been told")).to_be_visible(timeout=PATIENCE_MS)
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
    window.get_by_label("Why it is sent anyway").fill("They asked for it")
    window.click("#send")
    expect(window.locator(".said")).to_contain_text("active SMS session")
    window.get_by_role("link", name="Write another").click()
    expect(window.locator("#preview")).to_contain_text("The customer was in another session at")
    assert len(texts_to(pipe, case)) == 1


def test_a_customer_without_a_usable_phone(pipe: Pipe, window: Page) -> None:
    [case] = pipe.box.salesforce.make_cases(1, contact={"MobilePhone": "12"})
    window.goto(link(pipe, case))
    expect(window.get_by_role("alert")).to_contain_text("This cannot be sent. No usable phone")
    expect(window.get_by_role("button", name="Send")).to_have_count(0)


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
    first.click("#send")
    expect(first.get_by_role("heading", level=1)).to_have_text("This page is not open")
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
    expect(page.get_by_text("The ticket has been told")).to_be_visible(timeout=PATIENCE_MS)  # it loads itself again
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


def test_what_is_wrong_gets_the_focus(pipe: Pipe, case: str, window: Page) -> None:
    window.goto(link(pipe, case))
    window.fill("#message", "")
    window.click("#send")
    expect(window.locator("#message")).to_be_focused()
    expect(window.locator("#message")).to_have_attribute("aria-invalid", "true")
    expect(window.locator("#message-problem")).to_have_text("The message is empty.")


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


def test_words_that_were_replaced_can_be_brought_back(pipe: Pipe, case: str, window: Page) -> None:
    window.goto(link(pipe, case))
    template = window.locator("#message").input_value()
    window.fill("#message", "My own words")
    window.evaluate("document.getElementById('template').dispatchEvent(new Event('change'))")
    expect(window.locator("#message")).to_have_value(template)
    window.get_by_role("button", name="Bring back my words").click()
    expect(window.locator("#message")).to_have_value("My own words")


def test_the_count_while_typing_is_the_servers(pipe: Pipe, case: str, window: Page) -> None:
    window.goto(link(pipe, case))
    rest = ["x" * 160 + "€", "é" * 161, "ê" * 71, "😀" * 36, "a" * 152 + "€" + "a" * 152, "👩‍👩‍👧" * 20, "[" * 77]
    cases = [*(row["text"] for row in TABLE), *rest]
    counted = window.evaluate(
        "async (cases) => { const {measure} = await import('/agents/static/segments.js'); return cases.map(measure) }",
        cases,
    )
    for message, found in zip(cases, counted, strict=True):
        size = segments.measure(message)
        assert (found["encoding"], found["units"], found["segments"]) == (size.encoding, size.units, size.segments)
    window.fill("#message", "ê" * 71)
    expect(window.locator("#counter")).to_have_text("71 characters, 2 segments as it leaves (UCS-2)")
    window.locator("#message").blur()
    expect(window.locator("#preview [data-segments]")).to_have_attribute("data-segments", "2")
    for typed in ("“Hi” – it’s here…", "Zoë\u00a0\u200b• x", "  [€]  ", "x" * 159 + "…"):
        window.fill("#message", typed)
        window.locator("#message").blur()
        size = segments.measure(segments.replace_typographic(typed.strip()))
        expect(window.locator("#preview [data-segments]")).to_have_attribute("data-segments", str(size.segments))
        expect(window.locator("#counter")).to_have_attribute("data-segments", str(size.segments))
        expect(window.locator("#counter")).to_contain_text(size.encoding)
        expect(window.locator("#preview")).to_contain_text(size.encoding)


@pytest.mark.parametrize(
    ("typed", "leaves"),
    [("Your part is here", "Halden: Your part is here. STOP ends"), ("halden: hi", "halden: hi. STOP ends"),
     ("hi. Stop ENDS", "Halden: hi. Stop ENDS"), ("", "")],
)  # fmt: skip
def test_the_count_knows_the_words_around_the_first_text(
    pipe: Pipe, case: str, window: Page, typed: str, leaves: str
) -> None:
    window.goto(link(pipe, case))
    script = (
        "async (typed) => { const {leaving} = await import('/agents/static/segments.js');"
        " return leaving(typed, {before: 'Halden: ', after: '. STOP ends'}) }"
    )
    assert window.evaluate(script, typed) == leaves


def states(pipe: Pipe, page: Page) -> Iterator[str]:
    """The page in its states, one after the other."""
    [case] = pipe.box.salesforce.make_cases(1)
    page.goto(link(pipe, case, agent_name="Maya Lindgren"))
    yield "fresh"
    page.fill("#message", "A long word: " + "x" * 900)
    page.click("#send")
    page.locator("#message-problem").wait_for()
    yield "too long"
    page.fill("#message", "Hello")
    page.click("#send")
    sent(page)
    page.locator(".step-done", has_text="told").wait_for(timeout=PATIENCE_MS)
    yield "sent"
    page.get_by_role("link", name="Write another").click()
    page.click("#send")
    page.locator("#override-problem").wait_for()
    page.get_by_text("What else was looked at").click()
    yield "wants a reason"
    pipe.box.faults.add("status", side="salesforce", status=503, times=50)
    page.click("#send")
    page.get_by_role("button", name="Try again").wait_for()
    pipe.box.faults.clear()
    yield "away"
    page.goto(f"{pipe.web}/agents/text")
    yield "closed"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_serious_for_axe_in_any_state(pipe: Pipe, open_context: Any, scheme: str) -> None:
    if not AXE.exists():
        pytest.skip("axe-core is not installed: npm install --prefix FOLDER axe-core, then set AXE_HOME=FOLDER")
    # The page's own policy lets no strange script in; the tool is one.
    page = open_context(color_scheme=scheme, bypass_csp=True, reduced_motion="reduce").new_page()
    for state in states(pipe, page):
        page.add_script_tag(path=AXE)
        found = page.evaluate("async () => (await axe.run()).violations")
        bad = [(one["id"], one["nodes"][0]["html"]) for one in found if one["impact"] in ("serious", "critical")]
        assert bad == [], state


@pytest.mark.parametrize("viewport", [PHONE, {"width": 768, "height": 1024}, DESKTOP], ids=["360", "768", "1280"])
def test_nothing_has_to_be_scrolled_sideways(pipe: Pipe, open_context: Any, viewport: dict[str, int]) -> None:
    page = open_context(viewport=viewport, has_touch=viewport is PHONE).new_page()
    for state in states(pipe, page):
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= viewport["width"], state


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
