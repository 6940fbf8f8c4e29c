"""What the tests wait for on the page for agents, and the windows they look at it through."""

from playwright.sync_api import Page

PATIENCE_MS = 15_000
NARROW, PHONE = {"width": 320, "height": 640}, {"width": 360, "height": 740}
DESKTOP = {"width": 1280, "height": 800}


def sent(page: Page) -> str:
    """The chat id, as soon as the page shows it."""
    chat = page.locator("#chat-id")
    chat.wait_for(timeout=PATIENCE_MS)
    return chat.inner_text()
