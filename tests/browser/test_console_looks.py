"""All pages of the console with data: for every eye, on every screen, by keyboard, and without JavaScript."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext, Page, ViewportSize, expect

from tests.browser.conftest import OpenContext
from tests.browser.seen import DESKTOP, NARROW
from tests.browser.test_looks import AXE
from tests.conftest import created
from tests.support import console_data
from tests.support.console_data import Shown

PAGES = (
    ["", "?span=hour", "texts", "texts?q=state:failed", "texts?q=nonsense:1", "texts?q=is:not-written+rule:none"]
    + [f"texts/{text}" for text in (1, 3, 4, 7, 8, 10, 14)]
    + ["texts/1/reason", "texts/1/decide-again", "unknowns", "unknowns/4", "unknowns/6", "opt-outs", "person"]
    + ["back-fills", "bulk", "bulk/1", "bulk/2", "pauses", "try-mapping", "audit", "keys", "no-such-page"]
)


@pytest.fixture(scope="module")
def shown(server: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    with (
        created(server, "connector_test_console_looks", template) as url,
        console_data.shown(url, tmp_path_factory.mktemp("logs")) as shown,
    ):
        yield shown


def signed_in(shown: Shown, context: BrowserContext) -> Page:
    page = context.new_page()
    console_data.sign_in(page, shown)
    return page


def test_no_page_has_anything_serious_for_axe_or_is_wider_than_the_window(
    shown: Shown, open_context: OpenContext
) -> None:
    if not AXE.exists():
        pytest.skip("axe-core is not installed: npm install --prefix FOLDER axe-core, then set AXE_HOME=FOLDER")
    # The console's own policy lets no strange script in; the tool is one.
    page = signed_in(shown, open_context(bypass_csp=True, reduced_motion="reduce"))
    wrong = []
    for path in [*PAGES, *shown.found]:
        page.set_viewport_size(ViewportSize(width=DESKTOP["width"], height=DESKTOP["height"]))
        page.emulate_media(color_scheme="light")
        page.goto(f"{shown.address}/{path}")
        page.wait_for_load_state()
        page.add_script_tag(path=AXE)
        found = page.evaluate("async () => (await axe.run()).violations")
        page.emulate_media(color_scheme="dark")
        found += page.evaluate("async () => (await axe.run({runOnly: ['color-contrast']})).violations")
        serious = [one for one in found if one["impact"] in ("serious", "critical")]
        wrong += [(path, one["id"], one["nodes"][0]["html"]) for one in serious]
        for viewport in (DESKTOP, NARROW):
            page.set_viewport_size(ViewportSize(width=viewport["width"], height=viewport["height"]))
            wide = page.evaluate("document.documentElement.scrollWidth")
            wrong += [(path, viewport["width"], wide)] if wide > viewport["width"] else []
    assert wrong == []


def test_every_column_of_the_audit_trail_is_in_sight(shown: Shown, open_context: OpenContext) -> None:
    page = signed_in(shown, open_context())
    page.set_viewport_size(ViewportSize(width=DESKTOP["width"], height=DESKTOP["height"]))
    page.goto(f"{shown.address}/audit")
    expect(page.get_by_text("CONNECTOR_SALESFORCE_OUTBOUND_MESSAGE_TOKENS")).to_be_visible()
    entries = page.get_by_role("region", name="Entries")
    assert entries.evaluate("all => all.scrollWidth - all.clientWidth") == 0


def test_rows_are_walked_selected_and_opened_by_keyboard(shown: Shown, open_context: OpenContext) -> None:
    page = signed_in(shown, open_context())
    page.goto(f"{shown.address}/texts")
    for key in "jjxjxk":
        page.keyboard.press(key)
    boxes = page.locator("[data-row] input")
    assert [boxes.nth(row).is_checked() for row in range(3)] == [False, True, True]
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Text 16")
    page.wait_for_load_state()  # with its scripts

    page.keyboard.press("/")
    page.keyboard.type("state:failed")
    page.keyboard.press("Enter")
    expect(page.locator("[data-row]")).to_have_count(1)
    page.wait_for_load_state()  # with its scripts
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard")).to_be_visible()


def test_paused_refreshing_asks_for_nothing_on_any_page(shown: Shown, open_context: OpenContext) -> None:
    context = open_context()
    page = signed_in(shown, context)
    other = context.new_page()
    for window in (page, other):
        window.clock.install()
        window.goto(f"{shown.address}/texts")
    refreshes: list[str] = []
    context.on("request", lambda request: refreshes.append(request.url) if "x-live" in request.headers else None)
    with other.expect_request(lambda request: "x-live" in request.headers):
        other.clock.run_for(6_000)

    page.get_by_role("button", name="Pause refreshing").click()
    expect(other.get_by_role("button", name="Resume refreshing")).to_be_visible()
    refreshes.clear()
    page.goto(f"{shown.address}/")
    expect(page.get_by_role("button", name="Resume refreshing")).to_be_visible()
    for window in (page, other):
        window.clock.run_for(60_000)
        window.wait_for_timeout(100)
    assert refreshes == []


def test_without_javascript_the_main_actions_work(shown: Shown, open_context: OpenContext) -> None:
    page = signed_in(shown, open_context(java_script_enabled=False))
    assert page.get_by_text("Times are in UTC.").is_visible()

    page.get_by_label("Search texts").fill("text:17")
    page.get_by_role("button", name="Search").click()
    page.get_by_label("Select text 17").check()
    page.get_by_role("button", name="Continue with the selected").click()
    page.get_by_label("Why").fill("the parts are late")
    page.get_by_role("button", name="Cancel: 1 text").click()
    expect(page.get_by_role("status")).to_contain_text("Started.")

    page.get_by_role("link", name="Pauses").click()
    page.get_by_label("What").select_option("all:")
    page.get_by_label("Why").fill("wrong words")
    page.get_by_role("button", name="Pause", exact=True).click()
    expect(page.get_by_role("status")).to_contain_text("wrong words")

    page.get_by_role("link", name="Unknown", exact=True).click()
    page.get_by_role("link", name="Text 6", exact=True).click()
    page.get_by_label("It was not sent.").check()
    page.get_by_label("How you know").fill("CCAI Platform shows no chat")
    page.get_by_role("button", name="Settle text 6").click()
    expect(page.get_by_role("status")).to_contain_text("not sent")
