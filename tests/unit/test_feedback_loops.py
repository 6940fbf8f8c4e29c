"""A rule that the connector's own write-back would fire again is refused when the mapping is loaded."""

from typing import Any

import pytest

from connector.errors import BadMapping
from connector.mapping import loader
from connector.model import OUTCOMES

NAMES = {
    "id": "Id",
    "status": "Status__c",
    "count": "Count__c",
    "flag": "Flag__c",
    "note": "Note__c",
    "other": "Other__c",
}


def check(when: str, written: dict[str, str], state: str = "sent", *more_rules: str) -> None:
    """Loads a file in which this outcome writes these fields, and all others write a field nobody asks about."""
    rules = [
        {"name": f"rule_{index}", "when": each, "once_per": list(NAMES), "message": "Hi"}
        for index, each in enumerate([when, *more_rules])
    ]
    write_back: dict[str, Any] = {each: {"Elsewhere__c": "{{ why }}"} for each in OUTCOMES} | {state: written}
    raw = {
        "ticket": {"object": "Case", "id": "id"},
        "fields": NAMES,
        "phones": {"prefer": ["id"]},
        "rules": rules,
        "write_back": write_back,
    }
    loader.parse(raw, "a.toml")


REQUESTED = "status == 'Requested'"


@pytest.mark.parametrize(
    ("when", "written"),
    [
        pytest.param(REQUESTED, {"Status__c": "Sent"}, id="requested to sent"),
        pytest.param(REQUESTED, {"Status__c": ""}, id="requested to empty"),
        pytest.param(REQUESTED, {"Note__c": "Requested"}, id="a field that the condition ignores"),
        pytest.param(REQUESTED, {"Elsewhere__c": "{{ why }}"}, id="a field that has no name"),
        pytest.param("status == 'Requested' && other == 'x'", {"Status__c": "Sent"}, id="and"),
        pytest.param("status == 'Requested' && count > `5`", {"Status__c": "Sent"}, id="and a number, asked last"),
        pytest.param("count > `5` && status == 'Requested'", {"Status__c": "Sent"}, id="and a number, asked first"),
        pytest.param("status == 'A' || status == 'B'", {"Status__c": "Sent"}, id="either of two"),
        pytest.param("contains(status, 'Req')", {"Status__c": "Sent"}, id="contains"),
        pytest.param("!status", {"Status__c": "Sent"}, id="not set"),
        pytest.param("count > `5`", {"Count__c": "3"}, id="a small enough number"),
        pytest.param("flag == `true`", {"Flag__c": "false"}, id="a checkbox, unchecked"),
        pytest.param("flag", {"Flag__c": ""}, id="a field, emptied"),
        pytest.param("status != 'Sent'", {"Status__c": "Sent"}, id="unequal to what is written"),
    ],
)
def test_a_write_back_that_leaves_the_condition_is_right(when: str, written: dict[str, str]) -> None:
    check(when, written)


