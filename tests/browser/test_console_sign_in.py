"""Signing in to the console with OpenID Connect, in a real browser."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from connector import supervisor
from connector.cli import demo
from connector.sandbox import Sandbox
from tests.support.pipe import free_port, wait_for

# A form sent by hand, with the token of the viewer's own session.
ACT = """path => {
  const body = new URLSearchParams({token: document.querySelector("[name=token]").value})
  return fetch(path, {method: "POST", body}).then(answer => answer.text())
}"""


@pytest.fixture
def web(url: str, tmp_path: Path) -> Iterator[str]:
    """A web process with the sandbox's identity provider."""
    port = free_port()
    with Sandbox(port=0).running() as box:
        environment = demo.environment(box, url, port, "t" * 24) | demo.sign_in(box, port)
        with supervisor.children(["serve"], environment, tmp_path):
            wait_for(lambda: supervisor.answers("127.0.0.1", port), "the web process is ready")
            yield f"http://127.0.0.1:{port}"


def test_who_has_no_role_reads_why_and_a_viewer_signs_in_and_out(window: Page, web: str) -> None:
    sign_in = window.get_by_role("link", name="Sign in with your organization")
    window.goto(f"{web}/console/texts?q=state:failed")
    sign_in.click()
    window.get_by_role("link", name="Gus Park").click()
    expect(window.get_by_role("alert")).to_contain_text("gus.park@example.com, but the claim groups is empty")

    sign_in.click()
    window.get_by_role("link", name="Vera Lund").click()
    expect(window).to_have_url(f"{web}/console/texts?q=state:failed")
    expect(window.get_by_text("You are vera.lund@example.com (8f14e45f).")).to_be_visible()

    window.goto(f"{web}/console/pauses")
    expect(window.get_by_role("button", name="Pause", exact=True)).to_have_count(0)
    assert "You may not change anything here" in window.evaluate(ACT, "/console/pauses")

    window.get_by_role("button", name="Sign out").click()
    window.get_by_role("link", name="Sign out there too").click()
    expect(window.get_by_role("heading", name="You are signed out")).to_be_visible()
    window.goto(f"{web}/console/texts")
    expect(window.get_by_role("heading", name="Sign in to the console")).to_be_visible()
