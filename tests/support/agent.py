"""An agent with a browser without scripts: opens links, fills in forms, follows them."""

import re
import secrets
from dataclasses import dataclass
from typing import Any

import httpx
from lxml import html

from tests.support.pipe import Pipe, wait_for
from tests.support.tls import TLS


def link(pipe: Pipe, case: str, **who: Any) -> str:
    """A fresh link to the page."""
    answer = pipe.api("POST", "/links", json={"ticket_id": case, **who})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["url"])


def plain(url: str, **more: Any) -> httpx.Response:
    """One request of a browser that knows nothing yet."""
    return httpx.get(url, verify=TLS, trust_env=False, timeout=60, **more)


@dataclass
class Page:
    """One page as it was answered."""

    answer: httpx.Response

    @property
    def status(self) -> int:
        return self.answer.status_code

    @property
    def root(self) -> Any:
        return html.fromstring(self.answer.text)

    @property
    def words(self) -> str:
        return " ".join(self.root.find("body").text_content().split())

    def field(self, name: str) -> Any:
        return self.root.xpath(f"//*[@name='{name}']")[0]

    def value(self, name: str) -> str:
        found = self.field(name)
        if found.tag == "select":
            return str(found.value or "")
        # A browser takes the first line's end off a text area.
        return found.text_content().removeprefix("\n") if found.tag == "textarea" else str(found.get("value"))

    def form(self) -> dict[str, str]:
        names = (
            *("token", "after", "findings", "template", "message", "override"),
            *("language", "language_before", "send_on", "send_time"),
        )
        return {name: self.value(name) for name in names if self.root.xpath(f"//*[@name='{name}']")}


class Agent:
    """One person with a browser. Close it."""

    def __init__(self, pipe: Pipe) -> None:
        self.pipe = pipe
        self.who = {"agent_name": "Maya Lindgren", "agent_email": f"maya.{secrets.token_hex(4)}@example.com"}
        self.client = httpx.Client(verify=TLS, trust_env=False, timeout=60, follow_redirects=True)

    def get(self, url: str) -> Page:
        return Page(self.client.get(url))

    def open(self, case: str, **who: Any) -> Page:
        return self.get(link(self.pipe, case, **(self.who | who)))

    def submit(self, page: Page, do: str = "send", headers: dict[str, str] | None = None, **changes: str) -> Page:
        """Press a button of this page's form, after these changes to its fields."""
        url = str(page.answer.url).partition("?")[0]
        return Page(self.client.post(url, data=page.form() | {"do": do} | changes, headers=headers))

    def watched(self, page: Page) -> Page:
        """The page that follows a text, loaded again until there is no need to."""
        assert re.search(r"/texts/\d+$", page.answer.url.path), page.answer.url

        def look() -> Page | None:
            again = self.get(str(page.answer.url))
            return None if again.root.xpath("//noscript/meta") else again

        return wait_for(look, "the page has nothing more to wait for")


def texts_to(pipe: Pipe, case: str) -> list[str]:
    """What CCAI Platform was asked to send for this case: it is the witness."""
    return [text.message for text in pipe.box.ccaip.texts if text.ticket_id == case]
