"""The sandbox's outbound messages: when a case change sends one, what it says, and how long it is repeated."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from xml.etree import ElementTree

import pytest

from connector import sandbox
from connector.sandbox.crms.salesforce import Side, schema

SOAP = "{http://schemas.xmlsoap.org/soap/envelope/}"
OUTBOUND = "{http://soap.sforce.com/2005/09/outbound}"
SOBJECT = "{urn:sobject.enterprise.soap.sforce.com}"
ACK = (
    '<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"><soapenv:Body><notificationsResponse '
    'xmlns="http://soap.sforce.com/2005/09/outbound"><Ack>{}</Ack></notificationsResponse></soapenv:Body>'
    "</soapenv:Envelope>"
)
YES, NO = (200, ACK.format("true")), (200, ACK.format("false"))
PATIENCE_S = 5


class Endpoint:
    """What outbound messages are posted to: keeps them, answers as `answers` says and then acknowledges."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.answers: list[tuple[int, str]] = []
        self.received: list[tuple[dict[str, str], bytes]] = []
        self.changed = threading.Condition()

    def take(self, headers: dict[str, str], body: bytes) -> tuple[int, str]:
        with self.changed:
            self.received.append((headers, body))
            self.changed.notify_all()
            return self.answers.pop(0) if self.answers else YES

    def wait_for(self, condition: Callable[[], bool]) -> None:
        with self.changed:
            assert self.changed.wait_for(condition, PATIENCE_S), self.received

    def wait(self, count: int) -> None:
        self.wait_for(lambda: len(self.received) >= count)

    @property
    def notifications(self) -> list[tuple[str, dict[str, str]]]:
        return [each for _, body in list(self.received) for each in read(body)]


def within(element: ElementTree.Element, path: str) -> ElementTree.Element:
    """What is at this path of outbound messages' elements."""
    found = element.find("/".join(OUTBOUND + step for step in path.split("/")))
    assert found is not None, path
    return found


def read(body: bytes) -> list[tuple[str, dict[str, str]]]:
    """The notifications of a message: id, and the record's fields in order."""
    found = ElementTree.fromstring(body).iter(f"{OUTBOUND}Notification")  # noqa: S314 -- our own sandbox wrote it
    return [
        (
            each.findtext(f"{OUTBOUND}Id", ""),
            {field.tag.removeprefix(SOBJECT): field.text or "" for field in within(each, "sObject")},
        )
        for each in found
    ]


@contextmanager
def listening() -> Iterator[Endpoint]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status, text = made.take(dict(self.headers), body)
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made = Endpoint(f"http://127.0.0.1:{server.server_port}/hooks")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with listening() as made:
        yield made


@pytest.fixture
def org(endpoint: Endpoint) -> Iterator[Side]:
    box = sandbox.Sandbox(port=0, outbound_message_url=endpoint.url, retry_pause_seconds=0.005)
    with box.running():
        yield box.salesforce


def poll(condition: Callable[[], object]) -> None:
    """Look again and again, for a bounded time."""
    pause = threading.Event()
    for _ in range(int(PATIENCE_S / 0.005)):
        if condition():
            return
        pause.wait(0.005)
    raise AssertionError("it did not come about in time")


def first_case(org: Side) -> str:
    return str(org.records("Case")[0]["Id"])


def test_a_request_by_a_person_is_told(org: Side, endpoint: Endpoint) -> None:
    case_id = first_case(org)
    org.edit(case_id, {"CCAIP_SMS_Status__c": "Requested"})
    endpoint.wait(1)
    headers, body = endpoint.received[0]
    assert headers["Content-Type"] == "text/xml; charset=utf-8"
    case = org.case(case_id)
    assert case["CCAIP_SMS_Requested_At__c"] >= case["LastModifiedDate"]
    assert [(name, value) for _, fields in read(body) for name, value in fields.items()] == [
        ("Id", case_id),
        ("CCAIP_SMS_Status__c", "Requested"),
        ("CaseNumber", "00001026"),
        ("ContactId", case["ContactId"]),
        ("ContactMobile", "+1 (415) 555-0132"),
        ("ContactPhone", "(415) 555-0100"),
        ("LastModifiedById", org.human_user_id),
        ("Status", "New"),
        ("SystemModstamp", case["SystemModstamp"].replace("+0000", "Z")),
    ]


