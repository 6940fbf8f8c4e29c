"""The mapping file's rules, applied to tickets."""

from collections.abc import Mapping as Values
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.mapping import loader
from connector.mapping.rules import Mapping
from connector.model import OUTCOMES, Decision, OutboundSms, Skip, State, TextRequest, Ticket
from connector.outcome import Outcome

TICKET_ID = "5006x00000XXxxxXXX"
RULE: dict[str, Any] = {
    "name": "requested",
    "when": "status == 'Requested'",
    "skip_when": {"the case is closed": "closed", "the case is a test": "kind == 'Test'"},
    "once_per": ["id", "asked_at"],
    "message": "Hi {{ first_name or 'there' }}",
    "agent_id": "agent",
    "agent_email": "email",
}
RAW: dict[str, Any] = {
    "ticket": {"object": "Case", "id": "id"},
    "fields": {
        "id": "Id",
        "status": "Status__c",
        "closed": "IsClosed",
        "kind": "Kind__c",
        "asked_at": "Asked__c",
        "first_name": "Contact.FirstName",
        "mobile": "Contact.MobilePhone",
        "web": "SuppliedPhone",
        "country": "Contact.MailingCountryCode",
        "agent": "Agent__c",
        "email": "Owner.Email",
    },
    "phones": {"prefer": ["mobile", "web"], "country": "US", "country_from": "country"},
    "rules": [RULE],
    "write_back": {
        state: {"Status__c": state.title(), "Error__c": "{{ why }}", "At__c": "{{ at }}"} for state in OUTCOMES
    },
}
VALUES: dict[str, Any] = {
    "id": TICKET_ID,
    "status": "Requested",
    "closed": False,
    "kind": None,
    "asked_at": "2026-03-01T10:00:00Z",
    "first_name": "Ada",
    "mobile": "(415) 555-2671",
    "web": "415-555-0100",
    "country": None,
    "agent": None,
    "email": None,
}


def mapping(rule: Values[str, Any] | None = None, *more: Values[str, Any], **top: Any) -> Mapping:
    file = loader.parse(RAW | {"rules": [{**RULE, **(rule or {})}, *more]} | top, "a.toml")
    return Mapping(file, "+16285550100", ["US", "GB"])


def decide(rule: Values[str, Any] | None = None, **values: Any) -> Decision | Skip:
    return mapping(rule).decide(Ticket("salesforce", TICKET_ID, VALUES | values))


def text(found: Decision | Skip) -> OutboundSms:
    assert isinstance(found, Decision), found
    return found.sms


def test_a_ticket_that_asks_for_it_becomes_a_text() -> None:
    found = decide()
    assert isinstance(found, Decision)
    assert found.rule == "requested"
    assert (found.sms.end_user_number, found.sms.message) == ("+14155552671", "Hi Ada")
    assert (found.sms.outbound_number, found.sms.ticket_id) == ("+16285550100", TICKET_ID)
    assert found.ticket_id == TICKET_ID
    assert (found.sms.agent_id, found.sms.agent_email) == (None, None)


def no_phone(why: str) -> Skip:
    return Skip(f"no usable phone: {why}", check="phone")


@pytest.mark.parametrize(
    ("values", "skip"),
    [
        pytest.param({"status": "Sent"}, Skip("no rule asks for a text", notify=False, check="rule"), id="no rule"),
        pytest.param(
            {"status": None}, Skip("no rule asks for a text", notify=False, check="rule"), id="no rule, empty"
        ),
        pytest.param({"closed": True}, Skip("the case is closed"), id="skip_when"),
        pytest.param({"closed": True, "kind": "Test"}, Skip("the case is closed"), id="the first skip_when"),
        pytest.param({"kind": "Test"}, Skip("the case is a test"), id="the second skip_when"),
        pytest.param({"closed": True, "mobile": None, "web": None}, Skip("the case is closed"), id="skip before phone"),
        pytest.param({"mobile": None, "web": ""}, no_phone("there is no phone number on the ticket"), id="no phone"),
        pytest.param(
            {"mobile": "call", "web": "1-800-356-9377"},
            no_phone("Contact.MobilePhone is not a phone number; SuppliedPhone is a toll-free number"),
            id="unusable phones by the CRM's names",
        ),
        pytest.param(
            {"mobile": "+49 151 23456789", "web": None},
            no_phone("Contact.MobilePhone is a number of DE; allowed: US, GB"),
            id="country not allowed",
        ),
    ],
)
def test_a_ticket_that_must_not_be_texted_is_skipped_with_the_reason(values: dict[str, Any], skip: Skip) -> None:
    assert decide(**values) == skip


