"""The whole pipe for tests: a web process and a worker, between the sandbox and a database."""

import base64
import contextlib
import functools
import secrets
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psycopg
from psycopg.rows import dict_row

from connector import supervisor
from connector.cli import demo
from connector.sandbox import Sandbox
from connector.store import api_keys
from connector.store.api_keys import Right
from tests.support.tls import TLS

Found = TypeVar("Found")
PATIENCE = 30.0


def wait_for(look: Callable[[], Found | None], what: str, patience: float = PATIENCE) -> Found:
    """What `look` finds, as soon as it does."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        if found := look():
            return found
        time.sleep(0.02)
    raise AssertionError(f"did not happen: {what}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Pipe:
    """A running connector. `key` opens the channel for JSON events, `token` the one for outbound messages."""

    box: Sandbox
    url: str
    web: str
    token: str
    key: str
    secret: str
    logs: Path

    def query(self, sql: str, *parameters: Any) -> list[dict[str, Any]]:
        with psycopg.connect(self.url, autocommit=True, row_factory=dict_row) as connection:
            return connection.execute(sql, parameters).fetchall()

    def texts(self, ticket: str) -> list[dict[str, Any]]:
        return self.query("select * from texts where ticket_id = %s order by id", ticket)

    def told(self, ticket: str, texts: int = 1) -> list[dict[str, Any]]:
        """This ticket's texts, as soon as there are so many and each outcome to tell has been told."""

        def look() -> list[dict[str, Any]] | None:
            rows = self.texts(ticket)
            under_way = [row for row in rows if row["state"] in ("received", "queued", "sending")]
            untold = [row for row in rows if row["outcome"] != row["written"]]
            return None if under_way or untold or len(rows) < texts else rows

        return wait_for(look, f"{texts} texts of {ticket} have told it; there are {self.texts(ticket)}")

    def api_key(self, *rights: Right, per_minute: int = 100_000) -> str:
        """A new key to the API, with these rights, or with all."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            key = api_keys.add(connection, secrets.token_hex(4), rights or list(Right), per_minute)
        assert key
        return key

    @functools.cached_property
    def every_right(self) -> str:
        """A key that has all rights."""
        return self.api_key()

    def api(self, method: str, path: str, key: str | None = None, **more: Any) -> httpx.Response:
        """Asks the API, with a key that has all rights unless another is given."""
        headers = {"Authorization": f"Bearer {key or self.every_right}"} | more.pop("headers", {})
        return httpx.request(
            method, f"{self.web}/v1{path}", headers=headers, verify=TLS, trust_env=False, timeout=60, **more
        )

    def send(self, ticket: str, key: str = "", wait: float = 20, **body: Any) -> httpx.Response:
        """A person asks for a text."""
        headers = {"Idempotency-Key": key or secrets.token_hex(8)}
        return self.api("POST", f"/texts?wait={wait}", json={"ticket_id": ticket, **body}, headers=headers)

    def event(self, ticket: str, **more: Any) -> httpx.Response:
        """Tells of this case by JSON."""
        body = {"ticket_id": ticket, "event_id": secrets.token_hex(8), **more}
        headers = {"Authorization": f"Bearer {self.key}"}
        return httpx.post(
            f"{self.web}/webhooks/salesforce/events",
            json=body,
            headers=headers,
            verify=TLS,
            trust_env=False,
            timeout=60,
        )

    def outbound_message(self, body: bytes, token: str | None = None) -> httpx.Response:
        return httpx.post(
            f"{self.web}/webhooks/salesforce/outbound-messages/{token or self.token}",
            content=body,
            headers={"Content-Type": "text/xml; charset=utf-8"},
            verify=TLS,
            trust_env=False,
            timeout=60,
        )


@contextlib.contextmanager
def running(box: Sandbox, url: str, logs: Path, **more: str) -> Iterator[Pipe]:
    """The pipe, ready. `more` are settings without their prefix, in lower case."""
    port, token, key = free_port(), secrets.token_hex(24), secrets.token_hex(24)
    secret = f"whsec_{base64.b64encode(secrets.token_bytes(24)).decode()}"
    pipe = Pipe(box, url, f"http://127.0.0.1:{port}", token, key, secret, logs)
    environment = demo.environment(box, url, port, token) | {
        "CONNECTOR_SALESFORCE_WEBHOOK_KEYS": key,
        "CONNECTOR_SALESFORCE_WEBHOOK_SECRETS": secret,
        "CONNECTOR_CCAIP_REQUESTS_PER_SECOND": "0",
        "CONNECTOR_RECEIVE_SECONDS": "6",
        "CONNECTOR_CHAT_POLL_SECONDS": "0",
        "CONNECTOR_CHAT_WRITE_SECONDS": "1",
        **{f"CONNECTOR_{name.upper()}": value for name, value in more.items()},
    }
    box.salesforce.settings.outbound_message_url = f"{pipe.web}/webhooks/salesforce/outbound-messages/{token}"
    with supervisor.children(["serve", "worker"], environment, logs) as started:
        wait_for(lambda: supervisor.answers("127.0.0.1", port), "the web process is ready")
        wait_for(lambda: "worker ready" in (logs / "worker.log").read_text(), "the worker is ready")
        yield pipe
        assert all(process.poll() is None for process in started.values()), "a process has ended"


def without_job(url: str, case: str) -> int:
    """A trigger's text about this case that has no job, so that no worker sends it; its id."""
    with psycopg.connect(url, autocommit=True) as connection:
        [(text,)] = connection.execute(
            "with e as (insert into events (crm, event_id, channel, ticket_id) values ('salesforce', %s, 'trigger', %s)"
            " returning id) insert into texts (event, crm, ticket_id, channel)"
            " select id, 'salesforce', %s, 'trigger' from e returning id",
            [secrets.token_hex(8), case, case],
        ).fetchall()
    return int(text)


def outbound_message(box: Sandbox, case: str, notification: str) -> bytes:
    """An outbound message about one case, as Salesforce writes it."""
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"><soapenv:Body>
<notifications xmlns="http://soap.sforce.com/2005/09/outbound">
<OrganizationId>{box.salesforce.organization_id}</OrganizationId><ActionId>04k000000000001AAA</ActionId>
<Notification><Id>{notification}</Id>
<sObject xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="sf:Case"
 xmlns:sf="urn:sobject.enterprise.soap.sforce.com"><sf:Id>{case}</sf:Id></sObject>
</Notification></notifications></soapenv:Body></soapenv:Envelope>""".encode()
