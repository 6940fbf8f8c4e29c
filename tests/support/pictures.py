"""The pictures of the documentation, made anew from the demo in Chromium: python -m tests.support.pictures."""

import base64
import contextlib
import os
import pty
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from connector.store import migrations
from tests.browser.conftest import ARGUMENTS, CHROMIUM
from tests.browser.seen import PATIENCE_MS, sent
from tests.conftest import own_server
from tests.support import console_data
from tests.support.console_data import Shown
from tests.support.pipe import free_port

IMAGES = Path(__file__).parent.parent.parent / "docs" / "images"
CASE = "Change of delivery address"
MESSAGE = "Hi Tom, the parcel goes to the new address. It arrives on Friday between 9 and 12."
REPLY = "Great, thank you!"
# Two windows beside each other, each with its address.
WINDOWS = """<!doctype html><meta charset="utf-8"><style>
body { margin: 0; padding: 28px; display: flex; gap: 28px; align-items: flex-start; width: max-content;
       background: #dfe5ee; font: 14px system-ui, sans-serif; color: #4a5568 }
figure { margin: 0; border-radius: 12px; overflow: hidden; background: #f3f4f6; box-shadow: 0 8px 28px #1a20302e }
figcaption { padding: 10px 16px; background: #e9ecf1; border-bottom: 1px solid #d4d9e1 }
img { display: block }
figure + figure img { padding: 20px; background: #fff }
</style>"""


@contextlib.contextmanager
def demo(folder: str) -> Iterator[str]:
    """Run `connector demo` in a terminal of its own, and give the address of its sandbox."""
    web, sandbox = free_port(), free_port()
    command = [sys.executable, "-m", "connector", "demo", "--port", str(web), "--sandbox-port", str(sandbox)]
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env=os.environ | {"CONNECTOR_DATA_DIR": folder}
    )
    os.close(theirs)
    try:
        said = b""
        while b"Ctrl-C" not in said:
            said += os.read(ours, 10_000)
        yield f"http://127.0.0.1:{sandbox}"
    finally:
        process.terminate()
        process.wait(30)
        os.close(ours)


def text_customer(sandbox: Page) -> Page:
    """Open the page for agents from the case, and fill in the form."""
    with sandbox.expect_popup() as opened:
        sandbox.get_by_role("link", name="Text customer").click()
    agent = opened.value
    agent.set_viewport_size({"width": 980, "height": 672})
    message = agent.get_by_role("textbox", name="Message")
    message.fill(MESSAGE)
    message.blur()
    expect(agent.locator("#preview")).to_contain_text(MESSAGE, timeout=PATIENCE_MS)
    return agent


def beside(browser: Browser, *windows: tuple[str, bytes]) -> bytes:
    """Put pictures of windows beside each other, each under its title."""
    figures = (
        f'<figure><figcaption>{title}</figcaption><img src="data:image/png;base64,{base64.b64encode(png).decode()}">'
        "</figure>"
        for title, png in windows
    )
    page = browser.new_page()
    page.set_content(WINDOWS + "".join(figures))
    return page.locator("body").screenshot()


def picture(of: Page | Locator) -> bytes:
    return of.screenshot(animations="disabled")


@contextlib.contextmanager
def console() -> Iterator[Shown]:
    """Run a console with data. Before Playwright: migrations need an event loop of their own."""
    with own_server(None, "connector-pictures-") as (url, folder):
        migrations.migrate(url)
        with console_data.shown(url, folder) as shown:
            yield shown


def overview(browser: Browser, shown: Shown) -> bytes:
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    console_data.sign_in(page, shown)
    return page.screenshot(full_page=True, animations="disabled")


def main() -> None:
    """Make docs/images/agents.png, docs/images/sandbox.png and docs/images/console.png."""
    with (
        tempfile.TemporaryDirectory() as folder,
        demo(folder) as address,
        console() as shown,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        sandbox = browser.new_page(viewport={"width": 1280, "height": 900})
        sandbox.goto(address)
        sandbox.get_by_role("link", name=re.compile(CASE)).click()
        agent = text_customer(sandbox)
        form = picture(agent)
        agent.get_by_role("button", name="Send", exact=True).click()
        sent(agent)
        expect(sandbox.locator("#phone")).to_contain_text(MESSAGE, timeout=PATIENCE_MS)
        sandbox.get_by_role("textbox", name="Reply as the customer").fill(REPLY)
        sandbox.locator("form.reply").get_by_role("button", name="Send").click()
        expect(sandbox.locator("#phone")).to_contain_text(REPLY, timeout=PATIENCE_MS)
        expect(sandbox.locator("#details")).to_contain_text("Sent", timeout=PATIENCE_MS)
        phone = picture(sandbox.locator("aside .phone"))
        windows = beside(browser, ("Text customer", form), ("The customer’s phone", phone))
        (IMAGES / "agents.png").write_bytes(windows)
        (IMAGES / "sandbox.png").write_bytes(sandbox.screenshot(full_page=True))
        (IMAGES / "console.png").write_bytes(overview(browser, shown))
        browser.close()


if __name__ == "__main__":
    main()