def test_a_message_leaves_without_the_space_around_it() -> None:
    assert text(decide({"message": "\n  Hi {{ first_name }}\n"})).message == "Hi Ada"


@pytest.mark.parametrize(
    ("rule", "values", "words"),
    [
        pytest.param({"message": "Hi {{ first_name }}"}, {"first_name": None}, "first_name is empty", id="message"),
        pytest.param({"message": "{{ first_name | truncate(2) }}"}, {}, "", id="a filter's own check"),
        pytest.param({"skip_when": {"long": "length(kind) > `1` || closed"}}, {}, "invalid type", id="skip_when"),
        pytest.param({}, {"agent": "Ada"}, "agent_id: expected a whole number, found 'Ada'", id="agent_id"),
        pytest.param({}, {"agent": True}, "agent_id: expected a whole number", id="agent_id true"),
        pytest.param({}, {"agent": 7.5}, "agent_id: expected a whole number", id="agent_id with a fraction"),
        pytest.param({}, {"agent": "1e999999999"}, "agent_id: expected a whole number", id="agent_id beyond all"),
        pytest.param({}, {"agent": str(2**63)}, "agent_id: expected a whole number", id="agent_id too large"),
        pytest.param({}, {"agent": "Infinity"}, "agent_id: expected a whole number", id="agent_id infinite"),
        pytest.param({}, {"agent": float(2**53)}, "may have lost digits; use a text", id="agent_id as a large float"),
    ],
)
def test_a_rule_that_does_not_suit_the_ticket_is_skipped_with_its_name(
    rule: dict[str, Any], values: dict[str, Any], words: str
) -> None:
    found = decide(rule, **values)
    assert isinstance(found, Skip)
    assert (found.notify, found.check) == (True, "mapping")
    assert found.why.startswith("rule requested cannot be applied: ")
    assert words in found.why


@pytest.mark.parametrize(
    "when",
    [
        "contains(kind, 'URGENT')",
        "starts_with(kind, 'U')",
        "ends_with(kind, 'T')",
        "length(kind) > `3`",
        "join(', ', kind) == 'a'",
        "to_number(kind) > `1` && contains(kind, 'x')",
        "reverse(kind) == 'x'",
        "contains(kind, 'URGENT') && status == 'Requested'",
        "max(kind) > `1`",
        "sort(kind) == 'x'",
    ],
)
@pytest.mark.parametrize("kind", [None, 5, True])
def test_a_condition_that_a_value_does_not_suit_does_not_hold_and_the_next_decides(when: str, kind: object) -> None:
    first = RULE | {"name": "urgent", "when": when}
    both = mapping(first, RULE | {"name": "next"}).decide(Ticket("salesforce", TICKET_ID, VALUES | {"kind": kind}))
    assert isinstance(both, Decision)
    assert both.rule == "next"
    others = RULE | {"name": "others", "when": "status == 'Other'"}
    alone = mapping(first, others).decide(Ticket("salesforce", TICKET_ID, VALUES | {"kind": kind}))
    assert alone == Skip("no rule asks for a text", notify=False, check="rule"), "nothing is written to the ticket"


@pytest.mark.parametrize("name", ["first_name", "asked_at", "status", "closed", "kind", "agent", "email", "mobile"])
@pytest.mark.parametrize("value", ["\ud83d", "\x00", "😀", 1e300, -1, 0.5, True, "", {"a": [1]}, [None]])
def test_whatever_a_field_holds_there_is_a_decision_or_a_reason(name: str, value: Any) -> None:
    found = decide(**{name: value})
    words = found.why if isinstance(found, Skip) else found.sms.message
    assert "\x00" not in words, "no database keeps it"
    assert words.encode()


@given(st.dictionaries(st.sampled_from(sorted(VALUES)), st.none() | st.booleans() | st.integers() | st.text()))
def test_whatever_the_fields_hold_there_is_a_decision_or_a_reason(values: dict[str, Any]) -> None:
    found = decide(**values)
    assert isinstance(found, Skip) or found.sms.message.strip()


