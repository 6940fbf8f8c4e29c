"""The web server: what reaches the application, what does not, and who has to wait for whom. Over real sockets."""

import contextlib
import json
import logging
import secrets
import signal
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import pytest

from connector import logs, settings
from connector.cli import demo
from connector.sandbox import Sandbox
from connector.store import postgres
from tests.conftest import created
from tests.support.pipe import Pipe, outbound_message, running, wait_for
from tests.support.tls import TLS
from webhooks.app import create_app
from webhooks.concurrency import MAX_CRM_CALLS_EACH, MAX_WAITS, MAX_WAITS_EACH, ConcurrencyLimit
from webhooks.refusals import MAX_LINES_A_MINUTE

EVENTS = "/webhooks/salesforce/events"
# What a probe may take on a machine that is busy with tests.
PROBE_SECONDS = 3.0
MEGABYTE = 1_000_000


def exchange(pipe: Pipe, *parts: bytes) -> bytes:
    """What is answered to these bytes, after which nothing more is sent."""
    host, _, port = pipe.web.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=30) as sender:
        for part in parts:
            sender.sendall(part)
        sender.shutdown(socket.SHUT_WR)
        answer = b""
        while more := sender.recv(65_536):
            answer += more
        return answer


def head(pipe: Pipe, path: str, *headers: str) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: x", f"Authorization: Bearer {pipe.key}", "Connection: close", *headers]
    return "\r\n".join([*lines, "", ""]).encode()


def events(pipe: Pipe) -> int:
    return int(pipe.query("select count(*) as n from events")[0]["n"])


def log_lines(pipe: Pipe) -> list[str]:
    return (pipe.logs / "serve.log").read_text().splitlines()


@contextlib.contextmanager
def slow_salesforce(pipe: Pipe, seconds: float) -> Iterator[None]:
    fault = pipe.box.faults.add("delay", side="salesforce", seconds=seconds, times=1000)
    try:
        yield
    finally:
        pipe.box.faults.clear()
        assert fault


# ---- what is acknowledged is saved


@pytest.mark.parametrize(
    "path",
    [
        f"/{EVENTS}",
        f"//{EVENTS}",
        "/webhooks//salesforce/events",
        "/webhooks/salesforce//events",
        f"{EVENTS}/",
        "/./webhooks/salesforce/events",
        "/webhooks/../webhooks/salesforce/events",
        "/%77ebhooks/salesforce/events",
        "/webhooks/salesforce/events?x=1",
        "/webhooks/salesforce/events;x",
        "http://x/webhooks/salesforce/events",
        "/webhooks%2Fsalesforce/events",
        "/WEBHOOKS/salesforce/events",
        "//x/webhooks/salesforce/events",
    ],
)
def test_however_a_path_is_written_a_2xx_means_that_the_event_is_saved(pipe: Pipe, case: str, path: str) -> None:
    event_id = secrets.token_hex(8)
    body = json.dumps({"ticket_id": case, "event_id": event_id}).encode()
    answer = exchange(pipe, head(pipe, path, f"Content-Length: {len(body)}"), body)
    status = int(answer.split(b" ", 2)[1])
    saved = pipe.query("select 1 from events where event_id = %s", f"json:{event_id}")
    assert (status == 202, bool(saved)) in [(True, True), (False, False)], answer
    assert status in (202, 308, 400, 404)


def chunked(body: bytes, size: int) -> bytes:
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in [*parts, b""])


@pytest.mark.parametrize("route", ["events", "outbound-messages"])
@pytest.mark.parametrize("encoding", ["chunked", "with its length"])
def test_a_body_cut_off_at_any_byte_is_neither_saved_nor_acknowledged(
    pipe: Pipe, case: str, route: str, encoding: str
) -> None:
    if route == "events":
        path, body = EVENTS, json.dumps([{"ticket_id": case, "event_id": secrets.token_hex(4)}] * 2).encode()
    else:
        path = f"/webhooks/salesforce/outbound-messages/{pipe.token}"
        body = outbound_message(pipe.box, case, "04l000000000801AAA")
    header = "Transfer-Encoding: chunked" if encoding == "chunked" else f"Content-Length: {len(body)}"
    sent = chunked(body, 40) if encoding == "chunked" else body
    before = events(pipe)

    answers = [exchange(pipe, head(pipe, path, header), sent[:end]) for end in range(0, len(sent), 3)]
    answers += [exchange(pipe, head(pipe, path, header), sent[:-back]) for back in (1, 2, 3)]

    assert not [answer for answer in answers if b" 200 " in answer or b" 202 " in answer or b"Ack" in answer]
    assert events(pipe) == before
    assert b" 20" in exchange(pipe, head(pipe, path, header), sent)[:20]  # whole, it is taken


