"""The sandbox's CCAI Platform side: every documented request, answer and error, word for word, over real HTTP."""

import copy
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from connector import sandbox
from tests.support.tls import TLS

AUTH = ("sandbox", "sandbox-token")
SMS = "/apps/api/v1/sms"

REQUEST = {
    "chat_type": "Messaging (SMS)",
    "end_user_number": "+1 415-555-0100",
    "outbound_number": "+1 628-555-0199",
    "message": "lorem ipsum",
    "ticket_id": "5006x00000XXxxxXXX",
}

ANSWER = json.loads("""
{
  "id": 114, "lang": "en", "chat_type": "Messaging (SMS)", "status": "selecting",
  "created_at": "2021-10-04T17:20:51.000Z", "queued_at": null, "assigned_at": null, "ends_at": null,
  "wait_duration": 0, "chat_duration": 0, "rating": null, "has_feedback": false, "out_ticket_id": null,
  "out_ticket_url": null, "verified": false, "disconnected_by": "disconnected_by_unknown", "fail_reason": null,
  "selected_menu": null, "menu_path": null, "agent_info": null,
  "end_user": {"id": 87, "identifier": null, "out_contact_id": null},
  "photos": [], "videos": [], "transfers": [],
  "participants": [
    {"id": 205, "type": "end_user", "status": "connected", "chat_id": 114, "user_id": null, "end_user_id": 87,
     "chat_duration": null, "connected_at": "2021-10-04T17:20:51.000Z", "ended_at": null, "fail_reason": "nothing"}
  ],
  "offer_type": null, "offer_events": [], "answer_type": "manual", "outbound_number": "+16285550199"
}
""")

AGENT_INFO = {
    "id": 1,
    "agent_number": 9,
    "email": "john.doe@foo.com",
    "name": "John Doe",
    "first_name": "John",
    "last_name": "Doe",
    "avatar_url": "https://foobar.com/johndoe",
}

AGENT_PARTICIPANT = {
    "id": 206,
    "type": "agent",
    "status": "connected",
    "chat_id": 114,
    "user_id": 1,
    "end_user_id": None,
    "chat_duration": None,
    "connected_at": "2021-10-04T17:20:53.000Z",
    "ended_at": None,
    "fail_reason": "nothing",
}


