"""What comes in at the channels, over real HTTP: nothing that is not authentic is kept, nothing authentic is lost."""

import contextlib
import secrets
import socket
from datetime import UTC, datetime
from urllib.parse import urlsplit

import httpx
import pytest
from standardwebhooks import Webhook

from connector.store import postgres
from tests.support.pipe import Pipe, outbound_message
from tests.support.tls import TLS

OTHER_ORG = b"00D999999999999EAA"


def events(pipe: Pipe) -> int:
    return int(pipe.query("select count(*) as n from events")[0]["n"])


@pytest.mark.parametrize("token", ["wrong", "%20", "a" * 500, "ü"])
def test_a_wrong_token_is_401_and_nothing_is_kept(pipe: Pipe, case: str, token: str) -> None:
    before = events(pipe)
    answer = pipe.outbound_message(outbound_message(pipe.box, case, "04l000000000901AAA"), token)
    assert answer.status_code == 401
    assert events(pipe) == before


def test_another_organization_is_403_and_nothing_is_kept(pipe: Pipe, case: str) -> None:
    before = events(pipe)
    body = outbound_message(pipe.box, case, "04l000000000902AAA")
    answer = pipe.outbound_message(body.replace(pipe.box.salesforce.organization_id.encode(), OTHER_ORG))
    assert answer.status_code == 403
    assert events(pipe) == before