@pytest.mark.parametrize("body", [b"5\r\nabc\r\n0\r\n\r\n", b"zz\r\nabc\r\n0\r\n\r\n", b"-1\r\n\r\n0\r\n\r\n"])
def test_chunks_that_lie_about_their_size_are_refused(pipe: Pipe, body: bytes) -> None:
    before = events(pipe)
    answer = exchange(pipe, head(pipe, EVENTS, "Transfer-Encoding: chunked"), body)
    assert not answer or b" 400 " in answer
    assert events(pipe) == before


# ---- nobody waits for somebody else


def test_waits_beyond_a_keys_share_are_answered_at_once_and_probes_never_wait(pipe: Pipe) -> None:
    cases = pipe.box.salesforce.make_cases(MAX_WAITS_EACH + 14)
    with slow_salesforce(pipe, 4), ThreadPoolExecutor(len(cases)) as threads:
        seconds: list[float] = []

        def send(case: str) -> int:
            begin = time.monotonic()
            status = pipe.send(case, wait=20).status_code
            seconds.append(time.monotonic() - begin)
            return status

        sending = [threads.submit(send, case) for case in cases]
        wait_for(lambda: len(seconds) >= 14, "those beyond the share are answered", 10)
        probed = probe_seconds(pipe)
        assert {one.result() for one in sending} <= {200, 202}
    assert probed < PROBE_SECONDS
    assert sorted(seconds)[13] < 3.5


def probe_seconds(pipe: Pipe) -> float:
    begin = time.monotonic()
    for path in ("/healthz", "/readyz"):
        assert httpx.get(pipe.web + path, verify=TLS, trust_env=False, timeout=30).status_code == 200
    return time.monotonic() - begin


def test_while_a_crm_is_slow_everything_else_goes_on(pipe: Pipe, case: str) -> None:
    """More previews than there are connections to the database: they hold none while the CRM is asked."""
    with slow_salesforce(pipe, 3), ThreadPoolExecutor(40) as threads:
        asked = [threads.submit(pipe.api, "POST", "/texts/preview", json={"ticket_id": case}) for _ in range(24)]
        wait_for(lambda: sum(one.done() for one in asked) >= 24 - MAX_CRM_CALLS_EACH, "those beyond are refused")
        begin = time.monotonic()
        assert probe_seconds(pipe) < PROBE_SECONDS
        assert pipe.event(case).status_code == 202
        assert pipe.api("GET", f"/tickets/salesforce/{case}/texts").status_code == 200
        assert time.monotonic() - begin < 5
        statuses = [one.result().status_code for one in asked]
    assert statuses.count(429) == 24 - MAX_CRM_CALLS_EACH
    assert statuses.count(200) == MAX_CRM_CALLS_EACH


def test_places_are_limited_in_all_and_for_each_caller_and_come_back() -> None:
    limit = ConcurrencyLimit(3, 2)
    for _ in range(2):
        with contextlib.ExitStack() as stack:
            taken = [stack.enter_context(limit.place(caller)) for caller in "aaabbc"]
            assert taken == [True, True, False, True, False, False]
    assert MAX_WAITS_EACH < MAX_WAITS


def memory(pipe: Pipe) -> int:
    """Bytes of the web process."""
    port = int(pipe.web.rpartition(":")[2])
    [process] = [
        psutil.Process(found.pid)
        for found in psutil.net_connections("tcp")
        if found.pid and found.status == psutil.CONN_LISTEN and found.laddr and found.laddr.port == port
    ]
    return process.memory_info().rss


