"""The sandbox's own side: faults, switches, the control plane, the page, and who may reach them."""

import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest
import requests

from connector import sandbox
from connector.sandbox import ccaip, oidc, switches
from connector.sandbox.crms import salesforce
from connector.sandbox.faults import Kind
from tests.support.tls import TLS

DOCS = Path(__file__).parent.parent.parent / "docs" / "sandbox.md"
AUTH = ("sandbox", "sandbox-token")
SMS = "/apps/api/v1/sms"
# Texts the customer of REQUEST, after these changes to it.
Send = Callable[..., httpx.Response]
DATA = "/services/data/v67.0"
REQUEST = {
    "chat_type": "Messaging (SMS)",
    "end_user_number": "+1 415-555-0132",
    "outbound_number": "+1 628-555-0199",
    "message": "Your order is ready.",
    "ticket_id": "500000000000001AAA",
}


class RecordedPauses(sandbox.Clock):
    """Real time, but a delay is only noted."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


@pytest.fixture
def clock() -> RecordedPauses:
    return RecordedPauses()


@pytest.fixture
def box(clock: RecordedPauses) -> Iterator[sandbox.Sandbox]:
    with sandbox.Sandbox(port=0, clock=clock).running() as running:
        yield running


@pytest.fixture
def http(box: sandbox.Sandbox) -> Iterator[httpx.Client]:
    with httpx.Client(verify=TLS, base_url=box.url) as client:
        yield client


@pytest.fixture
def text(http: httpx.Client) -> Send:
    return lambda **changes: http.post(SMS, json=REQUEST | changes, auth=AUTH)


@pytest.fixture
def bearer(http: httpx.Client) -> dict[str, str]:
    form = {"grant_type": "client_credentials", "client_id": "sandbox-client", "client_secret": "sandbox-secret"}
    return {"Authorization": f"Bearer {http.post('/services/oauth2/token', data=form).json()['access_token']}"}


# Faults


def test_a_status(http: httpx.Client, box: sandbox.Sandbox, text: Send) -> None:
    body = {"message": "Too many requests"}
    fault = {"kind": "status", "side": "ccaip", "route": "sms", "status": 429, "headers": {"Retry-After": "7"}}
    assert http.post("/_sandbox/faults", json=fault | {"body": body, "times": 2}).status_code == 201
    for _ in range(2):
        answer = text()
        assert (answer.status_code, answer.json(), answer.headers["Retry-After"]) == (429, body, "7")
    assert box.ccaip.texts == []
    assert text().status_code == 200
    assert [call.status for call in box.ccaip.requests] == [429, 429, 200]


@pytest.mark.parametrize(("kind", "accepted"), [("drop_before", 0), ("drop_after", 1)])
@pytest.mark.parametrize("client", [httpx, requests], ids=["httpx", "requests"])
def test_a_dropped_connection(box: sandbox.Sandbox, client: ModuleType, kind: Kind, accepted: int) -> None:
    box.faults.add(kind, side="ccaip", route="sms")
    dropped = (httpx.RemoteProtocolError, httpx.ReadError, requests.ConnectionError)
    with pytest.raises(dropped):
        client.post(box.url + SMS, json=REQUEST, auth=AUTH)
    assert len(box.ccaip.texts) == accepted
    assert [call.status for call in box.ccaip.requests] == [None]
    assert len(box.faults) == 0


def test_a_kept_connection_is_dropped_too_and_the_next_one_works(box: sandbox.Sandbox, text: Send) -> None:
    assert text().status_code == 200
    box.faults.add("drop_after", side="ccaip")
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        text(end_user_number="+1 415-555-0133")
    assert text(end_user_number="+1 415-555-0134").status_code == 200
    assert len(box.ccaip.texts) == 3


def test_an_answer_that_cannot_be_read(box: sandbox.Sandbox, text: Send) -> None:
    box.faults.add("malformed", side="ccaip", route="sms")
    answer = text()
    assert answer.status_code == 200
    with pytest.raises(json.JSONDecodeError):
        answer.json()
    assert len(box.ccaip.texts) == 1


def test_a_delay(box: sandbox.Sandbox, clock: RecordedPauses, text: Send) -> None:
    box.faults.add("delay", seconds=30)
    box.faults.add("status", side="ccaip", seconds=5)
    assert [text().status_code, text().status_code] == [200, 503]
    assert clock.slept == [30, 5]


def test_a_delay_holds_nobody_else(box: sandbox.Sandbox, text: Send, monkeypatch: pytest.MonkeyPatch) -> None:
    entered, release = threading.Event(), threading.Event()

    def hold(_: float) -> None:
        entered.set()
        assert release.wait(5)

    monkeypatch.setattr(box.clock, "sleep", hold)
    box.faults.add("delay", side="ccaip", seconds=9, match="+1 415-555-0133")
    held = threading.Thread(target=text, kwargs={"end_user_number": "+1 415-555-0133"})
    held.start()
    assert entered.wait(5)
    assert text().status_code == 200
    release.set()
    held.join()
    assert [sms.number for sms in box.ccaip.texts] == ["+14155550132", "+14155550133"]


def test_only_calls_that_match(box: sandbox.Sandbox, text: Send) -> None:
    box.faults.add("status", match="+1 415-555-0133")
    assert text().status_code == 200
    assert text(end_user_number="+1 415-555-0133").status_code == 503


def test_a_locked_row(http: httpx.Client, box: sandbox.Sandbox, bearer: dict[str, str]) -> None:
    first, second = (case["Id"] for case in box.salesforce.records("Case")[:2])
    box.faults.add("lock_row", side="salesforce", route="update", record_id=first[:15], times=2)
    records = [{"attributes": {"type": "Case"}, "id": each, "Subject": "x"} for each in (first, second)]
    results = http.patch(f"{DATA}/composite/sobjects", json={"records": records}, headers=bearer).json()
    assert [each["errors"] and each["errors"][0]["statusCode"] for each in results] == ["UNABLE_TO_LOCK_ROW", []]
    answers = [http.patch(f"{DATA}/sobjects/Case/{first}", json={"Subject": "x"}, headers=bearer) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [400, 204]
    assert answers[0].json()[0]["errorCode"] == "UNABLE_TO_LOCK_ROW"


def test_faults_on_the_token_route(http: httpx.Client, box: sandbox.Sandbox, bearer: dict[str, str]) -> None:
    box.faults.add("status", side="salesforce", route="token", status=500)
    assert http.post("/services/oauth2/token").status_code == 500


WRONG_FAULTS = {
    "kind": ({"kind": "explode"}, "kind"),
    "side": ({"kind": "delay", "side": "hubspot"}, "ccaip, oidc, salesforce"),
    "route": ({"kind": "delay", "side": "ccaip", "route": "query"}, "chats, sms"),
    "key": ({"kind": "delay", "second": 1}, "second: Extra inputs are not permitted"),
    "times": ({"kind": "delay", "times": 0}, "times"),
    "no kind": ({}, "kind: Field required"),
}


@pytest.mark.parametrize(("fault", "words"), WRONG_FAULTS.values(), ids=WRONG_FAULTS)
def test_faults_that_make_no_sense(http: httpx.Client, fault: dict[str, Any], words: str) -> None:
    answer = http.post("/_sandbox/faults", json=fault)
    assert answer.status_code == 400
    assert words in answer.json()["message"]
    assert http.get("/_sandbox/faults").json() == []


def test_faults_can_be_forgotten(http: httpx.Client, box: sandbox.Sandbox, text: Send) -> None:
    box.faults.add("status", times=9)
    assert http.get("/_sandbox/faults").json()[0]["times"] == 9
    assert http.delete("/_sandbox/faults").status_code == 204
    assert text().status_code == 200


# Switches and the rest of the control plane


def test_switches_are_told_and_set(http: httpx.Client, box: sandbox.Sandbox) -> None:
    listed = {each["name"]: each for each in http.get("/_sandbox/switches").json()}
    assert listed["unknown_agent"]["value"] == "ignore"
    assert all(each["guess"] and each["sentence"].endswith(".") for each in listed.values())
    assert http.patch("/_sandbox/switches", json={"unknown_agent": "refuse"}).json()["unknown_agent"] == "refuse"
    assert box.switches["unknown_agent"] == "refuse"


@pytest.mark.parametrize(
    "wrong", [{"unknown": 1}, {"unknown_agent": "maybe"}, {"message_maximum": "ten"}, {"message_maximum": -1}, []]
)
def test_switches_that_do_not_fit(http: httpx.Client, box: sandbox.Sandbox, wrong: Any) -> None:
    before = dict(box.switches)
    asked = {"unknown_agent": "refuse"} | wrong if wrong else wrong
    assert http.patch("/_sandbox/switches", json=asked).status_code == 400
    assert dict(box.switches) == before


def test_the_index_names_every_address(http: httpx.Client) -> None:
    addresses = http.get("/_sandbox").json()["addresses"]
    assert addresses.keys() >= {"GET /_sandbox/stats", "POST /_sandbox/salesforce/cases", "DELETE /_sandbox/faults"}
    assert all(addresses.values())


def test_stats_and_calls(http: httpx.Client, bearer: dict[str, str], text: Send) -> None:
    text()
    http.get(f"{DATA}/query", params={"q": "SELECT Id FROM Case"}, headers=bearer)
    stats = http.get("/_sandbox/stats").json()
    assert (stats["ccaip"]["texts"], stats["ccaip"]["doubled_texts"]) == (1, {})
    assert stats["salesforce"]["routes"] == {"token": 1, "query": 1}
    calls = http.get("/_sandbox/calls", params={"side": "salesforce"}).json()
    assert [(call["route"], call["records"], call["status"]) for call in calls] == [
        ("token", 0, 200),
        ("query", 6, 200),
    ]


def test_the_tenant(http: httpx.Client, text: Send) -> None:
    assert http.patch("/_sandbox/ccaip/tenant", json={"numbers": ["628-555-0150"]}).status_code == 200
    assert text().json() == {"message": "outbound_number is not found"}
    assert http.patch("/_sandbox/ccaip/tenant", json={"number": []}).status_code == 400


def test_cases(http: httpx.Client, box: sandbox.Sandbox) -> None:
    made = http.post("/_sandbox/salesforce/cases", json={"count": 3, "contact": {"FirstName": "Ada"}}).json()["ids"]
    assert http.get(f"/_sandbox/salesforce/cases/{made[0]}").json()["CaseNumber"] == "00001032"
    assert len(http.get("/_sandbox/salesforce/cases").json()) == 9
    changed = http.patch(f"/_sandbox/salesforce/cases/{made[0]}", json={"CCAIP_SMS_Status__c": "Requested"}).json()
    assert changed["LastModifiedById"] == box.salesforce.human_user_id
    assert changed["CCAIP_SMS_Requested_At__c"]
    assert http.patch(f"/_sandbox/salesforce/cases/{made[0]}", json={"Nothing": 1}).status_code == 400
    assert http.get("/_sandbox/salesforce/cases/x").status_code == 404
    assert http.post("/_sandbox/salesforce/cases", json={"count": 0}).status_code == 400


def test_outbound_messages_are_set_up_here(http: httpx.Client) -> None:
    changed = http.patch("/_sandbox/salesforce/outbound-messages", json={"every_change_twice": True, "paused": True})
    assert changed.json()["settings"]["every_change_twice"] is True
    wrong = {"outbound_message_url": "http://example.com/"}
    assert http.patch("/_sandbox/salesforce/outbound-messages", json=wrong).status_code == 400
    assert http.patch("/_sandbox/salesforce/outbound-messages", json={"client_id": "x"}).status_code == 400


def test_reset(http: httpx.Client, box: sandbox.Sandbox, text: Send) -> None:
    text()
    box.faults.add("status")
    box.switches.update({"unknown_agent": "refuse"})
    box.ccaip.settings.sms_enabled = False
    box.salesforce.make_cases(2)
    assert http.post("/_sandbox/reset").status_code == 204
    assert (box.ccaip.texts, len(box.faults), box.switches["unknown_agent"]) == ([], 0, "ignore")
    assert (box.ccaip.settings.sms_enabled, len(box.salesforce.records("Case"))) == (True, 6)
    assert text().json()["id"] == 1


# Who may reach it


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "example.com", ""])  # noqa: S104 -- what is refused
def test_only_on_loopback(host: str) -> None:
    with pytest.raises(ValueError, match="loopback only"):
        sandbox.Sandbox(host=host)


def test_a_port_in_use(box: sandbox.Sandbox) -> None:
    with pytest.raises(OSError, match=f"cannot listen on 127.0.0.1:{box.port}"), sandbox.Sandbox(box.port).running():
        raise AssertionError("it must not get here")


def test_ipv6() -> None:
    with sandbox.Sandbox(port=0, host="::1").running() as box:
        assert httpx.get(f"{box.url}/_sandbox").status_code == 200


STRANGERS = {
    "another origin": {"Origin": "https://example.com"},
    "another port": {"Origin": "http://127.0.0.1:1"},
    "no origin": {"Origin": "null"},
    "cross-site": {"Sec-Fetch-Site": "cross-site"},
    "same-site": {"Sec-Fetch-Site": "same-site"},
    "rebound name": {"Host": "sandbox.example.com"},
}


@pytest.mark.parametrize("headers", STRANGERS.values(), ids=STRANGERS)
@pytest.mark.parametrize("path", ["/_sandbox/reset", "/tickets/salesforce/500000000000001AAA/text", SMS])
def test_strangers_may_not_change_anything(http: httpx.Client, headers: dict[str, str], path: str) -> None:
    assert http.post(path, headers=headers).status_code == 403


def test_a_rebound_name_may_not_even_read(http: httpx.Client) -> None:
    assert http.get("/_sandbox/ccaip/texts", headers={"Host": "sandbox.example.com"}).status_code == 403


def test_the_same_page_may(http: httpx.Client, box: sandbox.Sandbox) -> None:
    assert http.post("/_sandbox/reset", headers={"Origin": box.url, "Sec-Fetch-Site": "same-origin"}).status_code == 204


def test_settings_nobody_knows() -> None:
    with pytest.raises(TypeError, match="'client_secrets'"):
        sandbox.Sandbox(client_secrets="x")


# The server


def raw(box: sandbox.Sandbox, *pieces: bytes) -> bytes:
    """Write the pieces to one connection; everything that came back."""
    with socket.create_connection(("127.0.0.1", box.port), timeout=5) as connection:
        for piece in pieces:
            connection.sendall(piece)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def test_connections_are_kept(box: sandbox.Sandbox) -> None:
    ask = b"GET /_sandbox/faults HTTP/1.1\r\nHost: localhost\r\n\r\n"
    assert raw(box, ask, ask, ask).count(b"HTTP/1.1 200 OK") == 3


WRONG_LENGTHS = {
    "no number": b"Content-Length: x",
    "negative": b"Content-Length: -1",
    "enormous": b"Content-Length: 99999999999",
    "bad chunk": b"Transfer-Encoding: chunked",
}


@pytest.mark.parametrize("line", WRONG_LENGTHS.values(), ids=WRONG_LENGTHS)
def test_bodies_of_unclear_length(box: sandbox.Sandbox, line: bytes) -> None:
    answer = raw(box, b"POST /_sandbox/reset HTTP/1.1\r\nHost: localhost\r\n" + line + b"\r\n\r\nzz\r\n")
    assert answer.startswith(b"HTTP/1.1 400")


def test_a_hundred_clients_at_once(box: sandbox.Sandbox) -> None:
    box.ccaip.settings.requests_per_second = 0
    statuses: list[int] = []

    def send(number: int) -> None:
        body = REQUEST | {"end_user_number": f"+1415555{number:04d}"}
        statuses.append(httpx.post(box.url + SMS, json=body, auth=AUTH, timeout=20, verify=TLS).status_code)

    threads = [threading.Thread(target=send, args=(number,)) for number in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 100
    assert len({sms.chat_id for sms in box.ccaip.texts}) == 100


# The page


class Tags(HTMLParser):
    """The tags of a page, as (name, attributes)."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attributes}))

    def all(self, name: str) -> list[dict[str, str]]:
        return [attributes for tag, attributes in self.found if tag == name]