def test_the_envelope(org: Side, endpoint: Endpoint) -> None:
    org.edit(first_case(org), {"CCAIP_SMS_Status__c": "Requested"})
    endpoint.wait(1)
    root = ElementTree.fromstring(endpoint.received[0][1])  # noqa: S314 -- our own sandbox wrote it
    envelope = root.find(f"{SOAP}Body")
    assert envelope is not None
    message = within(envelope, "notifications")
    assert [child.tag.removeprefix(OUTBOUND) for child in message] == [
        *("OrganizationId", "ActionId", "SessionId", "EnterpriseUrl", "PartnerUrl", "Notification")
    ]
    assert message.findtext(f"{OUTBOUND}OrganizationId") == "00D000000000001EAA"
    assert within(message, "SessionId").attrib == {"{http://www.w3.org/2001/XMLSchema-instance}nil": "true"}
    kind = "{http://www.w3.org/2001/XMLSchema-instance}type"
    assert within(message, "Notification/sObject").get(kind) == "sf:Case"


def test_null_fields_are_left_out_and_text_is_escaped(org: Side, endpoint: Endpoint) -> None:
    contact = {"MobilePhone": "<&>", "Phone": None}
    [case_id] = org.make_cases(1, contact=contact, CCAIP_SMS_Status__c="Requested")
    endpoint.wait(1)
    _, fields = endpoint.notifications[0]
    assert (fields["Id"], fields["ContactMobile"]) == (case_id, "<&>")
    assert "ContactPhone" not in fields


SILENT = {
    "another field": lambda org, case: org.edit(case, {"Status": "Working"}),
    "another value": lambda org, case: org.edit(case, {"CCAIP_SMS_Status__c": "Sent"}),
    "the integration user": lambda org, case: org.store.update(
        schema.OBJECTS["Case"], case, {"CCAIP_SMS_Status__c": "Requested"}, org.own_user_id
    ),
    "the value it had": lambda org, case: [
        org.store.update(schema.OBJECTS["Case"], case, {"CCAIP_SMS_Status__c": "Requested"}, user)
        for user in (org.own_user_id, org.human_user_id)
    ],
}


@pytest.mark.parametrize("change", SILENT.values(), ids=SILENT)
def test_other_changes_are_not_told(org: Side, change: Callable[[Side, str], object]) -> None:
    change(org, first_case(org))
    assert org.messages.waiting == 0
    assert org.messages.log == []


NOT_ACKNOWLEDGED = {
    "false": NO,
    "an error": (500, ACK.format("true")),
    "accepted": (202, ACK.format("true")),
    "no XML": (200, "<html><br></body>"),
    "empty": (200, ""),
    "JSON": (200, '{"Ack": true}'),
    "another Ack": (200, "<Ack>true</Ack>"),
}


@pytest.mark.parametrize("answer", NOT_ACKNOWLEDGED.values(), ids=NOT_ACKNOWLEDGED)
def test_it_is_repeated_until_it_is_acknowledged(org: Side, endpoint: Endpoint, answer: tuple[int, str]) -> None:
    endpoint.answers = [answer, answer]
    org.edit(first_case(org), {"CCAIP_SMS_Status__c": "Requested"})
    poll(lambda: org.messages.log and org.messages.log[0].state == "acked")
    assert len({identifier for identifier, _ in endpoint.notifications}) == 1
    attempts = org.messages.log[0].attempts
    assert [(attempt.status, attempt.acked) for attempt in attempts] == [(answer[0], False)] * 2 + [(200, True)]


