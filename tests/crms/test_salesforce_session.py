"""The way to the org: who we say we are, what every request carries, and what its answers mean."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from pydantic import SecretStr

from connector.crms.salesforce import errors
from connector.crms.salesforce.session import Session
from connector.crms.salesforce.settings import Settings
from connector.errors import CallFailed, RefusalScope, Refused, Unavailable

USER = "0056x000001abcdAAA"
EXPIRED = [{"errorCode": "INVALID_SESSION_ID", "message": "Session expired or invalid"}]
DONE = {"done": True}
SECRET = "the-secret-of-the-app"


class Org(ThreadingHTTPServer):
    """A small org. `answers` are given to calls in turn, then DONE; `requests` are (method, path, headers, body)."""

    daemon_threads = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []
        self.answers: list[tuple[int, Any]] = []
        self.token_answers: list[tuple[int, Any]] = []
        self.location = ""
        self.good = {"token-1"}
        self.everything_expired = False
        self.tokens = 0
        self.lock = threading.Lock()
        self.release = threading.Event()
        self.release.set()
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is meant to."""

    def token(self) -> tuple[int, Any]:
        self.tokens += 1
        if self.token_answers:
            return self.token_answers.pop(0)
        return 200, {"access_token": f"token-{self.tokens}", "id": f"https://login.example/id/00Dx/{USER}"}

    def answer(self, path: str, headers: dict[str, str]) -> tuple[int, Any]:
        with self.lock:
            if path == "/services/oauth2/token":
                return self.token()
            if self.everything_expired or headers.get("authorization", "").removeprefix("Bearer ") not in self.good:
                return 401, EXPIRED
            return self.answers.pop(0) if self.answers else (200, DONE)

    def calls(self) -> list[tuple[str, str, dict[str, str], bytes]]:
        return [request for request in self.requests if request[1] != "/services/oauth2/token"]


class Handler(BaseHTTPRequestHandler):
    server: Org
    protocol_version = "HTTP/1.1"

    def _any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.requests.append((self.command, self.path, headers, body))
        assert self.server.release.wait(10)
        status, content = self.server.answer(self.path, headers)
        raw = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(raw)))
        if self.server.location:
            self.send_header("Location", self.server.location)
        self.end_headers()
        self.wfile.write(raw)

    do_GET = do_POST = do_PATCH = _any

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""


@pytest.fixture
def org() -> Iterator[Org]:
    org = Org()
    thread = threading.Thread(target=org.serve_forever, args=(0.02,))
    thread.start()
    yield org
    org.release.set()
    org.shutdown()
    thread.join()
    org.socket.close()


@pytest.fixture
def session(org: Org) -> Iterator[Session]:
    session = Session(wanted(org.url), at_once=20)
    yield session
    session.close()


def wanted(url: str, **more: Any) -> Settings:
    given: dict[str, Any] = {"url": url, "client_id": "app", "client_secret": SecretStr(SECRET), "_env_file": None}
    return Settings(_env_prefix="NOBODY_SETS_THIS_", **given | more)


def failure(session: Session, **call: Any) -> CallFailed:
    with pytest.raises(CallFailed) as caught:
        session.call(**{"path": "limits", **call})
    assert SECRET not in f"{caught.value!s}{caught.value!r}"
    assert "token-" not in f"{caught.value!s}{caught.value!r}"
    return caught.value


def test_client_credentials_are_exchanged_for_a_token_once(org: Org, session: Session) -> None:
    org.answers = [(200, {"a": 1}), (200, [2])]
    assert (session.call("limits"), session.call("limits")) == ({"a": 1}, [2])
    assert session.own_user() == USER
    method, path, _, body = org.requests[0]
    assert (method, path) == ("POST", "/services/oauth2/token")
    assert parse_qs(body.decode()) == {
        "grant_type": ["client_credentials"],
        "client_id": ["app"],
        "client_secret": [SECRET],
    }
    assert org.tokens == 1


