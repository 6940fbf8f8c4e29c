"""POST /webhooks/ccaip/chat-events: nothing that is not authentic is kept, and nothing authentic is lost."""

import secrets
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from flask import Flask
from flask.testing import FlaskClient
from psycopg_pool import ConnectionPool

from connector import settings
from connector.cli import chat_sources
from connector.store import postgres
from connector.store.chat_events import Summary
from tests.support import chat_webhooks
from tests.support.pipe import Pipe, wait_for
from tests.support.tls import TLS
from webhooks.ccaip import chat_events
from webhooks.ccaip.chat_events import PATH

SECRET, SECOND = "sandbox-webhook-secret", "sandbox-webhook-secondary"


def post(pipe: Pipe, body: bytes, headers: dict[str, str] | None = None) -> httpx.Response:
    headers = chat_webhooks.headers(body, secret=SECRET) if headers is None else headers
    return httpx.post(f"{pipe.web}{PATH}", content=body, headers=headers, verify=TLS, trust_env=False, timeout=30)


def kept(pipe: Pipe, chat_id: str) -> list[dict[str, Any]]:
    return pipe.query("select * from chat_events where chat_id = %s order by id", chat_id)


@pytest.fixture
def chat_id() -> str:
    """A chat that no text has."""
    return str(secrets.randbelow(10**15) + 10**15)


def test_an_authentic_event_is_saved_once_before_it_is_acknowledged(pipe: Pipe, chat_id: str) -> None:
    body = chat_webhooks.message(int(chat_id), "Thank you")
    headers = chat_webhooks.headers(body, secret=SECRET)
    answers = [post(pipe, body, headers) for _ in range(3)]
    assert [(answer.status_code, answer.json()) for answer in answers] == [
        (200, {"saved": True, "duplicate": duplicate}) for duplicate in (False, True, True)
    ]
    [event] = kept(pipe, chat_id)
    assert (event["event_type"], event["problem"]) == ("message_received", None)


@pytest.mark.parametrize("secret", [SECRET, SECOND])
@pytest.mark.parametrize("stamp", ["{0:.0f}", "{0:.3f}", "{1:.0f}", "iso"])
def test_either_secret_and_each_unit_is_accepted(pipe: Pipe, chat_id: str, secret: str, stamp: str) -> None:
    now = time.time()
    timestamp = datetime.now(UTC).isoformat() if stamp == "iso" else stamp.format(now, now * 1000)
    body = chat_webhooks.event("chat_ended", chat_id)
    assert post(pipe, body, chat_webhooks.headers(body, timestamp, secret)).status_code == 200
    assert len(kept(pipe, chat_id)) == 1


def ago(seconds: float) -> str:
    return (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat()


REFUSED: dict[str, Any] = {
    "no headers": lambda _: {},
    "no signature": lambda _: {"X-Signature-Timestamp": ago(0)},
    "no timestamp": lambda body: {"X-Signature": f"primary={chat_webhooks.sign(SECRET, '', body)}"},
    "another secret": lambda body: chat_webhooks.headers(body, secret="another secret"),
    "another body": lambda body: chat_webhooks.headers(body + b" ", secret=SECRET),
    "another time": lambda body: chat_webhooks.headers(body, ago(1), SECRET) | {"X-Signature-Timestamp": ago(0)},
    "too old": lambda body: chat_webhooks.headers(body, ago(301), SECRET),
    "in the future": lambda body: chat_webhooks.headers(body, ago(-310), SECRET),
    "no offset": lambda body: chat_webhooks.headers(body, datetime.now(UTC).replace(tzinfo=None).isoformat(), SECRET),
}


@pytest.mark.parametrize("headers", REFUSED.values(), ids=REFUSED)
def test_what_is_not_authentic_is_401_and_not_kept(pipe: Pipe, chat_id: str, headers: Any) -> None:
    body = chat_webhooks.event("chat_ended", chat_id)
    answer = post(pipe, body, headers(body))
    assert answer.status_code == 401
    assert answer.json()["error"]
    assert kept(pipe, chat_id) == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json \xff",
        b'{"event_type": "message_received", "chat_id": 5, "body": {"mess',
        b'{"event_type": "message_received"}',
        b'{"event_type": "a", "chat_id": 1, "chat_id": 2}',
        b"[" * 50_000,
        b"\0",
    ],
    ids=["empty", "bytes", "cut off", "no chat id", "same key twice", "nested", "NUL"],
)
def test_what_is_authentic_but_unreadable_is_kept_and_acknowledged(pipe: Pipe, body: bytes) -> None:
    assert post(pipe, body).status_code == 200
    [event, *_] = pipe.query("select * from chat_events where raw = %s", body)
    assert event["problem_kind"] == "unreadable"
    assert event["problem"]


