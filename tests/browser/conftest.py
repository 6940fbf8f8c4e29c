"""Real browser windows on the page for agents."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from connector.store.api_keys import Right
from tests.browser.seen import DESKTOP, PATIENCE_MS
from tests.support.pipe import Pipe

OpenContext = Callable[..., BrowserContext]
CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        pytest.skip("chromium is not installed: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def open_context(browser: Browser) -> Iterator[OpenContext]:
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
def window(open_context: OpenContext) -> Page:
    return open_context().new_page()


@pytest.fixture
def agents_page(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sandbox's cases open the page."""
    salesforce = pipe.box.salesforce.settings
    salesforce.agents_url, salesforce.agents_key = pipe.web, pipe.every_right


@pytest.fixture
def operator(pipe: Pipe, window: Page) -> Page:
    """A person with all rights, signed in."""
    window.goto(f"{pipe.web}/console/sign-in")
    window.get_by_label("API key").fill(pipe.api_key(*Right))
    window.get_by_role("button", name="Sign in").click()
    return window