def test_a_jwt_bearer_assertion_is_signed_by_our_key(org: Org) -> None:
    key = rsa.generate_private_key(65537, 2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    session = Session(wanted(org.url, client_secret=None, jwt_key=SecretStr(pem), username="bot@org.example"))
    assert session.call("limits") == DONE
    session.close()
    form = parse_qs(org.requests[0][3].decode())
    assert form["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
    audience = "https://login.salesforce.com"
    claims = jwt.decode(form["assertion"][0], key.public_key(), algorithms=["RS256"], audience=audience)
    assert (claims["iss"], claims["sub"]) == ("app", "bot@org.example")
    assert 0 < claims["exp"] - time.time() <= 300


@pytest.mark.parametrize(
    "given",
    [
        lambda pem: pem.replace("\n", "\\n"),
        lambda pem: '"' + pem.replace("\n", "\\n") + '"',
        lambda pem: pem.replace("\n", "\r\n"),
        lambda pem: pem.replace("\n", "\\r\\n"),
        lambda pem: f"  {pem}\n\n",
        lambda pem: pem.strip(),
        lambda pem: f"'{pem}'",
    ],
)
def test_a_key_is_read_however_it_came_through_the_environment(org: Org, given: Any) -> None:
    pem = (
        rsa.generate_private_key(65537, 2048)
        .private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        .decode()
    )
    session = Session(wanted(org.url, client_secret=None, jwt_key=SecretStr(given(pem)), username="bot@org.example"))
    assert session.call("limits") == DONE
    session.close()


@pytest.mark.parametrize(
    ("begins", "words"),
    [
        ("-----BEGIN CERTIFICATE-----", "this is a certificate"),
        ("-----BEGIN PUBLIC KEY-----", "a public key"),
        ("-----BEGIN ENCRYPTED PRIVATE KEY-----", "an encrypted key"),
        ("-----BEGIN EC PRIVATE KEY-----", "elliptic"),
    ],
)
def test_what_is_given_instead_of_a_key_is_named(org: Org, begins: str, words: str) -> None:
    session = Session(wanted(org.url, client_secret=None, jwt_key=SecretStr(begins), username="bot@org.example"))
    error = failure(session)
    session.close()
    assert words in str(error)


def test_a_key_that_is_no_key_is_an_error_of_settings(org: Org) -> None:
    session = Session(wanted(org.url, client_secret=None, jwt_key=SecretStr("no key"), username="bot@org.example"))
    error = failure(session)
    session.close()
    assert isinstance(error, Refused)
    assert error.scope is RefusalScope.SETTINGS


@pytest.mark.parametrize("method", ["GET", "PATCH", "POST"])
def test_every_request_carries_our_headers_and_body_also_after_a_refresh(
    org: Org, session: Session, method: str
) -> None:
    org.good = {"token-2"}
    session.call("composite/sobjects", method, {"records": ["ü"]})
    calls = org.calls()
    assert [headers["authorization"] for _, _, headers, _ in calls] == ["Bearer token-1", "Bearer token-2"]
    for sent, path, headers, body in calls:
        assert (sent, path) == (method, "/services/data/v67.0/composite/sobjects")
        assert (headers["sforce-auto-assign"], headers["sforce-call-options"]) == ("FALSE", "client=ccai-sms-connector")
        assert json.loads(body) == {"records": ["ü"]}


def test_a_401_that_persists_ends_after_one_replay(org: Org, session: Session) -> None:
    org.everything_expired = True
    error = failure(session)
    assert isinstance(error, Unavailable), "a token that was revoked in between: another one is tried within seconds"
    assert (len(org.calls()), org.tokens) == (2, 2)


def test_twenty_threads_with_an_expired_token_make_one_refresh(org: Org, session: Session) -> None:
    session.call("limits")
    org.good = {"token-2"}
    together = threading.Barrier(20)

    def call(_: int) -> Any:
        together.wait(10)
        return session.call("limits")

    with ThreadPoolExecutor(20) as threads:
        assert list(threads.map(call, range(20))) == [DONE] * 20
    assert org.tokens == 2


def test_twenty_threads_without_a_token_ask_for_one(org: Org, session: Session) -> None:
    with ThreadPoolExecutor(20) as threads:
        assert list(threads.map(lambda _: session.call("limits"), range(20))) == [DONE] * 20
    assert org.tokens == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("where", ["token", "call"])
def test_a_redirect_leads_to_no_other_host(org: Org, session: Session, status: int, where: str) -> None:
    other = Org()
    thread = threading.Thread(target=other.serve_forever, args=(0.02,))
    thread.start()
    if where == "call":
        session.own_user()
    org.location = f"{other.url}/services/oauth2/token"
    answers = org.token_answers if where == "token" else org.answers
    answers.append((status, {}))
    try:
        error = failure(session)
    finally:
        other.shutdown()
        thread.join()
        other.socket.close()
    assert other.requests == []
    assert isinstance(error, Refused | Unavailable)


@pytest.mark.parametrize("path", ["https://evil.example/", "//evil.example/", "@evil.example/", "../../../../evil"])
def test_no_path_leads_to_another_host(org: Org, session: Session, path: str) -> None:
    try:
        session.call(path)
    except CallFailed:
        return
    assert all(headers["host"] == org.url.removeprefix("http://") for _, _, headers, _ in org.requests)


@pytest.mark.parametrize("where", ["token", "call"])
def test_an_answer_that_does_not_come_in_time_is_unavailable(org: Org, where: str) -> None:
    session = Session(wanted(org.url, read_timeout=0.2))
    if where == "call":
        session.own_user()
    org.release.clear()
    error = failure(session)
    org.release.set()
    assert isinstance(error, Unavailable)
    assert "TimeoutError" in str(error)
    session.close()


def test_an_org_that_is_not_there_is_unavailable() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        session = Session(wanted(f"http://127.0.0.1:{bound.getsockname()[1]}"))
        assert isinstance(failure(session), Unavailable)
        session.close()


@pytest.mark.parametrize("where", ["token", "call"])
@pytest.mark.parametrize(
    ("status", "content"),
    [(200, b"<html>maintenance"), (503, b"<html>"), (502, b""), (500, b"\xff"), (200, b"[" * 100_000)],
    ids=["200 HTML", "503 HTML", "502 empty", "500 bytes", "200 nested"],
)
def test_a_page_instead_of_an_answer_is_unavailable(
    org: Org, session: Session, where: str, status: int, content: bytes
) -> None:
    (org.token_answers if where == "token" else org.answers).append((status, content))
    assert isinstance(failure(session), Unavailable)


@pytest.mark.parametrize(
    "content",
    [
        {},
        [],
        None,
        "x",
        {"access_token": "t"},
        {"access_token": "t", "id": 1},
        {"access_token": "t", "id": "x"},
        {"access_token": None, "id": "a/b/c"},
    ],
    ids=repr,
)
def test_a_token_answer_without_a_token_is_unavailable(org: Org, session: Session, content: Any) -> None:
    org.token_answers.append((200, content))
    org.good = {"token-2"}
    assert isinstance(failure(session), Unavailable)
    assert session.call("limits") == DONE, "the next call asks for a token again"


@pytest.mark.parametrize(
    ("status", "content"),
    [
        (400, {"error": "invalid_grant", "error_description": "expired"}),
        (401, {"error": "invalid_client"}),
        (400, {"error": "invalid_client_id"}),
        (400, {"error": "unsupported_grant_type"}),
        (400, {"error": "inactive_org"}),
    ],
    ids=["invalid_grant", "invalid_client", "invalid_client_id", "unsupported_grant_type", "inactive_org"],
)
def test_a_login_that_is_refused_is_an_error_of_settings(org: Org, session: Session, status: int, content: Any) -> None:
    org.token_answers.append((status, content))
    error = failure(session)
    assert isinstance(error, Refused)
    assert error.scope is RefusalScope.SETTINGS


LATER, SETTINGS, TICKET = None, RefusalScope.SETTINGS, RefusalScope.TICKET
CODES = [
    (400, "UNABLE_TO_LOCK_ROW", LATER),
    (503, "SERVER_UNAVAILABLE", LATER),
    (500, "UNKNOWN_EXCEPTION", LATER),
    (400, "QUERY_TIMEOUT", LATER),
    (429, "X", LATER),
    (500, "X", LATER),
    (502, "X", LATER),
    (503, "X", LATER),
    (504, "X", LATER),
    (403, "REQUEST_LIMIT_EXCEEDED", LATER),
    (400, "INVALID_FIELD", SETTINGS),
    (400, "INVALID_FIELD_FOR_INSERT_UPDATE", SETTINGS),
    (400, "INSUFFICIENT_ACCESS_OR_READONLY", SETTINGS),
    (403, "INSUFFICIENT_ACCESS", SETTINGS),
    (403, "API_DISABLED_FOR_ORG", SETTINGS),
    (403, "X", SETTINGS),
    (400, "FIELD_CUSTOM_VALIDATION_EXCEPTION", TICKET),
    (400, "STRING_TOO_LONG", TICKET),
    (400, "X", TICKET),
    (400, "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", TICKET),
    (400, "ENTITY_IS_DELETED", TICKET),
]


@pytest.mark.parametrize(("status", "code", "scope"), CODES, ids=str)
def test_a_code_of_an_answer_has_a_verdict(
    org: Org, session: Session, status: int, code: str, scope: RefusalScope | None
) -> None:
    org.answers.append((status, [{"errorCode": code, "message": "words" * 200}]))
    error = failure(session)
    assert (error.scope if isinstance(error, Refused) else isinstance(error, Unavailable) or None) == (scope or True)
    assert code in str(error)
    assert len(str(error)) <= 300
    assert len(org.calls()) == 1
    if code == "REQUEST_LIMIT_EXCEEDED":
        assert isinstance(error, Unavailable)
        assert (error.retry_after or 0) >= 600


@pytest.mark.parametrize(
    ("code", "message", "scope"),
    [
        *((code, "", scope) for status, code, scope in CODES[:-1] if status == 400 and code != "X"),
        ("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", "CaseTrigger: System.DmlException: UNABLE_TO_LOCK_ROW, busy", LATER),
        ("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", "CaseTrigger: no", TICKET),
        ("NOT_FOUND", "", RefusalScope.GONE),
        ("ENTITY_IS_DELETED", "", RefusalScope.GONE),
        ("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id", RefusalScope.GONE),
        ("", "", TICKET),
    ],
)
def test_a_code_of_one_record_has_a_verdict(code: str, message: str, scope: RefusalScope | None) -> None:
    error = errors.of_record({"success": False, "errors": [{"statusCode": code, "message": message, "fields": []}]})
    assert (error.scope if isinstance(error, Refused) else isinstance(error, Unavailable) or None) == (scope or True)


@pytest.mark.parametrize("answer", [{}, {"errors": []}, {"errors": None}, {"errors": [{}]}], ids=repr)
def test_a_record_that_failed_without_a_code_is_its_own_affair(answer: dict[str, Any]) -> None:
    error = errors.of_record(answer)
    assert isinstance(error, Refused)
    assert error.scope is RefusalScope.TICKET
