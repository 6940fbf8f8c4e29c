"""The sandbox's chat webhooks: which events they tell, in which words, and how they are signed."""

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import httpx
import pytest

from connector import sandbox
from tests.sandbox.test_outbound import Endpoint, listening
from tests.support.chat_webhooks import sign
from tests.support.tls import TLS

NUMBER = "+14155550132"
REQUEST = {"chat_type": "SMS", "end_user_number": NUMBER, "outbound_number": "+16285550199", "message": "x"}


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with listening() as endpoint:
        yield endpoint


@pytest.fixture
def box(endpoint: Endpoint) -> Iterator[sandbox.Sandbox]:
    with sandbox.Sandbox(port=0, switches={"chat_webhook_url": endpoint.url}).running() as box:
        yield box


def posted(box: sandbox.Sandbox, endpoint: Endpoint) -> list[dict[str, Any]]:
    box.ccaip.webhooks.wait()
    return [json.loads(content) for _, content in endpoint.received]


def told(event: dict[str, Any]) -> tuple[str, str, str]:
    """The event's type, and its sender and words where it is a message."""
    body = event["body"]
    sender = body.get("sender", {}).get("type", "")
    return event["event_type"], sender, body.get("message", {}).get("content", "")


def test_a_conversation_is_told_in_order(box: sandbox.Sandbox, endpoint: Endpoint) -> None:
    chat_id = box.ccaip.send(REQUEST | {"agentId": 1})["id"]
    box.ccaip.reply(NUMBER, "Thank you")
    box.ccaip.agent_writes(chat_id, "You are welcome")
    box.ccaip.end_chat(chat_id)
    events = posted(box, endpoint)
    assert [told(event) for event in events] == [
        ("chat_created", "", ""),
        ("participant_joined", "", ""),
        ("message_received", "api", "x"),
        ("message_received", "end_user", "Thank you"),
        ("message_received", "agent", "You are welcome"),
        ("chat_ended", "", ""),
    ]
    assert {event["chat_id"] for event in events} == {chat_id}
    assert box.ccaip.webhooks.statuses == [200] * 6
    assert [message.body for message in box.ccaip.phones[NUMBER]] == ["x", "Thank you", "You are welcome"]


def test_stop_ends_the_chat_and_further_texts_are_refused(box: sandbox.Sandbox, endpoint: Endpoint) -> None:
    box.ccaip.send(REQUEST)
    box.ccaip.reply(NUMBER, " stop ")
    assert [told(event) for event in posted(box, endpoint)][2:] == [
        ("message_received", "end_user", " stop "),
        ("chat_ended", "", ""),
    ]
    with pytest.raises(Exception, match="opted out"):
        box.ccaip.send(REQUEST)
    box.ccaip.reply(NUMBER, "START")
    assert told(posted(box, endpoint)[-1]) == ("message_received", "end_user", "START")
    assert box.ccaip.send(REQUEST)["id"]


def test_the_words_that_it_obeys_are_switches(box: sandbox.Sandbox) -> None:
    box.switches.update({"opt_out_words": "HALT", "opt_out_ends_chat": False, "reply_without_chat": "none"})
    chat_id = box.ccaip.send(REQUEST)["id"]
    box.ccaip.reply(NUMBER, "STOP")
    assert box.ccaip.phones.opted_out == set()
    box.ccaip.reply(NUMBER, "halt")
    assert box.ccaip.phones.opted_out == {NUMBER}
    assert box.ccaip.chats[chat_id].is_active


@pytest.mark.parametrize("secondary", ["second", ""])
@pytest.mark.parametrize("unit", ["iso", "seconds", "milliseconds"])
def test_each_is_signed(box: sandbox.Sandbox, endpoint: Endpoint, unit: str, secondary: str) -> None:
    box.switches.update({"chat_webhook_timestamp": unit, "chat_webhook_secondary_secret": secondary})
    box.ccaip.send(REQUEST)
    posted(box, endpoint)
    for headers, content in endpoint.received:
        stamp = headers["X-Signature-Timestamp"]
        expected = f"primary={sign('sandbox-webhook-secret', stamp, content)}"
        assert headers["X-Signature"] == expected + (
            f" secondary={sign('second', stamp, content)}" if secondary else ""
        )
        at = datetime.fromisoformat(json.loads(content)["timestamp"]).timestamp()
        scale = {"iso": 0, "seconds": 1, "milliseconds": 1000}[unit]
        assert stamp == (str(int(at * scale)) if scale else json.loads(content)["timestamp"])


def test_events_may_come_several_times_and_in_any_order(box: sandbox.Sandbox, endpoint: Endpoint) -> None:
    box.switches.update({"chat_webhook_copies": 3, "chat_webhook_order": "any"})
    box.ccaip.send(REQUEST)
    events = posted(box, endpoint)
    assert sorted(event["event_type"] for event in events) == ["chat_created"] * 3 + ["message_received"] * 3


def test_a_reset_keeps_the_address_from_the_start(box: sandbox.Sandbox, endpoint: Endpoint) -> None:
    box.switches.update({"chat_webhook_copies": 3})
    box.ccaip.send(REQUEST)
    box.reset()
    assert (box.switches["chat_webhook_url"], box.switches["chat_webhook_copies"]) == (endpoint.url, 1)
    assert box.ccaip.webhooks.posts == []


def test_the_phone_has_quick_replies_in_four_languages(box: sandbox.Sandbox, endpoint: Endpoint) -> None:
    box.ccaip.send(REQUEST)
    with httpx.Client(base_url=box.url, verify=TLS, trust_env=False) as browser:
        page = browser.get("/").text
        assert all(f'lang="{language}">' in page for language in ("en", "es", "fr", "pt"))
        case = box.salesforce.tickets()[0][0]["id"]
        reply = {"number": NUMBER, "message": "Por favor, no me envíen más mensajes"}
        assert browser.post(f"/tickets/salesforce/{case}/reply", data=reply).status_code == 303
    assert told(posted(box, endpoint)[-1]) == ("message_received", "end_user", reply["message"])
    assert box.ccaip.phones.opted_out == set(), "the platform does not know these words"