def test_odd_characters_and_another_content_type_lose_nothing(pipe: Pipe, chat_id: str) -> None:
    body = chat_webhooks.message(chat_id, "STOP\0 \ud83d\ude00 \ud83d")
    headers = chat_webhooks.headers(body, secret=SECRET) | {"Content-Type": "text/plain; charset=latin-1"}
    assert post(pipe, body, headers).status_code == 200
    [event] = kept(pipe, chat_id)
    assert event["body"]["message"]["content"].startswith("STOP")


def test_a_body_over_the_limit_is_413(pipe: Pipe) -> None:
    answer = post(pipe, b"x" * 1_000_001)
    assert answer.status_code == 413
    assert "CONNECTOR_MAX_BODY_BYTES" in answer.json()["error"]


def test_other_methods_are_405(pipe: Pipe) -> None:
    assert httpx.get(f"{pipe.web}{PATH}", verify=TLS, trust_env=False).status_code == 405


def test_an_unknown_event_type_is_stored_and_ignored(pipe: Pipe, chat_id: str) -> None:
    assert post(pipe, chat_webhooks.event("something_new", chat_id, words="private")).status_code == 200
    wait_for(lambda: kept(pipe, chat_id)[0]["processed_at"], "the event is processed")
    assert (kept(pipe, chat_id)[0]["body"], kept(pipe, chat_id)[0]["problem"]) == (None, None)


def client(wanted: settings.Settings, pool: ConnectionPool) -> FlaskClient:
    """The route alone, without a server."""
    app = Flask(__name__)
    app.register_blueprint(chat_events.blueprint(wanted, pool))
    return app.test_client()


def test_without_a_secret_the_answer_names_the_setting(url: str) -> None:
    wanted: settings.Settings = settings.load(_env_file=None, ccaip_webhook_primary_secret=None)
    with postgres.pool(url, 1) as pool:
        answer = client(wanted, pool).post(PATH, data=b"{}")
    assert answer.status_code == 403
    assert "CONNECTOR_CCAIP_WEBHOOK_PRIMARY_SECRET" in answer.get_json()["error"]


def test_without_a_database_the_sender_has_to_repeat() -> None:
    wanted: settings.Settings = settings.load(_env_file=None, ccaip_webhook_primary_secret=SECRET)
    with postgres.pool("postgresql://nobody@127.0.0.1:1/none?connect_timeout=1", 1) as pool:
        pool.timeout = 0.2
        body = chat_webhooks.event("chat_ended", 1)
        answer = client(wanted, pool).post(PATH, data=body, headers=chat_webhooks.headers(body, secret=SECRET))
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]


@pytest.fixture
def flood(pipe: Pipe) -> Iterator[list[int]]:
    """Chat webhooks from 60 connections at once, until the test ends; the statuses of their answers."""
    statuses: list[int] = []
    going = True

    def send(number: int) -> None:
        with httpx.Client(verify=TLS, trust_env=False, timeout=60) as client:
            count = 0
            while going:
                count += 1
                body = chat_webhooks.event("something_new", f"77{number:04}{count:06}")
                headers = chat_webhooks.headers(body, secret=SECRET)
                statuses.append(client.post(f"{pipe.web}{PATH}", content=body, headers=headers).status_code)

    with ThreadPoolExecutor(60) as threads:
        for number in range(60):
            threads.submit(send, number)
        wait_for(lambda: len(statuses) > 100, "the flood has begun")
        yield statuses
        going = False


def test_a_flood_of_chat_events_does_not_keep_a_crms_event_waiting(pipe: Pipe, case: str, flood: list[int]) -> None:
    before = len(flood)
    taken = []
    for _ in range(5):
        begun = time.monotonic()
        assert pipe.event(case).status_code == 202
        taken.append(time.monotonic() - begun)
    assert sorted(taken)[2] < 2, taken
    assert len(flood) > before
    assert set(flood) == {200}


def test_the_source_and_the_last_event_are_told() -> None:
    off: settings.Settings = settings.load(_env_file=None, ccaip_webhook_primary_secret=None)
    on: settings.Settings = settings.load(_env_file=None, ccaip_webhook_primary_secret=SECRET)
    at = datetime(2026, 11, 26, 8, 20, tzinfo=UTC)
    [none] = chat_sources.remarks(off, Summary())
    [never] = chat_sources.remarks(on, Summary())
    [alive] = chat_sources.remarks(on, Summary(at))
    [unasked] = chat_sources.remarks(on, None)
    assert [none.attention, never.attention, alive.attention, unasked.attention] == [True, True, False, False]
    assert "no source is set up (never received)" in none.words
    assert "never received" in never.words
    assert "last received at 2026-11-26T08:20:00Z" in alive.words
    assert "connector status" in unasked.words
    troubled = [remark.words for remark in chat_sources.remarks(on, Summary(at, 0, 1, 2, 3))][1:]
    assert [words.partition(" ")[0] for words in troubled] == ["3", "2", "1"]