@pytest.mark.parametrize(
    "body",
    [b"", b"not xml", b"<a/>", b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", b"\xff\xfe\x00", b"<a>" * 300],
    ids=["empty", "text", "other xml", "entity", "bytes", "half sent"],
)
def test_what_is_authentic_but_unreadable_is_kept_once_and_acknowledged(pipe: Pipe, body: bytes) -> None:
    for _ in range(2):
        answer = pipe.outbound_message(body)
        assert answer.status_code == 200
        assert b"<Ack>true</Ack>" in answer.content
        assert answer.headers["Content-Type"] == "text/xml; charset=utf-8"
    [kept] = pipe.query("select problem from events where raw = %s", body)
    assert kept["problem"]


def test_a_deleted_record_is_acknowledged_and_texts_nobody(pipe: Pipe, case: str) -> None:
    body = outbound_message(pipe.box, case, "04l000000000903AAA")
    start, end = body.index(b"<sObject"), body.index(b"</Notification>")
    answer = pipe.outbound_message(body[:start] + body[end:])
    assert answer.status_code == 200
    [event] = pipe.query("select ticket_id, problem from events where event_id = '04l000000000903AAA'")
    assert event == {"ticket_id": None, "problem": "the record was deleted"}


@pytest.mark.parametrize("path", ["outbound-messages/any", "events"])
def test_a_body_over_the_limit_is_413(pipe: Pipe, path: str) -> None:
    url = f"{pipe.web}/webhooks/salesforce/{path}"
    answer = httpx.post(url, content=b"x" * 1_000_001, verify=TLS, trust_env=False)
    assert answer.status_code == 413
    assert "CONNECTOR_MAX_BODY_BYTES" in answer.json()["error"]


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_far_over_the_limit_is_not_read_to_its_end(pipe: Pipe, chunked: bool) -> None:
    host, _, port = pipe.web.removeprefix("http://").partition(":")
    head = "Transfer-Encoding: chunked" if chunked else "Content-Length: 100000000000"
    part = b"x" * 60_000
    with socket.create_connection((host, int(port)), timeout=30) as sender:
        sender.sendall(f"POST /webhooks/salesforce/events HTTP/1.1\r\nHost: x\r\n{head}\r\n\r\n".encode())
        if chunked:
            with contextlib.suppress(ConnectionError):  # it may have been answered by now
                for _ in range(80):
                    sender.sendall(b"%x\r\n%b\r\n" % (len(part), part))
        assert sender.recv(100).startswith(b"HTTP/1.1 413 ")


def test_a_header_with_an_underscore_does_not_pass_for_another(pipe: Pipe, case: str) -> None:
    headers = {"Authorization": f"Bearer {pipe.key}", "Idempotency_Key": "smuggled"}
    url = f"{pipe.web}/webhooks/salesforce/events"
    answer = httpx.post(url, json={"ticket_id": case, "event_id": "own"}, headers=headers, verify=TLS, trust_env=False)
    assert [text["event_id"] for text in answer.json()["texts"]] == ["own"]
    twice = [*headers.items(), ("Authorization", "Bearer wrong")]
    assert httpx.post(url, json={"ticket_id": case}, headers=twice, verify=TLS, trust_env=False).status_code == 401


def test_head_has_no_body(pipe: Pipe) -> None:
    answer = httpx.head(f"{pipe.web}/healthz", verify=TLS, trust_env=False)
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["Content-Type"] == "application/json"


def test_a_chunked_body_is_read_or_refused_but_never_taken_for_another(pipe: Pipe, case: str) -> None:
    body = outbound_message(pipe.box, case, "04l000000000904AAA")
    url = f"{pipe.web}/webhooks/salesforce/outbound-messages/{pipe.token}"
    answer = httpx.post(url, content=iter([body[:100], body[100:]]), verify=TLS, trust_env=False)
    assert answer.status_code == 200
    assert len(pipe.query("select from events where event_id = '04l000000000904AAA'")) == 1


def test_a_sender_that_hangs_up_half_way_leaves_nothing(pipe: Pipe) -> None:
    before = events(pipe)
    parts = urlsplit(pipe.web)
    with socket.create_connection((parts.hostname, parts.port)) as half:
        half.sendall(
            f"POST /webhooks/salesforce/outbound-messages/{pipe.token} HTTP/1.1\r\nHost: x\r\n"
            "Content-Length: 5000\r\n\r\n<half".encode()
        )
    assert httpx.get(f"{pipe.web}/healthz", verify=TLS, trust_env=False).status_code == 200
    assert events(pipe) == before


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic eDp5"}])
def test_json_without_a_right_key_is_401_and_nothing_is_kept(pipe: Pipe, case: str, headers: dict[str, str]) -> None:
    before = events(pipe)
    answer = httpx.post(
        f"{pipe.web}/webhooks/salesforce/events", json={"ticket_id": case}, headers=headers, verify=TLS, trust_env=False
    )
    assert answer.status_code == 401
    assert events(pipe) == before


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{", "not JSON"),
        (b'{"ticket_id": 5}', "ticket_id"),
        (b'{"ticket_id": "500000000000001AAA"}', "expected event_id"),
        (b'{"ticket_id": "500000000000001AAA", "event_id": "e", "note": "\\u0000"}', "cannot be kept"),
        (b"[1]", "event 0"),
    ],
)
def test_json_that_cannot_be_read_is_400_with_words(pipe: Pipe, body: bytes, words: str) -> None:
    answer = httpx.post(
        f"{pipe.web}/webhooks/salesforce/events",
        content=body,
        headers={"Authorization": f"Bearer {pipe.key}"},
        verify=TLS,
        trust_env=False,
    )
    assert answer.status_code == 400
    assert words in answer.json()["error"]


@pytest.mark.parametrize("form", ['{"ticket_id": "%s", "ticket_id": "%s"}', '[{"ticket_id": "%s", "ticket_id": "%s"}]'])
@pytest.mark.parametrize("signed", [True, False], ids=["signed", "with a key"])
def test_a_key_twice_is_422_and_nothing_is_kept(pipe: Pipe, case: str, form: str, signed: bool) -> None:
    """Which of two ids is meant is not guessed."""
    name, now, body = f"msg_{secrets.token_hex(8)}", datetime.now(UTC), form % ("500999999999999AAA", case)
    headers = {"Authorization": f"Bearer {pipe.key}", "Idempotency-Key": name}
    if signed:
        signature = Webhook(pipe.secret).sign(name, now, body)
        headers = {"webhook-id": name, "webhook-timestamp": str(int(now.timestamp())), "webhook-signature": signature}
    before = events(pipe)

    answer = httpx.post(
        f"{pipe.web}/webhooks/salesforce/events", content=body, headers=headers, verify=TLS, trust_env=False
    )

    assert (answer.status_code, "a key occurs twice" in answer.text) == (422, True)
    assert events(pipe) == before