@pytest.mark.parametrize(
    ("when", "written", "example"),
    [
        pytest.param(REQUESTED, {"Status__c": "Requested"}, "status = 'Requested'", id="the same value"),
        pytest.param(REQUESTED, {"Status__c": "{{ 'Requested' }}"}, "status = 'Requested'", id="by a template"),
        pytest.param(REQUESTED, {"Status__c": "{{ why }}"}, "status = 'Requested'", id="anything"),
        pytest.param(REQUESTED, {"status__C": "Requested"}, "status = 'Requested'", id="names do not tell case"),
        pytest.param("status != 'Sent'", {"Status__c": "Failed"}, "status = 'Failed'", id="unequal"),
        pytest.param("status != 'Sent'", {"Status__c": ""}, "status = None", id="unequal, emptied"),
        pytest.param("status", {"Status__c": "Sent"}, "status = 'Sent'", id="any value"),
        pytest.param("!status", {"Status__c": ""}, "status = None", id="no value"),
        pytest.param("!(status == 'Sent')", {"Status__c": "Failed"}, "status = 'Failed'", id="not equal"),
        pytest.param("status == 'A' || other == 'x'", {"Status__c": "Sent"}, "other = 'x'", id="or another field"),
        pytest.param("status == 'A' || !other", {"Status__c": "Sent"}, "other = None", id="or another field empty"),
        pytest.param("other == 'x' && status != 'A'", {"Status__c": "B"}, "other = 'x'", id="and unequal"),
        pytest.param("contains(status, 'Sen')", {"Status__c": "Sent"}, "status = 'Sent'", id="contains"),
        pytest.param("starts_with(status, 'S')", {"Status__c": "{{ state }}"}, "status = 'S'", id="starts with"),
        pytest.param('contains(`["Sent"]`, status)', {"Status__c": "Sent"}, "status = 'Sent'", id="in a list"),
        pytest.param("status == 'A' || count > `5`", {"Status__c": "B"}, "count = 6", id="or a number"),
        pytest.param("status == 'A' || count < `5`", {"Status__c": "B"}, "count = 4", id="or a smaller number"),
        pytest.param("count > `5`", {"Count__c": "10"}, "count", id="a number that is written as text"),
        pytest.param("count == `5`", {"Count__c": "5"}, "count", id="an equal number that is written as text"),
        pytest.param("count > `5`", {"Count__c": "{{ text }}"}, "count", id="any number"),
        pytest.param("flag == `true`", {"Flag__c": "true"}, "flag", id="a checkbox that is written as text"),
        pytest.param("flag == `true`", {"Flag__c": "{{ why }}"}, "flag = True", id="a checkbox, anything"),
        pytest.param("status == other", {"Status__c": "Sent"}, "other", id="equal to another field"),
        pytest.param("length(note) > `20` && status != 'A'", {"Status__c": "B"}, "note", id="a long text"),
    ],
)
@pytest.mark.parametrize("state", ["sent", "unknown"])
def test_a_write_back_that_fires_the_rule_again_is_refused_with_a_ticket_as_example(
    when: str, written: dict[str, str], example: str, state: str
) -> None:
    with pytest.raises(BadMapping) as caught:
        check(when, written, state)
    [(key, words, _)] = caught.value.faults
    assert key == f"write_back.{state}"
    assert 'rule "rule_0" would fire again' in words
    assert when in words
    assert example in words


def test_what_is_written_while_a_text_waits_must_not_fire_its_rule_again() -> None:
    check(REQUESTED, {"Status__c": "Waiting"}, "held")
    with pytest.raises(BadMapping, match=r"write_back\.held"):
        check(REQUESTED, {"Status__c": "Requested"}, "held")


def test_a_write_back_of_one_rule_must_not_fire_another() -> None:
    with pytest.raises(BadMapping, match='rule "rule_1" would fire again'):
        check(REQUESTED, {"Status__c": "Sent"}, "sent", "status == 'Sent'")


def test_a_condition_that_asks_too_much_to_be_checked_is_refused() -> None:
    when = " || ".join(f"{name} == '{value}'" for name in list(NAMES)[1:] for value in "abcdef")
    with pytest.raises(BadMapping, match=r'rule "rule_0", when: asks about too many names'):
        check(when, {"Status__c": "Sent"})


@pytest.mark.parametrize("when", ["status == 'Requested'", "status != 'assigned'"])
def test_a_field_that_follows_a_chat_is_one_that_no_rule_asks_about(when: str) -> None:
    """A chat may get any status, at any time."""
    raw: dict[str, Any] = {
        "ticket": {"object": "Case", "id": "id"},
        "fields": NAMES,
        "phones": {"prefer": ["id"]},
        "rules": [{"name": "rule_0", "when": when, "once_per": list(NAMES), "message": "Hi"}],
        "write_back": {each: {"Elsewhere__c": "{{ why }}"} for each in OUTCOMES}
        | {"chat": {"status__c": "{{ chat.status }}"}},
    }
    with pytest.raises(BadMapping) as caught:
        loader.parse(raw, "a.toml")
    [(key, words, _)] = caught.value.faults
    assert key == "write_back.chat.status__c"
    assert 'rule "rule_0" could fire again' in words
