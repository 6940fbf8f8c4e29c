"""Every way a call to CCAI Platform can end, and on which side it is: certainly not done, or perhaps done."""

import asyncio
import json
import socket
import ssl
import struct
import threading
from asyncio.selector_events import (  # type: ignore[attr-defined]  # a private class of asyncio, which has no types
    _SelectorSocketTransport,
)
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import pytest

from connector.ccaip import client as client_store
from connector.ccaip.client import Account, Client
from connector.errors import CallFailed, OutcomeUnknown, RefusalCode, RefusalScope, Refused, Unavailable
from connector.model import OutboundSms

TOKEN = "a-credential-that-nobody-may-see"
SMS = OutboundSms("+14155550100", "+16285550199", "lorem ipsum", "5006x00000XXxxxXXX")
CHAT = {"id": 114, "status": "selecting", "created_at": "2021-10-04T17:20:51.000Z", "agent_info": None, "brand_new": []}
Behave = Callable[[socket.socket], None]


def read_request(connection: socket.socket) -> bytes:
    received = b""
    while b"\r\n\r\n" not in received:
        received += connection.recv(65536) or b"\r\n\r\n"
    head, _, body = received.partition(b"\r\n\r\n")
    length = next((int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0)
    while len(body) < length:
        body += connection.recv(65536) or b" " * length
    return head + b"\r\n\r\n" + body


def says(raw: bytes) -> Behave:
    def behave(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(raw)

    return behave


def answer(status: int, body: object = None, **headers: str) -> Behave:
    """Says this, whole; a header's name with _ for -."""
    content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(content)}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return says("\r\n".join([*lines, "", ""]).encode("utf-8") + content)


def close(connection: socket.socket) -> None:
    """Ends the connection before anything was read."""


def hang(connection: socket.socket) -> None:
    read_request(connection)
    connection.recv(1)  # returns when the client gives up


def reset(connection: socket.socket) -> None:
    read_request(connection)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class Remote:
    """A server of one behaviour; `requests` are those that it has read."""

    def __init__(self) -> None:
        self.behave: Behave = close
        self.connections = 0
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            with connection:
                self.connections += 1
                try:
                    self.behave(connection)
                except OSError:
                    continue

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join()


@pytest.fixture
def remote() -> Iterator[Remote]:
    remote = Remote()
    yield remote
    remote.close()


def account(address: str, **more: Any) -> Account:
    return Account(address, "customer", TOKEN, **{"read_timeout": 5, **more})


def send(to: Account, *calls: Any) -> list[Any]:
    """Calls one after the other, each with these arguments: what they return or raise."""

    async def each() -> list[Any]:
        client, ended = Client(to), list[Any]()
        for call in calls:
            ended += await asyncio.gather(client.send(*call), return_exceptions=True)
        await client.close()
        return ended

    return asyncio.run(each())


def call(remote: Remote, behave: Behave, sms: OutboundSms = SMS, **more: Any) -> Any:
    remote.behave = behave
    [ended] = send(account(remote.address, **more), (sms,))
    if isinstance(ended, BaseException):
        raise ended
    return ended


def failure(remote: Remote, behave: Behave, **more: Any) -> CallFailed:
    with pytest.raises(CallFailed) as caught:
        call(remote, behave, **more)
    error: BaseException | None = caught.value
    while error is not None:
        assert TOKEN not in f"{error!s} {error!r} {vars(error)}"
        error = error.__cause__
    assert remote.connections == 1, "a call is never repeated"
    return caught.value


def test_an_answer_with_an_id_is_a_chat(remote: Remote) -> None:
    chat = call(remote, answer(200, CHAT))
    assert (chat.id, chat.status) == (114, "selecting")


@pytest.mark.parametrize("odd", [{}, {"status": "", "fail_reason": 5, "created_at": "soon", "agent_info": []}])
def test_an_answer_with_an_id_is_a_chat_however_odd_the_rest(remote: Remote, odd: dict[str, object]) -> None:
    assert call(remote, answer(200, {"id": 114, **odd})).id == 114


DOCUMENTED = {
    "chat_type needs to be provided": RefusalScope.SETTINGS,
    "valid chat type needs to be provided": RefusalScope.SETTINGS,
    "SMS is not enabled": RefusalScope.SETTINGS,
    "Outbound SMS is not enabled": RefusalScope.SETTINGS,
    "end_user_number is required": RefusalScope.TICKET,
    "end_user_number is invalid": RefusalScope.TICKET,
    "Non-US phone number not allowed": RefusalScope.TICKET,
    "outbound_number is required": RefusalScope.SETTINGS,
    "outbound_number is invalid": RefusalScope.SETTINGS,
    "outbound_number is not found": RefusalScope.SETTINGS,
    "message is required": RefusalScope.TICKET,
    "Outbound SMS failed. Consumer is already in an active SMS session.": RefusalScope.BUSY,
    "something nobody has documented": RefusalScope.TICKET,
}


@pytest.mark.parametrize(("words", "scope"), DOCUMENTED.items())
@pytest.mark.parametrize("around", ["%s", " %s\n"], ids=["exact", "with space"])
def test_a_refusal_tells_whose_business_it_is(remote: Remote, words: str, scope: RefusalScope, around: str) -> None:
    error = failure(remote, answer(400, {"message": around % words, "new_key": 1}))
    assert isinstance(error, Refused)
    assert (error.scope, str(error)) == (scope, words)


@pytest.mark.parametrize(("words", "scope"), DOCUMENTED.items())
@pytest.mark.parametrize("form", ["upper", "without", "with"])
def test_capitals_and_a_full_stop_make_no_other_refusal(
    remote: Remote, words: str, scope: RefusalScope, form: str
) -> None:
    bare = words.removesuffix(".")
    said = {"upper": words.upper(), "without": bare, "with": f"{bare}."}[form]
    error = failure(remote, answer(400, {"message": said}))
    assert isinstance(error, Refused)
    assert (error.scope, str(error)) == (scope, said)


@pytest.mark.parametrize("status", [301, 302, 307, 308, 401, 403, 404])
@pytest.mark.parametrize("body", [None, {"message": "message is required"}, b"<html>"], ids=["empty", "words", "HTML"])
def test_wrong_credentials_and_addresses_are_settings_and_no_redirect_is_followed(
    remote: Remote, status: int, body: object
) -> None:
    error = failure(remote, answer(status, body, Location=f"{remote.address}/elsewhere"))
    assert isinstance(error, Refused)
    assert error.scope is RefusalScope.SETTINGS


@pytest.mark.parametrize("status", [400, 402, 405, 413, 415, 422, 451, 499])
@pytest.mark.parametrize(
    "body",
    [None, b"<html>", [], {"message": None}, {"message": [1]}, {"message": " "}, b"\xff", {"message": "x" * 9999}],
    ids=["empty", "HTML", "list", "null", "list of words", "blank", "bytes", "long"],
)
def test_every_other_refusal_fails_this_text_with_bounded_words(remote: Remote, status: int, body: object) -> None:
    error = failure(remote, answer(status, body))
    assert isinstance(error, Refused)
    assert error.scope is RefusalScope.TICKET
    assert 0 < len(str(error)) <= 300


@pytest.mark.parametrize("odd", ["a\x00b", "half \ud83d"], ids=["NUL", "lone surrogate"])
def test_the_platforms_words_are_ones_that_a_database_keeps(remote: Remote, odd: str) -> None:
    words = str(failure(remote, answer(400, {"message": odd})))
    assert "\x00" not in words
    assert words.encode()


SOON = format_datetime(datetime.now(UTC) + timedelta(hours=10), usegmt=True)


@pytest.mark.parametrize(
    ("header", "least", "most"),
    [
        pytest.param("7", 7, 7, id="seconds"),
        pytest.param(" 7 ", 7, 7, id="seconds with space"),
        pytest.param("0", 0, 0, id="zero"),
        pytest.param(SOON, 35_000, 36_000, id="a date"),
        pytest.param("Wed, 21 Oct 2015 07:28:00 GMT", 0, 0, id="a date that is over"),
        pytest.param(None, 1, 1, id="missing"),
        pytest.param("", 1, 1, id="empty"),
        pytest.param("soon", 1, 1, id="words"),
        pytest.param("-5", 1, 1, id="negative"),
        pytest.param("1.5", 1, 1, id="fraction"),
        pytest.param("nan", 1, 1, id="nan"),
        pytest.param("²", 1, 1, id="superscript"),
        pytest.param("Wed, 99 Oct 2015", 1, 1, id="no date"),
        pytest.param("Wed, 21 Oct 99999 07:28:00 GMT", 1, 1, id="a year that no calendar has"),
    ],
)
def test_too_many_requests_is_later_by_retry_after(
    remote: Remote, header: str | None, least: float, most: float
) -> None:
    headers = {} if header is None else {"Retry_After": header}
    error = failure(remote, answer(429, {"message": "slow down"}, **headers))
    assert isinstance(error, Unavailable)
    assert error.retry_after is not None
    assert least <= error.retry_after <= most


def test_no_retry_after_is_infinite(remote: Remote) -> None:
    error = failure(remote, answer(429, None, Retry_After="9" * 400))
    assert isinstance(error, Unavailable)
    assert error.retry_after is None or error.retry_after < float("inf")


OK = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"


@pytest.mark.parametrize(
    "behave",
    [
        *(pytest.param(answer(status, {"message": "message is required"}), id=str(status)) for status in (500, 504)),
        pytest.param(answer(503, None, Retry_After="5"), id="503, later"),
        pytest.param(answer(303), id="303, done?"),
        pytest.param(answer(200), id="200, empty"),
        pytest.param(answer(200, b"<html>"), id="200, not JSON"),
        pytest.param(answer(200, {}), id="200, no id"),
        pytest.param(answer(200, {"id": None, "status": "a"}), id="200, null id"),
        pytest.param(answer(200, []), id="200, list"),
        pytest.param(answer(200, b'{"id": 1, "status'), id="200, cut"),
        pytest.param(answer(200, b"[" * 100_000), id="200, nested"),
        pytest.param(answer(200, b"\xff"), id="200, bytes"),
        pytest.param(answer(204), id="204"),
        pytest.param(answer(201, CHAT), id="201"),
        pytest.param(answer(599), id="599"),
        pytest.param(answer(200, b"x", Content_Encoding="gzip"), id="200, not the gzip it says"),
        pytest.param(answer(500, b"[" * 100_000), id="500, nested"),
        pytest.param(close, id="closed before reading"),
        pytest.param(lambda connection: read_request(connection) and None, id="closed after reading"),
        pytest.param(reset, id="reset"),
        pytest.param(says(b"\x00\x01garbage\r\n\r\n"), id="garbage"),
        pytest.param(says(OK % 500 + b'{"id": 1, "status": "a"}'), id="closed within the body"),
        pytest.param(says(b"HTTP/1.1 200 OK\r\nContent-Le"), id="closed within the head"),
        pytest.param(says(b"HTTP/1.1 103 X\r\n\r\nHTTP/1.1 400 X\r\nContent-Le"), id="closed within the second head"),
        pytest.param(says(b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n{}"), id="a wrong length"),
        pytest.param(says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), id="wrong chunks"),
        pytest.param(says(b"HTTP/1.1 100 Continue\r\n\r\n"), id="100 and no more"),
        pytest.param(answer(200, b"{" + b" " * 2_000_000), id="200, without an end"),
        pytest.param(says(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 500), id="a head without an end"),
        pytest.param(says(b"HTTP/1.1 99999 X\r\n\r\n"), id="a status of five digits"),
    ],
)
def test_what_may_have_been_sent_is_never_guessed(remote: Remote, behave: Behave) -> None:
    assert isinstance(failure(remote, behave), OutcomeUnknown)


def test_an_answer_that_does_not_come_in_time_is_unknown(remote: Remote) -> None:
    assert isinstance(failure(remote, hang, read_timeout=0.2), OutcomeUnknown)


def test_a_nested_refusal_fails_like_any_other(remote: Remote) -> None:
    assert isinstance(failure(remote, answer(400, b"[" * 100_000)), Refused)


def test_a_refused_connection_certainly_did_nothing(remote: Remote) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        [error] = send(account(f"http://127.0.0.1:{bound.getsockname()[1]}"), (SMS,))
    assert isinstance(error, Unavailable)
    assert "could not be reached" in str(error)


def test_a_connection_that_is_not_taken_in_time_certainly_did_nothing() -> None:
    with socket.socket() as full, socket.socket() as first, socket.socket() as second, socket.socket() as third:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for waiting in (first, second, third):
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        to = account(f"http://127.0.0.1:{full.getsockname()[1]}", connect_timeout=0.2, read_timeout=9)
        [error] = send(to, (SMS,))
    assert isinstance(error, Unavailable)
    assert "TimeoutError" in str(error)


def kinds(kind: type[Exception]) -> Iterator[type[Exception]]:
    yield kind
    for lower in kind.__subclasses__():
        yield from kinds(lower)


# What sockets and TLS raise, at every step.
SOCKETS = [OSError, TimeoutError, socket.gaierror, *kinds(ConnectionError), *kinds(ssl.SSLError)]
STEPS = [
    *(("connect", kind, Unavailable) for kind in SOCKETS),
    *(("leave", kind, OutcomeUnknown) for kind in SOCKETS),
    *(("wait", kind, OutcomeUnknown) for kind in SOCKETS),
]


@pytest.mark.parametrize(("step", "kind", "verdict"), STEPS, ids=lambda one: getattr(one, "__name__", one))
def test_every_error_is_on_the_side_of_the_step_that_it_was_met_in(
    monkeypatch: pytest.MonkeyPatch, remote: Remote, step: str, kind: type[Exception], verdict: type[CallFailed]
) -> None:
    error = kind.__new__(kind)
    error.args = (f"about {TOKEN}",)

    def fail(*_: object, **__: object) -> None:
        raise error

    match step:
        case "connect":
            monkeypatch.setattr(asyncio.BaseEventLoop, "create_connection", fail)
        case "leave":
            monkeypatch.setattr(_SelectorSocketTransport, "write", fail)
        case "wait":  # the connection is lost in this way
            monkeypatch.setattr(_SelectorSocketTransport, "write", lambda lost, _: lost._force_close(error))
    with pytest.raises(CallFailed) as caught:
        call(remote, hang)
    assert type(caught.value) is verdict
    assert TOKEN not in str(caught.value)


def sent_body(remote: Remote, sms: OutboundSms, **more: Any) -> tuple[bytes, Any]:
    seen: list[bytes] = []

    def note(connection: socket.socket) -> None:
        seen.append(read_request(connection))
        content = json.dumps(CHAT).encode()
        connection.sendall(OK % len(content) + content)

    assert call(remote, note, sms, **more).id == 114
    head, _, body = seen[0].partition(b"\r\n\r\n")
    return head, json.loads(body)


def test_the_request_is_the_one_of_the_vendors_page(remote: Remote) -> None:
    head, body = sent_body(remote, SMS)
    assert head.startswith(b"POST /apps/api/v1/sms HTTP/1.1\r\n")
    assert b"content-type: application/json" in head.lower()
    assert httpx.BasicAuth("customer", TOKEN)._auth_header.encode() in head
    assert body == {
        "chat_type": "Messaging (SMS)",
        "end_user_number": "+14155550100",
        "outbound_number": "+16285550199",
        "message": "lorem ipsum",
        "ticket_id": "5006x00000XXxxxXXX",
    }


@pytest.mark.parametrize(
    ("spelling", "keys"), [("agentId", ("agentId", "agentEmail")), ("agent_id", ("agent_id", "agent_email"))]
)
def test_an_agent_is_named_in_the_spelling_of_the_settings(
    remote: Remote, spelling: str, keys: tuple[str, str]
) -> None:
    sms = OutboundSms("+14155550100", "+16285550199", "ü😀", "1", 7, "ada@example.com")
    _, body = sent_body(remote, sms, agent_spelling=spelling, chat_type="Messaging (API)")
    assert (body.pop(keys[0]), body.pop(keys[1])) == (7, "ada@example.com")
    assert body["message"] == "ü😀"
    assert set(body) == {"chat_type", "end_user_number", "outbound_number", "message", "ticket_id"}
    assert body["chat_type"] == "Messaging (API)"


def test_a_message_that_no_encoding_has_is_refused_unsent(remote: Remote) -> None:
    with pytest.raises(Refused):
        call(remote, close, OutboundSms("+14155550100", "+16285550199", "half an emoji: \ud83d", "1"))


def test_an_account_shows_no_credentials() -> None:
    shown = account("https://customer.example")
    assert TOKEN not in f"{shown!r} {shown!s}"


@pytest.mark.parametrize(
    ("behave", "error"),
    [
        pytest.param(answer(400, {"message": "message is required"}), None, id="right"),
        pytest.param(answer(400, {"message": "end_user_number is invalid"}), None, id="its own fault"),
        pytest.param(
            answer(400, {"message": "Non-US phone number not allowed"}), Refused, id="its number is the tenant's"
        ),
        pytest.param(answer(400, {"message": "outbound_number is not found"}), Refused, id="unknown number"),
        pytest.param(answer(401), Refused, id="wrong token"),
        pytest.param(answer(404), Refused, id="wrong address"),
        pytest.param(answer(400, {"message": "SMS is not enabled"}), Refused, id="not enabled"),
        pytest.param(answer(429), Unavailable, id="later"),
        pytest.param(answer(500), OutcomeUnknown, id="broken"),
    ],
)
def test_a_probe_tells_whether_the_settings_are_right(
    remote: Remote, behave: Behave, error: type[CallFailed] | None
) -> None:
    remote.behave = behave
    found = None
    try:
        client_store.probe(account(remote.address), "+16285550199")
    except CallFailed as failed:
        found = type(failed)
    assert found is error


def test_a_probe_can_send_nothing_to_nobody(remote: Remote) -> None:
    seen: list[bytes] = []
    remote.behave = lambda connection: seen.append(read_request(connection))
    with pytest.raises(OutcomeUnknown):
        client_store.probe(account(remote.address), "+16285550199")
    assert json.loads(seen[0].partition(b"\r\n\r\n")[2]) == {
        "chat_type": "Messaging (SMS)",
        "end_user_number": "+16285550199",
        "outbound_number": "+16285550199",
    }


def test_a_call_leaves_when_it_may_and_not_a_byte_before(remote: Remote) -> None:
    """The connection stands by then, so that the request arrives when it leaves."""
    seen: list[bytes] = []

    def behave(connection: socket.socket) -> None:
        connection.settimeout(0.3)
        with pytest.raises(TimeoutError):
            connection.recv(1)
        may.set()
        connection.settimeout(5)
        answer(200, CHAT)(connection)

    remote.behave = behave
    may = threading.Event()

    async def before_send() -> None:
        seen.append(b"asked")
        assert await asyncio.to_thread(may.wait, 5)

    [chat] = send(account(remote.address), (SMS, before_send))
    assert chat.id == 114
    assert seen == [b"asked"]


def test_a_call_that_may_not_leave_has_sent_nothing_and_the_next_one_works(remote: Remote) -> None:
    came: list[bytes] = []

    def behave(connection: socket.socket) -> None:
        came.append(connection.recv(65536))
        if came[-1]:
            connection.sendall(b"HTTP/1.1 400 X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    remote.behave = behave
    not_now = Unavailable("not now")

    async def may_not() -> None:
        raise not_now

    first, second = send(account(remote.address), (SMS, may_not), (SMS,))
    assert first is not_now
    assert isinstance(second, Refused)
    assert [bool(one) for one in came] == [False, True]


@pytest.mark.parametrize(
    ("message", "configured", "code"),
    [
        ("Customer has opted out", False, None),
        ("Customer has opted out", True, RefusalCode.OPTED_OUT),
        ("SMS is not enabled", True, RefusalCode.SMS_DISABLED),
    ],
)
def test_words_of_a_setting_mean_that_the_customer_opted_out(
    remote: Remote, message: str, configured: bool, code: RefusalCode | None
) -> None:
    """No such words are documented. Those that are keep their sense."""
    words = frozenset({message.lower()} if configured else ())
    error = failure(remote, answer(400, {"message": message}), opted_out_messages=words)
    assert isinstance(error, Refused)
    assert error.code is code