def test_the_page_works_without_scripts(http: httpx.Client, box: sandbox.Sandbox, text: Send) -> None:
    case_id = box.salesforce.records("Case")[0]["Id"]
    text(message="<b>Ready</b>")
    page = http.get("/", params={"ticket": case_id}).text
    assert "&lt;b&gt;Ready&lt;/b&gt;" in page
    paths = {form["action"] for form in Tags(page).all("form")}
    ticket = f"/tickets/salesforce/{case_id}"
    assert {ticket, f"{ticket}/text", f"{ticket}/reply"} <= paths
    answers = [
        http.post(f"{ticket}/text"),
        http.post(ticket, data={"Subject": "Edited", "OwnerId": "ignored"}),
        http.post(f"{ticket}/reply", data={"number": "+14155550132", "message": "STOP"}),
    ]
    assert {(answer.status_code, answer.headers["Location"]) for answer in answers} == {
        (303, f"/?crm=salesforce&ticket={case_id}")
    }
    case = box.salesforce.case(case_id)
    assert (case["CCAIP_SMS_Status__c"], case["Subject"]) == ("Requested", "Edited")
    page = http.get("/", params={"ticket": case_id}).text
    assert "This customer opted out" in page
    assert "Edited" in page


def test_the_page_tells_what_is_refused(http: httpx.Client, box: sandbox.Sandbox) -> None:
    case_id = box.salesforce.records("Case")[0]["Id"]
    answer = http.post(f"/tickets/salesforce/{case_id}", data={"Subject": "x" * 256}, follow_redirects=True)
    assert 'role="alert"' in answer.text
    assert "STRING_TOO_LONG" in answer.text