class HeldClock(sandbox.Clock):
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.moment = datetime(2021, 10, 4, 17, 20, 51, tzinfo=UTC)
        self.slept: list[float] = []

    def now(self) -> datetime:
        return self.moment

    def monotonic(self) -> float:
        return self.moment.timestamp()

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    def move(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> HeldClock:
    return HeldClock()


@pytest.fixture
def box(clock: HeldClock) -> Iterator[sandbox.Sandbox]:
    made = sandbox.Sandbox(
        port=0, clock=clock, first_chat_id=114, first_end_user_id=87, first_participant_id=205, requests_per_second=0
    )
    with made.running():
        yield made


@pytest.fixture
def http(box: sandbox.Sandbox) -> Iterator[httpx.Client]:
    with httpx.Client(verify=TLS, base_url=box.url, auth=AUTH) as client:
        yield client


def assigned(agent_info: dict[str, Any] | None) -> dict[str, Any]:
    answer: dict[str, Any] = copy.deepcopy(ANSWER) | {
        "status": "assigned",
        "assigned_at": "2021-10-04T17:20:53.000Z",
        "agent_info": agent_info,
    }
    answer["participants"].append(AGENT_PARTICIPANT)
    return answer


def without(*names: str, **changes: Any) -> dict[str, Any]:
    return {name: value for name, value in REQUEST.items() if name not in names} | changes


def tell(**tenant: Any) -> dict[str, Any]:
    """A change of the tenant's settings that a documented error presumes."""
    return tenant


DOCUMENTED_ANSWERS = {
    "with a ticket": (REQUEST, ANSWER),
    "with an agent's id": (without("ticket_id", agentId=1), assigned(AGENT_INFO)),
    "with an agent's address": (without("ticket_id", agentEmail="john.doe@foo.com"), assigned(None)),
    "without a ticket": (without("ticket_id"), ANSWER),
}

DOCUMENTED_ERRORS = {
    "chat_type needs to be provided": (without("chat_type"), tell()),
    "valid chat type needs to be provided": (without(chat_type="In-app"), tell()),
    "SMS is not enabled": (REQUEST, tell(sms_enabled=False)),
    "Outbound SMS is not enabled": (REQUEST, tell(outbound_sms_enabled=False)),
    "end_user_number is required": (without("end_user_number"), tell()),
    "end_user_number is invalid": (without(end_user_number="12345"), tell()),
    "Non-US phone number not allowed": (without(outbound_number="+82 000-000-0000"), tell()),
    "outbound_number is required": (without("outbound_number"), tell()),
    "outbound_number is invalid": (without(outbound_number="12345"), tell()),
    "outbound_number is not found": (REQUEST, tell(numbers=["+1 415-555-0123"])),
    "message is required": (without(message=""), tell()),
}

UNREADABLE = {
    "no JSON": b"{",
    "no object": b"[]",
    "nothing": b"",
}


@pytest.mark.parametrize(("asked", "expected"), DOCUMENTED_ANSWERS.values(), ids=DOCUMENTED_ANSWERS)
def test_documented_answers(http: httpx.Client, asked: dict[str, Any], expected: dict[str, Any]) -> None:
    answer = http.post(SMS, json=asked)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.json() == expected
    assert list(answer.json()) == list(expected)


@pytest.mark.parametrize("message", DOCUMENTED_ERRORS)
def test_documented_errors(http: httpx.Client, message: str) -> None:
    asked, tenant = DOCUMENTED_ERRORS[message]
    http.patch("/_sandbox/ccaip/tenant", json=tenant)
    answer = http.post(SMS, json=asked)
    assert (answer.status_code, answer.json()) == (400, {"message": message})


@pytest.mark.parametrize("content", UNREADABLE.values(), ids=UNREADABLE)
def test_unreadable_requests_are_refused(http: httpx.Client, box: sandbox.Sandbox, content: bytes) -> None:
    answer = http.post(SMS, content=content)
    assert answer.status_code == 400
    assert answer.json().keys() == {"message"}
    assert box.ccaip.texts == []


@pytest.mark.parametrize("value", [5, ["x"], {"x": 1}, None, True])
@pytest.mark.parametrize("field", ["chat_type", "end_user_number", "outbound_number", "message"])
def test_values_of_the_wrong_type_are_refused(http: httpx.Client, field: str, value: object) -> None:
    assert http.post(SMS, json=REQUEST | {field: value}).status_code == 400


@pytest.mark.parametrize("chat_type", ["Messaging (SMS)", "Messaging (API)", "SMS"])
def test_every_documented_chat_type_is_taken(http: httpx.Client, chat_type: str) -> None:
    assert http.post(SMS, json=without(chat_type=chat_type)).status_code == 200


@pytest.mark.parametrize("number", ["+44 20 7946 0958", "+1 416-555-0100"])
def test_customers_abroad_are_refused(http: httpx.Client, number: str) -> None:
    assert http.post(SMS, json=without(end_user_number=number)).json() == {"message": "Non-US phone number not allowed"}


def test_a_running_session_refuses_the_next_text_until_it_ends(http: httpx.Client, box: sandbox.Sandbox) -> None:
    assert http.post(SMS, json=REQUEST).status_code == 200
    refused = http.post(SMS, json=REQUEST)
    assert refused.status_code == 400
    assert refused.json() == {"message": "Outbound SMS failed. Consumer is already in an active SMS session."}
    assert http.post("/_sandbox/ccaip/chats/114/end").json()["status"] == "finished"
    assert http.post(SMS, json=REQUEST).json()["id"] == 115
    assert [text.chat_id for text in box.ccaip.texts] == [114, 115]
    assert http.get("/_sandbox/stats").json()["ccaip"]["doubled_texts"] == {REQUEST["ticket_id"]: 2}


def test_a_session_ends_by_itself_if_so_switched(http: httpx.Client, box: sandbox.Sandbox, clock: HeldClock) -> None:
    box.switches.update({"chat_ends_after_seconds": 60})
    http.post(SMS, json=REQUEST)
    clock.move(59)
    assert http.post(SMS, json=REQUEST).status_code == 400
    clock.move(1)
    assert http.post(SMS, json=REQUEST).json()["id"] == 115
    assert box.ccaip.chats[114].status == "finished"


def test_an_agent_goes_on_in_their_own_session(http: httpx.Client, box: sandbox.Sandbox) -> None:
    first = http.post(SMS, json=without(agentId=1)).json()
    second = http.post(SMS, json=without(agentId=1, message="more")).json()
    assert first["id"] == second["id"] == 114
    assert [text.message for text in box.ccaip.texts] == ["lorem ipsum", "more"]


@pytest.mark.parametrize("auth", [None, ("sandbox", "wrong"), ("other", "sandbox-token"), ("", "")])
def test_wrong_credentials(box: sandbox.Sandbox, auth: tuple[str, str] | None) -> None:
    answer = httpx.post(box.url + SMS, json=REQUEST, auth=auth)
    assert (answer.status_code, answer.json()) == (401, {"message": "Unauthorized"})
    assert box.ccaip.requests[0].status == 401


def test_ten_requests_a_second(http: httpx.Client, box: sandbox.Sandbox, clock: HeldClock) -> None:
    box.ccaip.settings.requests_per_second = 10
    statuses = [http.post(SMS, json=without(message="")).status_code for _ in range(11)]
    assert statuses == [400] * 10 + [429]
    clock.move(0.9)
    refused = http.post(SMS, json=REQUEST)
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "1")
    box.switches.update({"retry_after_on_429": 0})
    assert "Retry-After" not in http.post(SMS, json=REQUEST).headers
    clock.move(0.1)
    assert http.post(SMS, json=REQUEST).status_code == 200
    assert [call.status for call in box.ccaip.requests][-4:] == [429, 429, 429, 200]