@pytest.mark.parametrize("path", [EVENTS, "/webhooks/salesforce/outbound-messages/wrong"])
def test_many_large_bodies_at_once_take_little_memory(pipe: Pipe, path: str) -> None:
    body = json.dumps([{"ticket_id": "5" * 18, "x": "y" * 60}] * 9_000).encode()[:MEGABYTE]
    most, done = [memory(pipe)], threading.Event()
    before = most[0]

    def watch() -> None:
        while not done.wait(0.02):
            most.append(memory(pipe))

    with ThreadPoolExecutor(121) as threads:
        watching = threads.submit(watch)
        request = head(pipe, path, f"Content-Length: {len(body)}") + body
        answers = list(threads.map(lambda _: exchange(pipe, request), range(120)))
        done.set()
        watching.result()
    assert all(b" 4" in answer[:15] for answer in answers)
    assert max(most) - before < 100 * MEGABYTE


# ---- what the log says


@pytest.fixture(scope="module")
def own_pipe(server: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipe]:
    """A pipe whose log nobody else writes to."""
    with (
        Sandbox(port=0, requests_per_second=0).running() as box,
        created(server, "connector_test_own_pipe", template) as url,
        running(box, url, tmp_path_factory.mktemp("own")) as pipe,
    ):
        yield pipe


def since(pipe: Pipe, before: int, sentence: str) -> list[dict[str, object]]:
    lines = [json.loads(line) for line in log_lines(pipe)[before:]]
    return [line for line in lines if line["event"] == sentence]


@pytest.mark.parametrize("path", ["/webhooks/salesforce/outbound-messages/guessed-token", EVENTS])
def test_a_body_that_is_too_large_is_in_the_log_without_its_address(own_pipe: Pipe, path: str) -> None:
    before = len(log_lines(own_pipe))
    answer = httpx.post(own_pipe.web + path, content=b"x" * (MEGABYTE + 1), verify=TLS, trust_env=False)
    assert answer.status_code == 413
    [line] = since(own_pipe, before, "a body was too large")
    assert (line["address"], line["bytes"]) == ("127.0.0.1", MEGABYTE + 1)
    assert str(line["route"]).startswith("POST /webhooks/salesforce/")
    assert "guessed-token" not in "".join(log_lines(own_pipe)[before:])


def test_a_body_far_too_large_is_in_the_log_too(own_pipe: Pipe) -> None:
    before = len(log_lines(own_pipe))
    answer = exchange(own_pipe, head(own_pipe, EVENTS, f"Content-Length: {100 * MEGABYTE}"))
    assert b" 413 " in answer
    assert [line["address"] for line in since(own_pipe, before, "a request was refused")] == ["127.0.0.1"]


@pytest.mark.parametrize(
    ("method", "path", "headers", "sentence"),
    [
        ("POST", EVENTS, {"Authorization": "Bearer wrong"}, "a message was refused"),
        ("POST", "/webhooks/salesforce/outbound-messages/guess", {}, "a message was refused"),
        ("GET", "/v1/texts/1", {"Authorization": "Bearer ccaisms_wrong"}, "a request without a valid key was refused"),
        ("GET", "/v1/texts/1", {}, "a request without a valid key was refused"),
    ],
)
def test_a_wrong_key_is_in_the_log_with_the_callers_address(
    own_pipe: Pipe, method: str, path: str, headers: dict[str, str], sentence: str
) -> None:
    before = len(log_lines(own_pipe))
    assert httpx.request(method, own_pipe.web + path, headers=headers, verify=TLS, trust_env=False).status_code == 401
    [line] = since(own_pipe, before, sentence)
    assert line["address"] == "127.0.0.1"
    assert "wrong" not in json.dumps(line).replace("the bearer key is missing or wrong", "").replace("is wrong", "")


def test_a_flood_of_wrong_keys_does_not_fill_the_log(own_pipe: Pipe) -> None:
    with httpx.Client(base_url=own_pipe.web, verify=TLS, trust_env=False) as client:
        statuses = [client.get("/v1/texts/1").status_code for _ in range(3 * MAX_LINES_A_MINUTE)]
    assert set(statuses) == {401}
    assert len(since(own_pipe, 0, "a request without a valid key was refused")) <= 2 * MAX_LINES_A_MINUTE


