"""The console of a web process beside the sandbox, on a database of the test's own, and browsers that are signed in."""

import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskClient
from psycopg_pool import ConnectionPool
from werkzeug.test import TestResponse

from connector import settings
from connector.cli import demo
from connector.sandbox import Sandbox
from connector.store import api_keys, postgres
from connector.store.api_keys import Right
from webhooks.app import create_app
from webhooks.console.roles import Role


@dataclass
class Browser:
    """A browser with a session."""

    client: FlaskClient
    name: str

    def get(self, path: str, **more: Any) -> TestResponse:
        return self.client.get(f"/console{path}", **more)

    def post(self, path: str, token: str | None = None, **fields: Any) -> TestResponse:
        """Send a form as a page of the console does."""
        data = {"token": self.token() if token is None else token, "back": "/console/texts", **fields}
        return self.client.post(f"/console{path}", data=data, headers={"Sec-Fetch-Site": "same-origin"})

    def token(self) -> str:
        """The CSRF token of this session's forms."""
        found = re.search(r'name="token" value="([^"]+)"', self.get("/texts", headers={"X-Live": "1"}).text)
        assert found
        return found[1]

    def notice(self, answer: TestResponse) -> str:
        """What the page that an action leads to says about it."""
        assert answer.status_code == 303, answer.text
        page = self.client.get(answer.location).text
        found = re.search(r'<p class="notice[^>]*>([^<]*)</p>', page)
        assert found, page
        return found[1]


@dataclass
class Operators:
    """Makes browsers of people with any roles."""

    app: Flask
    pool: ConnectionPool
    box: Sandbox

    def client(self, *roles: Role, name: str = "") -> Browser:
        """A browser that is signed in with a key that has these roles."""
        name = name or secrets.token_hex(4)
        with self.pool.connection() as connection:
            key = api_keys.add(connection, name, [Right(role.value) for role in roles], 1000)
        client = self.app.test_client()
        answer = client.post("/console/sign-in", data={"key": key}, headers={"Sec-Fetch-Site": "same-origin"})
        assert answer.status_code == 303, answer.text
        return Browser(client, name)


@pytest.fixture(scope="session")
def box() -> Iterator[Sandbox]:
    with Sandbox(port=0, requests_per_second=0).running() as box:
        yield box


@pytest.fixture
def console(box: Sandbox, url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Operators]:
    for name, value in demo.environment(box, url, 8080, secrets.token_hex(24)).items():
        monkeypatch.setenv(name, value)
    with postgres.pool(url, 4) as pool:
        yield Operators(create_app(settings.load(_env_file=None), pool), pool, box)


@pytest.fixture
def connection(console: Operators) -> Iterator[psycopg.Connection]:
    with console.pool.connection() as connection:
        yield connection