def test_an_endpoint_that_is_not_there(org: Side) -> None:
    with listening() as gone:
        url = gone.url
    org.messages.configure({"outbound_message_url": url})
    org.edit(first_case(org), {"CCAIP_SMS_Status__c": "Requested"})
    poll(lambda: org.messages.log and len(org.messages.log[0].attempts) >= 2)
    assert org.messages.log[0].attempts[0].status == "ConnectError"


def test_the_latest_values_are_told(org: Side, endpoint: Endpoint) -> None:
    org.messages.configure({"paused": True})
    org.edit(first_case(org), {"CCAIP_SMS_Status__c": "Requested"})
    org.edit(first_case(org), {"Status": "Escalated"})
    org.messages.configure({"paused": False})
    endpoint.wait(1)
    assert endpoint.notifications[0][1]["Status"] == "Escalated"


def told(org: Side, endpoint: Endpoint, **settings: Any) -> tuple[list[str], list[list[str]]]:
    """The messages about 150 changes that were made while nothing was delivered: the case ids of each."""
    org.messages.configure({"paused": True} | settings)
    cases = org.make_cases(150, CCAIP_SMS_Status__c="Requested")
    org.messages.configure({"paused": False})
    poll(lambda: org.messages.waiting == 0)
    return cases, [[notification.case_id for notification in message.notifications] for message in org.messages.log]


def test_up_to_a_hundred_travel_together(org: Side, endpoint: Endpoint) -> None:
    cases, messages = told(org, endpoint)
    assert [len(message) for message in messages] == [100, 50]
    assert [case for message in messages for case in message] == cases


def test_split(org: Side, endpoint: Endpoint) -> None:
    _, messages = told(org, endpoint, largest_batch=1)
    assert [len(message) for message in messages] == [1] * 150


def test_newest_first(org: Side, endpoint: Endpoint) -> None:
    cases, messages = told(org, endpoint, newest_first=True)
    assert [case for message in messages for case in message] == cases[::-1]


def test_every_message_twice(org: Side, endpoint: Endpoint) -> None:
    told(org, endpoint, every_message_twice=True)
    assert len(endpoint.received) == 4
    assert len(endpoint.notifications) == 300
    assert len({identifier for identifier, _ in endpoint.notifications}) == 150
    assert all(message.state == "acked" for message in org.messages.log)


def test_every_change_twice(org: Side, endpoint: Endpoint) -> None:
    cases, _ = told(org, endpoint, every_change_twice=True)
    assert len({identifier for identifier, _ in endpoint.notifications}) == 300
    assert {fields["Id"] for _, fields in endpoint.notifications} == set(cases)


def test_only_addresses_on_this_machine(org: Side) -> None:
    for url in ("https://example.com/hooks", "ftp://127.0.0.1/", "hooks", "http://127.0.0.1.example.com/"):
        with pytest.raises(ValueError, match="on this machine"):
            org.messages.configure({"outbound_message_url": url})
        with pytest.raises(ValueError, match="on this machine"):
            sandbox.Sandbox(outbound_message_url=url)


def test_no_thread_outlives_the_sandbox(endpoint: Endpoint) -> None:
    before = set(threading.enumerate())
    switches = {"chat_webhook_url": endpoint.url}
    with sandbox.Sandbox(port=0, outbound_message_url=endpoint.url, switches=switches).running() as box:
        box.salesforce.request_text(first_case(box.salesforce))
        sms = {"end_user_number": "+14155550132", "outbound_number": "+16285550199", "message": "x"}
        box.ccaip.send({"chat_type": "SMS", **sms})
        endpoint.wait(3)
        poll(lambda: box.salesforce.messages.waiting == 0)
    poll(
        lambda: (
            not {
                t for t in set(threading.enumerate()) - before if t.name.startswith(("sandbox", "outbound", "webhooks"))
            }
        )
    )
