"""Chat webhooks are read as they are documented, and whatever else is authentic is kept."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from connector.ccaip import chat_events
from connector.ccaip.chat_events import Effect
from connector.ccaip.chats import EventStatus
from connector.store.chat_events import NewChatEvent
from tests.support.chat_webhooks import event
from webhooks.ccaip import parse

SIGNED_AT = datetime(2026, 11, 26, 8, 20, tzinfo=UTC)
CUSTOMERS = ["customer", "end_user"]


def read(content: bytes) -> NewChatEvent:
    return parse.parse(b"key", content, SIGNED_AT, 300)


@pytest.mark.parametrize("chat_id", [123, "123", 123.0, "123.0", " 123 ", "0123"])
def test_a_chat_id_of_any_type_is_the_same_chat(chat_id: object) -> None:
    assert read(event("chat_ended", chat_id)).chat_id == "123"


@pytest.mark.parametrize(
    ("timestamp", "seconds"),
    [
        ("2026-11-26T08:19:00.000Z", -60),
        ("2026-11-26T00:19:00-08:00", -60),
        (1795681140, -60),
        (1795681140000, -60),
        ("1795681140.0", -60),
        ("2026-11-26T08:19:00", 0),  # without an offset: the time of the signature counts
        (None, 0),
        ("9999-12-31T00:00:00Z", 0),
        (0, 0),  # left unset: as the time of a STOP, it would be older than every other word
        ("0001-01-01T00:00:00Z", 0),  # not to be read from a database whose time zone is west of UTC
    ],
)
def test_when_it_occurred_is_read_in_each_unit(timestamp: object, seconds: int) -> None:
    content = json.dumps({"event_type": "chat_ended", "chat_id": 1, "timestamp": timestamp}).encode()
    found = read(content)
    assert (found.occurred_at, found.problem) == (SIGNED_AT + timedelta(seconds=seconds), None)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "not JSON"),
        (b"not json", "not JSON"),
        (b'{"event_type": "message_received", "chat_id": 1, "bo', "not JSON"),
        (b"\xff\xfe\xfd", "not JSON"),
        (b"[]", "a list"),
        (b"null", "nothing"),
        (b'{"event_type": "chat_ended"}', "chat_id"),
        (b'{"event_type": "chat_ended", "chat_id": true}', "chat_id"),
        (b'{"event_type": "chat_ended", "chat_id": -1}', "chat_id"),
        (b'{"event_type": "chat_ended", "chat_id": 1.5}', "chat_id"),
        (b'{"event_type": "chat_ended", "chat_id": {}}', "chat_id"),
        (b'{"chat_id": 1}', "event_type"),
        (b'{"chat_id": 1, "event_type": ""}', "event_type"),
        (b'{"chat_id": 1, "event_type": "a", "body": "b"}', "body"),
        (b'{"chat_id": 1, "event_type": "a", "chat_id": 2}', "same key twice"),
        (b'{"chat_id": 1, "event_type": "a", "body": {"a": NaN}}', "not finite"),
        (b'{"chat_id": 1, "event_type": "a", "body": {"a": 1e999}}', "not finite"),
        (b'{"chat_id": 1, "event_type": "a", "body": {"a": ' + b"9" * 5000 + b"}}", "not JSON"),
        (b'{"chat_id": 1, "event_type": "a", "body": {"a": ' + b"[" * 40 + b"]" * 40 + b"}}", "nested"),
        (b"[" * 100_000, "nested"),
        (b'{"a":' * 100_000, "nested"),
    ],
)
def test_what_cannot_be_read_is_kept_with_its_problem(content: bytes, problem: str) -> None:
    found = read(content)
    assert problem in (found.problem or "")
    assert (found.raw, found.body, found.occurred_at) == (content, {}, SIGNED_AT)


TEXT = {"type": "text", "content": "STOP"}


@pytest.mark.parametrize("sender", ["end_user", "customer", "End User", "END-USER", " customer "])
def test_the_customer_is_heard(sender: str) -> None:
    body = {"sender": {"type": sender}, "message": TEXT}
    assert chat_events.effect("message_received", body, CUSTOMERS) == Effect(words="STOP")


@pytest.mark.parametrize("sender", ["agent", "virtual_agent", "Virtual Agent", "bot", "api"])
def test_others_are_not_heard(sender: str) -> None:
    body = {"sender": {"type": sender}, "message": TEXT}
    assert chat_events.effect("message_received", body, CUSTOMERS).none


@pytest.mark.parametrize(
    ("sender", "named"), [({"type": "consumer"}, "consumer"), ({}, ""), (None, ""), ("end_user", ""), ({"type": 1}, "")]
)
def test_an_unknown_sender_is_named(sender: object, named: str) -> None:
    body = {"sender": sender, "message": TEXT}
    assert chat_events.effect("message_received", body, CUSTOMERS) == Effect(unknown_sender=named)


@pytest.mark.parametrize("kind", ["Text", "TEXT", " text ", None, ""])
def test_the_type_of_a_message_is_read_in_any_spelling(kind: object) -> None:
    body = {"sender": {"type": "end_user"}, "message": {"type": kind, "content": "STOP"}}
    assert chat_events.effect("message_received", body, CUSTOMERS) == Effect(words="STOP")


def test_a_sender_that_the_settings_name_is_the_customer() -> None:
    body = {"sender": {"type": "consumer"}, "message": TEXT}
    assert chat_events.effect("message_received", body, ["Consumer"]) == Effect(words="STOP")


@pytest.mark.parametrize(
    "message",
    [
        {"type": "photo", "content": {"media_id": 31}},
        {"type": "photo", "media_id": 31, "content": "STOP"},
        {"type": "text", "content": {"media_id": 31}},
        {"type": "text", "content": "  "},
        {"type": "text"},
        {},
        None,
        "STOP",
    ],
)
def test_only_text_counts(message: object) -> None:
    assert chat_events.effect("message_received", {"sender": {"type": "end_user"}, "message": message}, CUSTOMERS).none


@pytest.mark.parametrize(
    ("event_type", "body", "status"),
    [
        ("chat_ended", {}, EventStatus("ended", ended=True)),
        ("chat_dismissed", {}, EventStatus("dismissed", ended=True)),
        ("participant_joined", {"type": "agent"}, EventStatus("assigned", ended=False)),
        ("participant_joined", {"type": "end_user"}, None),
        ("participant_joined", {}, None),
        ("participant_left", {"type": "agent"}, None),
        ("something_new", {}, None),
    ],
)
def test_an_event_type_gives_the_status_of_its_chat(
    event_type: str, body: dict[str, str], status: EventStatus | None
) -> None:
    assert chat_events.effect(event_type, body, CUSTOMERS) == Effect(status=status)
