"""Between the server and Flask: what becomes of a request when something of our own is wrong."""

import asyncio
import logging
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask, Response

from connector.intake import Intake
from connector.model import TicketEvent
from webhooks.front import Front
from webhooks.receive import PREFIX, Acknowledgement


class Protocol:
    """Granian's side of one request: its body, in pieces, and what it was answered."""

    def __init__(self, *parts: bytes) -> None:
        self.parts, self.answered = list(parts), (0, b"")

    async def __call__(self) -> bytes:
        return b"".join(self.parts)

    async def __aiter__(self) -> Any:
        for part in self.parts:
            yield part

    def response_bytes(self, status: int, _: list[tuple[str, str]], body: bytes) -> None:
        self.answered = (status, body)


@pytest.fixture
def app() -> Flask:
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = 100
    # Without a pool, which is as wrong as something of ours can be.
    intake = Intake(None)  # type: ignore[arg-type]

    @app.post(f"{PREFIX}commits")
    def commits() -> Acknowledgement:
        return Acknowledgement([TicketEvent("salesforce", "e", "t")], intake, lambda _: Response())

    @app.post(f"{PREFIX}parses")
    @app.post("/waits")
    def breaks() -> str:
        raise ZeroDivisionError

    return app


def ask(app: Flask, path: str, *parts: bytes, **headers: str) -> tuple[int, bytes]:
    protocol = Protocol(*parts)
    scope = SimpleNamespace(
        method="POST", path=path, query_string="", scheme="http", client="127.0.0.1:1", server="127.0.0.1:8080",
        headers={name.replace("_", "-"): value for name, value in headers.items()},
    )  # fmt: skip
    asyncio.run(Front(app, 1, 5).__rsgi__(scope, protocol))  # type: ignore[arg-type]
    return protocol.answered


@pytest.mark.parametrize("path", [f"{PREFIX}commits", f"{PREFIX}parses", "/waits"])
def test_an_error_of_our_own_is_500_and_in_the_log(
    app: Flask, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        status, body = ask(app, path)
    assert status == 500
    assert b"Traceback" not in body
    assert [record.exc_info is not None for record in caplog.records] == [True]
