"""What the page's own script does while an agent writes."""

import json
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from connector.policy import segments
from tests.support.agent import link
from tests.support.pipe import Pipe

TABLE = json.loads((Path(__file__).parent.parent / "fixtures" / "segments.json").read_text(encoding="utf-8"))


def test_what_is_wrong_gets_the_focus(pipe: Pipe, case: str, window: Page) -> None:
    window.goto(link(pipe, case))
    window.fill("#message", "")
    window.click("#send")
    expect(window.locator("#message")).to_be_focused()
    expect(window.locator("#message")).to_have_attribute("aria-invalid", "true")
    expect(window.locator("#message-problem")).to_have_text("The message is empty.")


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
    expect(window.locator("#preview [data-segments]")).to_have_attribute("data-segments", "2")
    for typed in ("“Hi” – it’s here…", "Zoë\u00a0\u200b• x", "  [€]  ", "x" * 159 + "…"):
        window.fill("#message", typed)
        size = segments.measure(segments.replace_typographic(typed.strip()))
        expect(window.locator("#preview [data-segments]")).to_have_attribute("data-segments", str(size.segments))
        expect(window.locator("#counter")).to_have_attribute("data-segments", str(size.segments))
        expect(window.locator("#counter")).to_contain_text(size.encoding)
        expect(window.locator("#preview")).to_contain_text(size.encoding)


@pytest.mark.parametrize(
    ("typed", "leaves"),
    [
        ("Your part is here", "Halden: Your part is here. STOP ends"),
        ("halden: hi", "halden: hi. STOP ends"),
        ("hi. Stop ENDS", "Halden: hi. Stop ENDS"),
        ("", ""),
    ],
)
def test_the_count_knows_the_words_around_the_first_text(
    pipe: Pipe, case: str, window: Page, typed: str, leaves: str
) -> None:
    window.goto(link(pipe, case))
    script = (
        "async (typed) => { const {leaving} = await import('/agents/static/segments.js');"
        " return leaving(typed, {before: 'Halden: ', after: '. STOP ends'}) }"
    )
    assert window.evaluate(script, typed) == leaves
