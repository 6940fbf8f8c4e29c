"""Pages that update themselves: nothing moves under a pressed pointer, and nothing new is missed."""

from typing import Literal

from playwright.sync_api import Locator, Page, Route, expect

from tests.browser.conftest import OpenContext
from tests.browser.seen import NARROW, PATIENCE_MS
from tests.support.agent import link
from tests.support.pipe import Pipe

LONG = "A long word: " + "x" * 900


def press(page: Page, at: Locator, button: Literal["left", "right"] = "left") -> None:
    """Press the mouse on it, and hold it."""
    at.scroll_into_view_if_needed()
    box = at.bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down(button=button)


def test_a_preview_that_arrives_during_a_click_does_not_take_the_button_away(
    pipe: Pipe, case: str, open_context: OpenContext
) -> None:
    page = open_context(viewport=NARROW).new_page()
    page.goto(link(pipe, case))
    page.fill("#message", LONG)
    with page.expect_response("**/preview*"):
        press(page, page.locator("#send"))
    before = page.locator("#send").bounding_box()
    page.wait_for_timeout(300)
    assert page.locator("#send").bounding_box() == before
    page.mouse.up()
    page.locator("#message-problem").wait_for(timeout=PATIENCE_MS)


def test_a_preview_is_shown_after_a_press_that_is_no_click(pipe: Pipe, case: str, open_context: OpenContext) -> None:
    page = open_context(viewport=NARROW).new_page()
    page.goto(link(pipe, case))
    page.fill("#message", "Other words")
    with page.expect_response("**/preview*"):
        press(page, page.locator("#send"))
    page.wait_for_timeout(300)
    assert "Other words" not in page.locator("#preview").inner_text()
    page.mouse.move(5, 5)
    page.mouse.up()
    expect(page.locator("#preview")).to_contain_text("Other words")
    expect(page.locator("#updating")).to_be_hidden()


def test_the_console_waits_for_the_release(pipe: Pipe, operator: Page) -> None:
    operator.clock.install()
    operator.goto(f"{pipe.web}/console/texts")
    press(operator, operator.get_by_role("link", name="Audit"))
    [case] = pipe.box.salesforce.make_cases(1, CCAIP_SMS_Status__c="Requested")
    pipe.event(case)
    pipe.told(case)
    with operator.expect_response(lambda response: "x-live" in response.request.headers):
        operator.clock.run_for(5_000)
    operator.wait_for_timeout(300)
    assert case not in operator.locator("main").inner_text()
    operator.mouse.move(5, 400)
    operator.mouse.up()
    operator.clock.run_for(5_000)
    expect(operator.locator("main")).to_contain_text(case)


def test_a_menu_that_takes_the_release_does_not_stop_the_console(pipe: Pipe, operator: Page) -> None:
    """The release of the second button goes to the browser's own menu. The page never hears of it."""
    operator.clock.install()
    operator.goto(f"{pipe.web}/console/texts")

    press(operator, operator.get_by_role("link", name="Audit"), button="right")
    [case] = pipe.box.salesforce.make_cases(1, CCAIP_SMS_Status__c="Requested")
    pipe.event(case)
    pipe.told(case)
    operator.clock.run_for(5_000)

    expect(operator.locator("main")).to_contain_text(case)


def test_a_menu_that_takes_the_release_does_not_stop_the_preview(
    pipe: Pipe, case: str, open_context: OpenContext
) -> None:
    page = open_context().new_page()
    page.goto(link(pipe, case))

    press(page, page.locator("label[for=message]"), button="right")
    page.fill("#message", "Other words")

    expect(page.locator("#preview")).to_contain_text("Other words")
    expect(page.locator("#updating")).to_be_hidden()


def test_the_sandbox_shows_what_happened_before_its_first_update(pipe: Pipe, case: str, window: Page) -> None:
    """The case changes after the server made the page and before the page asks for news."""

    def late(route: Route) -> None:
        pipe.box.salesforce.edit(case, {"CCAIP_SMS_Error__c": "changed meanwhile"})
        route.continue_()

    window.route("**/parts?*", late, times=1)
    window.goto(f"{pipe.box.url}/?ticket={case}")
    expect(window.locator("#details")).to_contain_text("changed meanwhile")


def test_the_sandbox_waits_for_the_release(pipe: Pipe, case: str, window: Page) -> None:
    window.clock.install()
    window.goto(f"{pipe.box.url}/?ticket={case}")
    expect(window.locator(".live")).to_have_text("Updates by itself")
    press(window, window.get_by_role("button", name="Request a text"))
    pipe.box.salesforce.edit(case, {"CCAIP_SMS_Error__c": "changed meanwhile"})
    with window.expect_response("**/parts?*"):
        window.clock.run_for(1_000)
    window.wait_for_timeout(300)
    assert "changed meanwhile" not in window.locator("#details").inner_text()
    window.mouse.move(5, 5)
    window.mouse.up()
    window.clock.run_for(1_000)
    expect(window.locator("#details")).to_contain_text("changed meanwhile")


def test_a_menu_that_takes_the_release_does_not_stop_the_sandbox(pipe: Pipe, case: str, window: Page) -> None:
    window.clock.install()
    window.goto(f"{pipe.box.url}/?ticket={case}")
    expect(window.locator(".live")).to_have_text("Updates by itself")

    press(window, window.get_by_role("button", name="Request a text"), button="right")
    pipe.box.salesforce.edit(case, {"CCAIP_SMS_Error__c": "changed meanwhile"})
    window.clock.run_for(1_000)

    expect(window.locator("#details")).to_contain_text("changed meanwhile")