@pytest.mark.parametrize("path", ["/?ticket=x", "/?crm=x", "/tickets/x/y", "/tickets/salesforce/x"])
def test_pages_that_are_not_there(http: httpx.Client, path: str) -> None:
    answer = http.post(path) if path.startswith("/tickets") else http.get(path)
    assert answer.status_code == 404


def test_the_page_runs_nothing_but_its_own(http: httpx.Client) -> None:
    page = http.get("/")
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert page.headers["Referrer-Policy"] == "same-origin"  # else browsers send the page's own forms with Origin: null
    tags = Tags(page.text)
    assert not [attributes for _, attributes in tags.found if "style" in attributes or "onclick" in attributes]
    for source in [script["src"] for script in tags.all("script")] + [tags.all("link")[1]["href"]]:
        assert http.get(source).status_code == 200
    labelled = {label["for"] for label in tags.all("label")}
    fields = [each for name in ("input", "select") for each in tags.all(name) if each.get("type") != "hidden"]
    assert {field["id"] for field in fields} == labelled


def test_the_parts_are_the_pages_own(http: httpx.Client, text: Send) -> None:
    text()
    parts = http.get("/parts").json()
    assert parts.keys() == {"tickets", "details", "phone", "chat"}
    page = http.get("/").text
    assert all(part in page for part in parts.values())


# The docs


def test_the_docs_table_of_guesses_is_the_code(box: sandbox.Sandbox) -> None:
    assert switches.table(tuple(box.switches.known.values())) in DOCS.read_text()


def test_the_docs_name_every_address(http: httpx.Client) -> None:
    told = set(re.findall(r"/_sandbox[\w/{}-]*", re.sub(r"\{\w+\}", "{}", DOCS.read_text())))
    addresses = http.get("/_sandbox").json()["addresses"]
    assert {re.sub(r"<[^>]+>", "{}", address.split()[1]) for address in addresses} <= told


def test_the_docs_name_every_setting() -> None:
    told = set(re.findall(r"`(\w+)`", DOCS.read_text()))
    models = (ccaip.settings.Settings, oidc.settings.Settings, salesforce.Settings)
    assert {name for model in models for name in model.model_fields} <= told


def test_time_is_utc() -> None:
    assert sandbox.Clock().now().tzinfo is UTC
    assert abs((sandbox.Clock().now() - datetime.now(UTC)).total_seconds()) < 5