BROKEN = [("/webhooks/broken/a-token", b"internal error"), ("/v1/broken/a-token", b"its log says where")]


@pytest.mark.parametrize(("path", "body"), BROKEN)
def test_an_error_of_our_own_is_500_and_the_log_has_its_route_and_not_its_address(
    own_pipe: Pipe, path: str, body: bytes, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name, value in demo.environment(own_pipe.box, own_pipe.url, 8080, own_pipe.token).items():
        monkeypatch.setenv(name, value)

    def broken(token: str) -> str:
        raise ZeroDivisionError(token)

    with postgres.pool(own_pipe.url, 1) as pool, caplog.at_level(logging.ERROR):
        app = create_app(settings.load(_env_file=None), pool)
        for start in ("/webhooks", "/v1"):
            app.add_url_rule(f"{start}/broken/<token>", start, broken)
        answer = app.test_client().get(path)

    assert answer.status_code == 500
    assert body in answer.data
    assert b"a-token" not in answer.data
    [record] = caplog.records
    line = logs.Lines(people=False).format(record)
    assert "/broken/<token>" in line
    assert "test_server.py" in line, "where it arose"
    assert "a-token" not in line


def web_process(pipe: Pipe) -> psutil.Process:
    return next(
        one
        for one in psutil.Process().children()
        if "serve" in one.cmdline() and str(pipe.url) in (one.environ().get("CONNECTOR_DATABASE_URL", ""))
    )


def test_what_is_under_way_when_the_process_is_asked_to_stop_is_answered(
    server: str, template: str, tmp_path: Path
) -> None:
    with (
        Sandbox(port=0, requests_per_second=0).running() as box,
        created(server, "connector_test_stopping", template) as url,
        contextlib.suppress(AssertionError),  # `running` insists that no process ends by itself
        running(box, url, tmp_path) as pipe,
    ):
        [case] = box.salesforce.make_cases(1)
        box.faults.add("delay", side="salesforce", seconds=2, times=1000)
        process = web_process(pipe)
        with ThreadPoolExecutor(1) as threads:
            sending = threads.submit(pipe.send, case)
            wait_for(lambda: pipe.texts(case), "the text is asked for")
            process.send_signal(signal.SIGTERM)
            answer = sending.result()
        assert answer.status_code == 200
        assert answer.json()["state"] == "sent"
        process.wait(20)
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{pipe.web}/healthz", verify=TLS, trust_env=False)
        stopped: Sequence[str] = log_lines(pipe)
    assert not [line for line in stopped if "Traceback" in line]


def test_readiness_is_503_for_a_while_before_a_stopping_process_takes_no_more(
    server: str, template: str, tmp_path: Path
) -> None:
    """A balancer that asks on a new connection sees it, and what it still sends is accepted."""
    with (
        Sandbox(port=0, requests_per_second=0).running() as box,
        created(server, "connector_test_ready", template) as url,
        contextlib.suppress(AssertionError),  # `running` insists that no process ends by itself
        running(box, url, tmp_path, shutdown_delay_seconds="2") as pipe,
    ):
        [case] = box.salesforce.make_cases(1)
        assert httpx.get(f"{pipe.web}/readyz", verify=TLS, trust_env=False).status_code == 200
        process = web_process(pipe)
        process.send_signal(signal.SIGTERM)

        def stopping() -> bool:
            return httpx.get(f"{pipe.web}/readyz", verify=TLS, trust_env=False).status_code == 503

        wait_for(stopping, "it says that it is not ready")
        said = httpx.get(f"{pipe.web}/readyz", verify=TLS, trust_env=False).json()["status"]
        accepted, alive = (
            pipe.event(case).status_code,
            httpx.get(f"{pipe.web}/healthz", verify=TLS, trust_env=False).status_code,
        )
        process.wait(20)
        ended = True
    assert (said, accepted, alive, ended) == ("the web process is shutting down", 202, 200, True)
