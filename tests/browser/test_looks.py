"""The page for agents in each of its states: for every eye, on every screen."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.browser.seen import DESKTOP, NARROW, PATIENCE_MS, PHONE, sent
from tests.support.agent import link
from tests.support.pipe import Pipe

AXE = Path(os.environ.get("AXE_HOME", "/nowhere")) / "node_modules" / "axe-core" / "axe.min.js"


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
    page.locator(".step-done", has_text="has the result").wait_for(timeout=PATIENCE_MS)
    yield "sent"
    page.get_by_role("link", name="Write another").click()
    page.click("#send")
    page.locator("#override-problem").wait_for()
    page.get_by_text("Checks").click()
    yield "wants a reason"
    pipe.box.faults.add("status", side="salesforce", status=503, times=50)
    page.click("#send")
    page.get_by_role("button", name="Try again").wait_for()
    pipe.box.faults.clear()
    yield "away"
    [nobody] = pipe.box.salesforce.make_cases(1, contact={"MobilePhone": "12"})
    page.goto(link(pipe, nobody))
    page.locator("#stopped").wait_for()
    yield "stopped"
    page.goto(f"{pipe.web}/agents/text")
    yield "closed"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_serious_for_axe_in_any_state(pipe: Pipe, open_context: Any, scheme: str) -> None:
    if not AXE.exists():
        pytest.skip("axe-core is not installed: npm install --prefix FOLDER axe-core, then set AXE_HOME=FOLDER")
    # The page's own policy lets no strange script in; the tool is one.
    page = open_context(color_scheme=scheme, bypass_csp=True, reduced_motion="reduce").new_page()
    for state in states(pipe, page):
        page.wait_for_load_state()  # with its looks
        page.add_script_tag(path=AXE)
        found = page.evaluate("async () => (await axe.run()).violations")
        bad = [(one["id"], one["nodes"][0]["html"]) for one in found if one["impact"] in ("serious", "critical")]
        assert bad == [], state


@pytest.mark.parametrize(
    "viewport", [NARROW, PHONE, {"width": 768, "height": 1024}, DESKTOP], ids=["320", "360", "768", "1280"]
)
def test_nothing_has_to_be_scrolled_sideways(pipe: Pipe, open_context: Any, viewport: dict[str, int]) -> None:
    page = open_context(viewport=viewport, has_touch=viewport is PHONE).new_page()
    for state in states(pipe, page):
        page.wait_for_load_state()  # with its looks
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= viewport["width"], state


@pytest.mark.parametrize("viewport", [NARROW, {"width": 390, "height": 844}], ids=["320", "390"])
def test_on_a_phone_what_would_leave_and_what_stops_it_come_before_send(
    pipe: Pipe, open_context: Any, viewport: dict[str, int]
) -> None:
    """Nobody has to scroll past Send to see what it sends. In the page's order too: for keyboards and for ears."""
    [case] = pipe.box.salesforce.make_cases(1)
    page = open_context(viewport=viewport, has_touch=True).new_page()
    page.goto(link(pipe, case, agent_name="Maya Lindgren"))
    page.fill("#message", "Look: bit.ly/abc")
    page.locator(".finding-stop").wait_for()
    names = ["#message", "#verdict", "#preview .bubble", ".finding-stop", "#send"]
    tops = [page.locator(name).bounding_box()["y"] for name in names]
    assert tops == sorted(tops)
    order = "(names) => names.slice(1).every((name, at) => document.querySelector(names[at])"
    follows = ".compareDocumentPosition(document.querySelector(name)) & Node.DOCUMENT_POSITION_FOLLOWING)"
    assert page.evaluate(order + follows, names)
