"""The whole way, for real: the sandbox's Salesforce, HTTP, PostgreSQL, two processes, the sandbox's CCAI Platform."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from connector.ccaip.responses import REFUSALS
from connector.errors import RefusalScope
from connector.store import circuit_breaker
from tests.support.pipe import Pipe, outbound_message, wait_for


def texted(pipe: Pipe, case: str) -> list[int]:
    """The ids of the chats that CCAI Platform has opened for this case: it is the witness."""
    return [text.chat_id for text in pipe.box.ccaip.texts if text.ticket_id == case]


def test_a_requested_case_is_texted_and_learns_its_chat(pipe: Pipe, case: str) -> None:
    pipe.box.salesforce.request_text(case)
    [text] = pipe.told(case)
    [chat] = texted(pipe, case)
    after = pipe.box.salesforce.case(case)
    assert text["state"] == "sent"
    assert after["CCAIP_SMS_Status__c"] == "Sent"
    assert after["CCAIP_Chat_Id__c"] == str(chat)
    assert after["CCAIP_Chat_Status__c"] == "selecting"
    assert after["CCAIP_SMS_Error__c"] is None
    steps = pipe.query("select from_state, to_state from history where text = %s order by at", text["id"])
    assert [(step["from_state"], step["to_state"]) for step in steps] == [
        ("received", "queued"),
        ("queued", "sending"),
        ("sending", "sent"),
    ]


def test_the_write_back_does_not_re_own_the_case_and_says_whose_it_is(pipe: Pipe, case: str) -> None:
    owner = pipe.box.salesforce.case(case)["OwnerId"]
    pipe.box.salesforce.tokens.expire()
    pipe.box.salesforce.request_text(case)
    pipe.told(case)
    assert pipe.box.salesforce.case(case)["OwnerId"] == owner
    writes = [call for call in pipe.box.salesforce.calls if call.route == "update_many"]
    assert writes
    for call in writes:
        assert call.headers["sforce-auto-assign"] == "FALSE"
        assert call.headers["sforce-call-options"] == "client=ccai-sms-connector"


SETTINGS = [words for words, (scope, _) in REFUSALS.items() if scope is RefusalScope.SETTINGS]


@pytest.mark.parametrize("words", sorted(REFUSALS.keys() - SETTINGS), ids=lambda words: words.replace(" ", "-"))
def test_a_documented_refusal_of_this_text_fails_it_with_its_words_on_the_case(
    pipe: Pipe, case: str, words: str
) -> None:
    pipe.box.faults.add("status", side="ccaip", status=400, body={"message": words})
    pipe.box.salesforce.request_text(case)
    [text] = pipe.told(case)
    after = pipe.box.salesforce.case(case)
    assert (text["state"], after["CCAIP_SMS_Status__c"]) == ("failed", "Failed")
    assert after["CCAIP_SMS_Error__c"] == words
    assert texted(pipe, case) == []


@pytest.mark.parametrize("words", SETTINGS, ids=lambda words: words.replace(" ", "-"))
def test_a_documented_refusal_of_the_settings_stops_texting_and_the_text_leaves_when_it_goes_on(
    pipe: Pipe, case: str, words: str
) -> None:
    pipe.box.faults.add("status", side="ccaip", status=400, body={"message": words})
    pipe.box.salesforce.request_text(case)
    wait_for(lambda: pipe.query("select from sending_state where tripped_why = %s", words), "sending is paused")
    [text] = wait_for(
        lambda: [text for text in pipe.texts(case) if text["state"] == "queued"], "the text is queued again"
    )
    assert (text["attempts"], text["outcome"]) == (0, 0)
    assert pipe.box.salesforce.case(case)["CCAIP_SMS_Status__c"] == "Requested"
    with psycopg.connect(pipe.url, autocommit=True) as connection:
        assert circuit_breaker.resume(connection)
    [text] = pipe.told(case)
    assert text["state"] == "sent"
    assert len(texted(pipe, case)) == 1


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"kind": "drop_after"}, "no answer from CCAI Platform (RemoteProtocolError)"),
        ({"kind": "malformed"}, "CCAI Platform answered 200 without a chat id"),
        ({"kind": "status", "status": 502}, "CCAI Platform answered 502"),
    ],
    ids=["dropped after acting", "malformed", "502"],
)
def test_an_unknown_outcome_stays_unknown_and_is_not_sent_again(
    pipe: Pipe, case: str, fault: dict[str, Any], words: str
) -> None:
    pipe.box.faults.add(side="ccaip", **fault)
    pipe.box.salesforce.request_text(case)
    [text] = pipe.told(case)
    after = pipe.box.salesforce.case(case)
    assert (text["state"], after["CCAIP_SMS_Status__c"], after["CCAIP_SMS_Error__c"]) == ("unknown", "Unknown", words)
    assert pipe.event(case).status_code == 202
    pipe.told(case, texts=2)
    assert len(texted(pipe, case)) <= 1


def test_too_many_requests_is_tried_again_until_it_is_sent(pipe: Pipe, case: str) -> None:
    pipe.box.faults.add("status", side="ccaip", status=429, body={"message": "slow down"}, headers={"Retry-After": "1"})
    pipe.box.salesforce.request_text(case)
    [text] = pipe.told(case)
    assert (text["state"], text["attempts"]) == ("sent", 0), "a pause is no text's fault"
    assert len(texted(pipe, case)) == 1


def test_the_same_outbound_message_ten_times_at_once_is_one_text(pipe: Pipe, case: str) -> None:
    before = len(pipe.texts(case))
    pipe.box.salesforce.messages.configure({"paused": True})
    pipe.box.salesforce.request_text(case)
    body = outbound_message(pipe.box, case, "04l000000000777AAA")
    with ThreadPoolExecutor(10) as threads:
        answers = list(threads.map(pipe.outbound_message, [body] * 10))
    pipe.box.salesforce.messages.configure({"paused": False})
    assert {(answer.status_code, b"<Ack>true</Ack>" in answer.content) for answer in answers} == {(200, True)}
    rows = pipe.told(case, before + 1)
    assert [row["state"] for row in rows].count("sent") == 1
    assert len(texted(pipe, case)) == 1
    assert len(pipe.query("select from events where event_id = '04l000000000777AAA'")) == 1


def test_two_messages_for_the_same_reason_are_one_text_and_the_case_keeps_its_chat(pipe: Pipe, case: str) -> None:
    pipe.box.salesforce.messages.configure({"every_change_twice": True})
    pipe.box.salesforce.request_text(case)
    pipe.box.salesforce.messages.configure({"every_change_twice": False})
    rows = pipe.told(case, texts=2)
    assert sorted(row["state"] for row in rows) == ["sent", "skipped"]
    [chat] = texted(pipe, case)
    assert pipe.box.salesforce.case(case)["CCAIP_Chat_Id__c"] == str(chat)


def test_a_hundred_notifications_are_a_hundred_texts_and_four_calls_of_salesforce(pipe: Pipe) -> None:
    cases = pipe.box.salesforce.make_cases(100)
    pipe.box.salesforce.messages.configure({"paused": True})
    for case in cases:
        pipe.box.salesforce.request_text(case)
    pipe.box.salesforce.calls.clear()
    pipe.box.salesforce.messages.configure({"paused": False})
    wait_for(
        lambda: all(pipe.box.salesforce.case(case)["CCAIP_Chat_Id__c"] for case in cases), "all hundred have their chat"
    )
    assert all(len(texted(pipe, case)) == 1 for case in cases)
    routes = [call.route for call in pipe.box.salesforce.calls]
    assert 1 <= routes.count("query") <= 2
    assert 1 <= routes.count("update_many") <= 2
    assert set(routes) == {"query", "update_many"}


def test_a_case_without_a_usable_phone_is_skipped_and_told_why(pipe: Pipe) -> None:
    [case] = pipe.box.salesforce.make_cases(1, contact={"MobilePhone": "1-800-356-9377", "Phone": "12"})
    pipe.box.salesforce.request_text(case)
    [text] = pipe.told(case)
    after = pipe.box.salesforce.case(case)
    assert (text["state"], after["CCAIP_SMS_Status__c"]) == ("skipped", "Skipped")
    assert after["CCAIP_SMS_Error__c"] == (
        "no usable phone: Contact.MobilePhone is a toll-free number; Contact.Phone is not a valid number"
    )


def test_a_change_of_our_own_user_is_skipped_and_the_case_left_alone(pipe: Pipe, case: str) -> None:
    before = pipe.box.salesforce.case(case)
    pipe.event(case, changed_by=pipe.box.salesforce.own_user_id)
    [text] = pipe.told(case)
    assert (text["state"], text["why"], text["outcome"]) == ("skipped", "the change was the connector's own", 0)
    assert pipe.box.salesforce.case(case) == before


def test_a_locked_row_is_written_later_and_sends_no_second_text(pipe: Pipe, case: str) -> None:
    pipe.box.faults.add("lock_row", side="salesforce", record_id=case, times=2)
    pipe.box.salesforce.request_text(case)
    pipe.told(case)
    assert len(texted(pipe, case)) == 1
    assert pipe.box.salesforce.case(case)["CCAIP_SMS_Status__c"] == "Sent"


def test_a_redelivered_event_answers_the_same_text(pipe: Pipe, case: str) -> None:
    first, again = pipe.event(case, event_id=f"e-{case}"), pipe.event(case, event_id=f"e-{case}")
    assert (first.status_code, again.status_code) == (202, 202)
    [one], [two] = first.json()["texts"], again.json()["texts"]
    assert (one["text"], one["event_id"]) == (two["text"], two["event_id"])
    assert (one["duplicate"], two["duplicate"]) == (False, True)