@pytest.mark.parametrize(
    ("first", "second", "which"),
    [
        pytest.param("status == 'Requested'", "status == 'Requested'", "requested", id="both: the first"),
        pytest.param("status == 'Other'", "status == 'Requested'", "second", id="only the second"),
    ],
)
def test_the_first_rule_that_holds_decides(first: str, second: str, which: str) -> None:
    both = mapping({"when": first}, RULE | {"name": "second", "when": second})
    found = both.decide(Ticket("salesforce", TICKET_ID, VALUES))
    assert isinstance(found, Decision)
    assert found.rule == which


def test_when_the_first_rule_skips_the_second_is_not_looked_at() -> None:
    both = mapping({"skip_when": {"no": "id"}}, RULE | {"name": "second"})
    assert both.decide(Ticket("salesforce", "x", VALUES)) == Skip("no")


@pytest.mark.parametrize(
    ("agent", "email", "expected"),
    [
        pytest.param(None, None, (None, None), id="neither"),
        pytest.param(7, None, (7, None), id="id"),
        pytest.param("7", "", (7, None), id="id as text"),
        pytest.param(7.0, "a@b.example", (7, "a@b.example"), id="id as the JSON of a number field, and email"),
        pytest.param(2**53 + 1, None, (2**53 + 1, None), id="id that is no float"),
        pytest.param(str(2**53 + 1), None, (2**53 + 1, None), id="the same as text"),
        pytest.param(f"{2**63 - 1}.0", None, (2**63 - 1, None), id="as text with a point"),
        pytest.param(float(2**53 - 1), None, (2**53 - 1, None), id="the largest exact float"),
    ],
)
def test_an_agent_may_be_named(agent: object, email: str | None, expected: tuple[int | None, str | None]) -> None:
    sms = text(decide(agent=agent, email=email))
    assert (sms.agent_id, sms.agent_email) == expected


@pytest.mark.parametrize(
    ("of_rule", "of_file", "expected"),
    [
        ("+16285550199", "+16285550198", "+16285550199"),
        (None, "+16285550198", "+16285550198"),
        ("+16285550199", None, "+16285550199"),
        (None, None, "+16285550100"),
    ],
    ids=["the rule's first", "then the file's", "the rule's alone", "then the setting"],
)
def test_the_outbound_number_is_the_nearest(of_rule: str | None, of_file: str | None, expected: str) -> None:
    found = mapping({"outbound_number": of_rule}, outbound_number=of_file).decide(Ticket("salesforce", "x", VALUES))
    assert text(found).outbound_number == expected


@pytest.mark.parametrize(
    ("country", "typed", "number"),
    [
        ("GB", "07400 123456", "+447400123456"),
        ("gb", "07400 123456", "+447400123456"),
        (None, "4155552671", "+14155552671"),
        ("", "4155552671", "+14155552671"),
    ],
)
def test_the_tickets_own_country_reads_numbers_without_a_plus(country: str | None, typed: str, number: str) -> None:
    assert text(decide(country=country, mobile=typed)).end_user_number == number


@pytest.mark.parametrize(
    ("values", "same"),
    [
        pytest.param({}, True, id="nothing else"),
        pytest.param({"first_name": "Eve", "mobile": "415-555-0100"}, True, id="fields beside once_per"),
        pytest.param({"asked_at": "2026-03-02T10:00:00Z"}, False, id="one of the fields"),
        pytest.param({"asked_at": None}, False, id="one of the fields is empty"),
        pytest.param({"id": "5006x00000XXxxxXXY"}, False, id="another ticket"),
        pytest.param({"id": "2026-03-01T10:00:00Z", "asked_at": TICKET_ID}, False, id="values that changed places"),
    ],
)
def test_texts_with_the_same_once_per_are_the_same_text(values: dict[str, Any], same: bool) -> None:
    first, second = decide(), decide(**values)
    assert isinstance(first, Decision)
    assert isinstance(second, Decision)
    assert (first.reason == second.reason) is same
    assert TICKET_ID not in first.reason


@pytest.mark.parametrize("pair", [("1", 1), (None, ""), (None, "null"), ("a", ["a"]), (True, 1)], ids=repr)
def test_values_that_only_look_alike_are_different_reasons(pair: tuple[object, object]) -> None:
    first, second = (decide(asked_at=value) for value in pair)
    assert isinstance(first, Decision)
    assert isinstance(second, Decision)
    assert first.reason != second.reason