def test_a_signed_message_is_taken_in_under_its_id(pipe: Pipe, case: str) -> None:
    secret = pipe.secret
    name, now = f"msg_{secrets.token_hex(8)}", datetime.now(UTC)
    body = f'[{{"ticket_id": "{case}"}}, {{"ticket_id": "{case}", "event_id": "own-{name}"}}]'
    headers = {
        "webhook-id": name,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign(name, now, body),
    }
    url = f"{pipe.web}/webhooks/salesforce/events"
    answer = httpx.post(url, content=body, headers=headers, verify=TLS, trust_env=False)
    assert answer.status_code == 202
    assert [text["event_id"] for text in answer.json()["texts"]] == [f"{name}:0", f"own-{name}"]
    forged = httpx.post(url, content=body.replace(case, case[:15]), headers=headers, verify=TLS, trust_env=False)
    assert forged.status_code == 401


def test_an_empty_signature_and_empty_values_count_as_absent(pipe: Pipe, case: str) -> None:
    """What a Flow sends for what it does not have."""
    headers = {
        "Authorization": f"Bearer {pipe.key}",
        "Idempotency-Key": f"m-{case}",
        "webhook-id": "",
        "webhook-signature": "",
    }
    content = {"ticket_id": case, "event_id": "", "changed_by": None}
    answer = httpx.post(
        f"{pipe.web}/webhooks/salesforce/events", json=content, headers=headers, verify=TLS, trust_env=False
    )
    assert answer.status_code == 202, answer.text
    assert [one["event_id"] for one in answer.json()["texts"]] == [f"m-{case}"]


def test_an_id_that_was_used_for_another_case_is_422_and_the_others_are_taken_in(pipe: Pipe, case: str) -> None:
    headers, url = {"Authorization": f"Bearer {pipe.key}"}, f"{pipe.web}/webhooks/salesforce/events"
    other, third = pipe.box.salesforce.make_cases(2)
    body = [{"ticket_id": case, "event_id": "mine"}]
    assert httpx.post(url, json=body, headers=headers, verify=TLS, trust_env=False).status_code == 202
    body += [
        {"ticket_id": other, "event_id": "mine"},
        {"ticket_id": other, "event_id": "new"},
        {"ticket_id": third, "event_id": "new"},
    ]
    for known in (False, True):
        answer = httpx.post(url, json=body, headers=headers, verify=TLS, trust_env=False)
        assert answer.status_code == 422
        told = [(text["event_id"], text["duplicate"]) for text in answer.json()["texts"]]
        assert told == [("mine", True), ("new", known)]
        assert "not saved: mine, new;" in answer.json()["error"]
    tickets = pipe.query("select ticket_id from events where event_id in ('json:mine', 'json:new') order by event_id")
    assert [row["ticket_id"] for row in tickets] == [case, other]


def test_the_log_says_where_the_web_process_listens(pipe: Pipe) -> None:
    [ready] = [line for line in (pipe.logs / "serve.log").read_text().splitlines() if "web process ready" in line]
    assert pipe.web in ready


def test_health_and_readiness(pipe: Pipe) -> None:
    for path in ("healthz", "readyz"):
        answer = httpx.get(f"{pipe.web}/{path}", verify=TLS, trust_env=False)
        assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_without_a_database_nothing_is_acknowledged(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from connector import settings
    from webhooks.app import create_app

    token = "t" * 30
    monkeypatch.setenv("CONNECTOR_SALESFORCE_ORGANIZATION_ID", "00D000000000001EAA")
    monkeypatch.setenv("CONNECTOR_SALESFORCE_OUTBOUND_MESSAGE_TOKENS", token)
    gone = "postgresql://nobody@127.0.0.1:1/none?connect_timeout=1"
    with contextlib.closing(postgres.pool(gone, 1)) as pool:
        pool.timeout = 0.2
        client = create_app(settings.load(_env_file=None), pool).test_client()
        assert client.get("/readyz").status_code == 503
        body = b"anything"
        answer = client.post(f"/webhooks/salesforce/outbound-messages/{token}", data=body)
        assert answer.status_code == 503
        assert answer.headers["Retry-After"] == "5"