def agent(**named: Any) -> dict[str, Any]:
    return without("ticket_id", **named)


SWITCHED = {
    "unknown agent, ignored": ({}, agent(agentId=7), 200, "selecting"),
    "unknown agent, refused": ({"unknown_agent": "refuse"}, agent(agentId=7), 400, "agent is not found"),
    "snake case": ({}, agent(agent_id=1), 200, "assigned"),
    "only snake case": ({"agent_spelling": "agent_id"}, agent(agentId=1), 200, "selecting"),
    "only camel case": ({"agent_spelling": "agentId"}, agent(agent_email="john.doe@foo.com"), 200, "selecting"),
    "unknown ticket, refused": ({"unknown_ticket": "refuse"}, REQUEST, 400, "ticket is not found"),
    "too long": ({"message_maximum": 10}, REQUEST, 400, "message is too long"),
    "any length": ({"message_maximum": 0}, without(message="x" * 9999), 200, "selecting"),
}


@pytest.mark.parametrize(("switches", "asked", "status", "word"), SWITCHED.values(), ids=SWITCHED)
def test_switches(
    http: httpx.Client, box: sandbox.Sandbox, switches: dict[str, Any], asked: dict[str, Any], status: int, word: str
) -> None:
    box.switches.update(switches)
    answer = http.post(SMS, json=asked)
    assert answer.status_code == status
    assert answer.json()["status" if status == 200 else "message"] == word


POLICIES: dict[str, tuple[str, Callable[[sandbox.Sandbox], object]]] = {
    "opted_out_number": ("End user has opted out", lambda box: box.ccaip.reply("+14155550100", " Stop ")),
    "blocklisted_number": (
        "End user is blocked",
        lambda box: setattr(box.ccaip.settings, "blocklist", ["(415) 555-0100"]),
    ),
    "second_text_same_day": (
        "End user was already texted today",
        lambda box: (box.ccaip.send(dict(REQUEST)), box.ccaip.end_chat(114)),
    ),
    "after_hours": ("Outside of operation hours", lambda box: setattr(box.ccaip.settings, "closed", True)),
}


@pytest.mark.parametrize("verdict", ["refuse", "swallow", "deliver"])
@pytest.mark.parametrize("switch", POLICIES)
def test_policies_that_are_guesses(http: httpx.Client, box: sandbox.Sandbox, switch: str, verdict: str) -> None:
    message, arrange = POLICIES[switch]
    arrange(box)
    before = len(box.ccaip.phones["+14155550100"])
    box.switches.update({switch: verdict})
    answer = http.post(SMS, json=REQUEST)
    assert answer.json().get("message") == (message if verdict == "refuse" else None)
    assert len(box.ccaip.phones["+14155550100"]) - before == (verdict == "deliver")


def test_the_phone_shows_texts_and_replies(http: httpx.Client, box: sandbox.Sandbox) -> None:
    http.post(SMS, json=REQUEST)
    http.post("/_sandbox/phone/+14155550100/reply", json={"message": "Thank you"})
    shown = http.get("/_sandbox/phone/415-555-0100").json()
    assert [(m["body"], m["is_reply"], m["chat_id"]) for m in shown["messages"]] == [
        ("lorem ipsum", False, 114),
        ("Thank you", True, 114),
    ]
    assert box.ccaip.chats[114].message_count == 2
    for word, opted_out in (("STOPALL", True), ("please stop", True), ("start", False)):
        shown = http.post("/_sandbox/phone/+14155550100/reply", json={"message": word}).json()
        assert shown["opted_out"] is opted_out