def outcome(state: State, chat: dict[str, Any] | None = None) -> Outcome:
    at = datetime(2026, 3, 1, 10, 5, 6, 789, tzinfo=UTC)
    return Outcome(9, 1, "salesforce", TICKET_ID, state, "", "requested", chat, at)


@pytest.mark.parametrize("state", OUTCOMES)
def test_an_outcome_becomes_the_fields_of_its_state(state: State) -> None:
    assert mapping().write_back(outcome(state)) == {
        "Status__c": state.title(),
        "Error__c": None,
        "At__c": "2026-03-01T10:05:06Z",
    }


def test_the_chat_is_written_back() -> None:
    fields = {"Chat__c": "{{ chat.id }}/{{ chat.status }}/{{ text }}/{{ rule }}/{{ state }}", "Status__c": "Sent"}
    file = mapping(write_back=RAW["write_back"] | {"sent": fields})
    written = file.write_back(outcome(State.SENT, {"id": 114, "status": "selecting"}))
    assert written["Chat__c"] == "114/selecting/9/requested/sent"


def test_the_fields_that_follow_the_chat_are_written_with_the_outcome_in_words_for_people() -> None:
    file = mapping(
        write_back=RAW["write_back"] | {"chat": {"at__C": "{{ chat.status }}", "Chat__c": "{{ chat.id }}"}},
        chat_status={"selecting": "Waiting for an agent"},
    )
    waiting = outcome(State.SENT, {"id": 114, "status": "selecting"})
    other = outcome(State.SENT, {"id": 114, "status": "on_a_break"})

    assert file.chat_fields(waiting) == {"at__C": "Waiting for an agent", "Chat__c": "114"}
    assert file.chat_fields(other) == {"at__C": "on_a_break", "Chat__c": "114"}
    assert file.write_back(waiting) == {
        "Error__c": None,
        "Status__c": "Sent",
        "at__C": "Waiting for an agent",
        "Chat__c": "114",
    }
    assert file.chat_fields(outcome(State.FAILED)) is None
    assert "Chat__c" not in file.write_back(outcome(State.FAILED))
    assert mapping().chat_fields(waiting) is None


def test_whoever_asks_brings_a_rule_a_template_or_words_and_the_rules_condition_is_not_looked_at() -> None:
    other = RULE | {"name": "other", "message": "Other {{ kind or 'words' }}", "when": "kind == 'x'"}
    call = {"name": "call", "label": "Call us", "message": "Please call, {{ first_name }}"}
    file = mapping(None, other, templates=[call])
    ticket = Ticket("salesforce", TICKET_ID, VALUES | {"status": "New"})

    def message(text_request: TextRequest) -> str:
        return text(file.decide(ticket, text_request)).message

    assert file.decide(ticket) == Skip("no rule asks for a text", notify=False, check="rule")
    assert message(TextRequest()) == "Hi Ada"
    assert message(TextRequest(rule="other")) == "Other words"
    assert message(TextRequest(template="call")) == "Please call, Ada"
    assert message(TextRequest(message="  As it is: {{ first_name }}\n")) == "As it is: {{ first_name }}"
    assert file.decide(ticket, TextRequest(rule="none")) == Skip("there is no rule none", check="rule")
    assert file.decide(ticket, TextRequest(template="none")) == Skip(
        "rule requested cannot be applied: there is no template none", check="mapping"
    )
    assert file.decide(ticket, TextRequest(message="\0")) == Skip(
        "the message holds a character that no text can carry", check="content"
    )
    closed = Ticket("salesforce", TICKET_ID, VALUES | {"closed": True})
    assert file.decide(closed, TextRequest()) == Skip("the case is closed")


@pytest.mark.parametrize(
    ("replies", "text_request", "agent"),
    [
        (True, TextRequest(agent_email="ana@acme.example", agent_id=7), (7, "ana@acme.example")),
        (True, TextRequest(agent_name="Ana"), (12, "owner@acme.example")),
        (False, TextRequest(agent_email="ana@acme.example"), (12, "owner@acme.example")),
    ],
)
def test_the_chat_is_assigned_to_who_asked_where_the_mapping_says_so(
    replies: bool, text_request: TextRequest, agent: tuple[int, str]
) -> None:
    file = mapping(agents={"replies_to_agent": replies})
    values = VALUES | {"agent": "12", "email": "owner@acme.example"}
    sms = text(file.decide(Ticket("salesforce", TICKET_ID, values), text_request))
    assert (sms.agent_id, sms.agent_email) == agent