def test_the_managers_list_of_chats(http: httpx.Client, box: sandbox.Sandbox, clock: HeldClock) -> None:
    for last in range(5):
        http.post(SMS, json=without(end_user_number=f"+1 415-555-010{last}"))
        clock.move(60)
    query = {"updated_at[from]": "2021-10-04T17:21:51Z", "sort_column": "id", "sort_direction": "DESC", "per": "3"}
    first = http.get("/manager/api/v1/chats", params=query)
    assert [chat["id"] for chat in first.json()] == [118, 117, 116]
    assert (first.headers["Total"], first.headers["Per-Page"]) == ("4", "3")
    second = http.get(first.links["next"]["url"])
    assert [chat["id"] for chat in second.json()] == [115]
    assert "next" not in second.links
    assert first.json()[0].keys() == {
        *("id", "chat_type", "status", "sub_status", "created_at", "assigned_at", "ends_at", "updated_at"),
        *("wait_duration", "out_ticket_id", "fail_reason", "message_count", "agent_info", "end_user"),
    }
    assert http.get("/manager/api/v1/chats", params={"sort_column": "x"}).status_code == 400


def test_a_conversation_is_played_through(http: httpx.Client, box: sandbox.Sandbox, clock: HeldClock) -> None:
    chat = http.post(SMS, json=without()).json()["id"]
    control = f"/_sandbox/ccaip/chats/{chat}"

    def listed() -> dict[str, Any]:
        [found] = http.get("/manager/api/v1/chats").json()
        return {key: found[key] for key in ("status", "sub_status", "updated_at", "ends_at", "wait_duration")}

    waiting = listed()
    clock.move(60)
    joined = http.post(f"{control}/join").json()
    talking = listed()
    http.post(f"{control}/agent-message", json={"message": "Hello, this is John."})
    http.post(f"{control}/end", json={"status": "no_response"})
    over = listed()

    assert waiting | {"updated_at": ""} == {
        "status": "selecting",
        "sub_status": "waiting_for_agent",
        "updated_at": "",
        "ends_at": None,
        "wait_duration": "0.0",
    }
    assert (joined["status"], len(joined["participants"])) == ("assigned", 2)
    assert (talking["status"], talking["updated_at"][-6:]) == ("assigned", "-07:00")
    assert talking["updated_at"] > waiting["updated_at"]
    assert (over["status"], over["wait_duration"], bool(over["ends_at"])) == ("no_response", 0, True)
    [phone] = http.get("/_sandbox/phone").json()["numbers"]
    assert [one["body"] for one in http.get(f"/_sandbox/phone/{phone}").json()["messages"]][1:] == [
        "Hello, this is John."
    ]


def test_a_chat_that_is_over_or_unknown_cannot_go_on(http: httpx.Client) -> None:
    chat = http.post(SMS, json=without()).json()["id"]
    control = f"/_sandbox/ccaip/chats/{chat}"

    assert http.post(f"{control}/join", json={"agent": "nobody@foo.com"}).status_code == 400
    assert http.post(f"{control}/end", json={"status": "selecting"}).status_code == 400
    assert http.post(f"{control}/end").json()["status"] == "finished"
    assert http.post(f"{control}/join").status_code == 400
    assert http.post("/_sandbox/ccaip/chats/999/join").status_code == 404


def test_an_agent_is_played_on_the_page(http: httpx.Client, box: sandbox.Sandbox) -> None:
    [case] = box.salesforce.make_cases(1, contact={"MobilePhone": "+1 415-555-0177"})
    chat = http.post(SMS, json=without(end_user_number="+1 415-555-0177")).json()["id"]

    for act, said in (("join", "assigned, John Doe"), ("end", "finished, John Doe")):
        assert http.post(f"/tickets/salesforce/{case}/chats/{chat}/{act}").status_code == 303
        assert f"Chat {chat}: {said}" in http.get("/parts", params={"ticket": case}).json()["chat"]
    assert http.post(f"/tickets/salesforce/{case}/chats/999/join").status_code == 404
    assert http.post(f"/tickets/salesforce/{case}/chats/{chat}/write").status_code == 400


def test_other_addresses_are_404_in_words(http: httpx.Client) -> None:
    assert http.get("/apps/api/v1/nothing").json().keys() == {"message"}
    assert http.get(SMS).status_code == 405
