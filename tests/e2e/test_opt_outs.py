"""An opt-out by text from outside: what the customer gets, what the case and the contact say, what agents see."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from connector.store import opt_outs
from connector.store.opt_outs import Heard
from tests.fixtures import salesforce
from tests.support.pipe import Pipe, wait_for

NOON = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
WISH = "please take me off your list, will you"


@pytest.fixture
def connection(pipe: Pipe) -> Iterator[psycopg.Connection]:
    with psycopg.connect(pipe.url, autocommit=True) as connection:
        yield connection


def texted(pipe: Pipe, case: str) -> str:
    """The id of the chat of a first text. Its session has ended, so that the customer can get another text."""
    pipe.box.salesforce.request_text(case)
    [text] = pipe.told(case)
    pipe.box.ccaip.end_chat(text["chat"]["id"])
    return str(text["chat"]["id"])


def texts_to(pipe: Pipe, case: str) -> int:
    """How many texts the customer of this case has."""
    return sum(text.ticket_id == case for text in pipe.box.ccaip.texts)


def test_a_customer_who_replies_stop_gets_no_more_until_start(
    pipe: Pipe, case: str, connection: psycopg.Connection
) -> None:
    chat = texted(pipe, case)

    assert opt_outs.heard(connection, chat, "STOP", NOON) is Heard.OPTED_OUT
    wait_for(lambda: salesforce.opted_out(pipe.box, case), "the contact says that the customer opted out")
    refused = pipe.send(case, override="urgent", overrides=["opt_out"]).json()
    pipe.told(case, 2)

    assert texts_to(pipe, case) == 1
    why = "the customer replied STOP on 2026-11-26 12:00 UTC"
    assert refused["said"] == f"Not sent: {why}."
    assert pipe.box.salesforce.case(case)["CCAIP_SMS_Error__c"] == why

    assert opt_outs.heard(connection, chat, "START", NOON + timedelta(hours=1)) is Heard.OPTED_IN
    wait_for(lambda: not salesforce.opted_out(pipe.box, case), "the contact may be texted again")
    pipe.box.salesforce.request_text(case)
    pipe.told(case, 3)

    assert texts_to(pipe, case) == 2


@pytest.mark.parametrize("opt_out", [True, False])
def test_a_wish_blocks_agents_and_holds_triggers_until_a_person_decides(
    pipe: Pipe, case: str, connection: psycopg.Connection, opt_out: bool
) -> None:
    assert opt_outs.heard(connection, texted(pipe, case), WISH, NOON) is Heard.REVIEW
    review = next(one for one in opt_outs.reviews(connection, 100) if one.ticket_id == case)

    preview = pipe.api("POST", "/texts/preview", json={"ticket_id": case}).json()
    pipe.box.salesforce.request_text(case)
    held = wait_for(
        lambda: [one for one in pipe.texts(case) if one["state"] == "queued" and one["why"]], "the text is held"
    )

    words = f"the customer may have opted out on 2026-11-26 12:00 UTC; a person has to decide review {review.id}"
    assert (preview["allowed"], preview["overridable"]) == (False, False)
    assert words in [one["why"] for one in preview["findings"]]
    assert held[0]["why"] == words

    assert opt_outs.decide(connection, review.id, opt_out, "read it", "a test")
    pipe.told(case, len(pipe.texts(case)))

    assert texts_to(pipe, case) == (1 if opt_out else 2)
    said = pipe.box.salesforce.case(case)["CCAIP_SMS_Error__c"]
    assert ("as a person decided" in (said or "")) is opt_out
    logs = "".join(path.read_text() for path in pipe.logs.glob("*.log"))
    assert WISH not in logs


def test_an_opt_out_cancels_a_scheduled_text_for_another_case_at_once(
    pipe: Pipe, case: str, connection: psycopg.Connection
) -> None:
    """The text's number is found soon after it was asked for, and not only when its time comes."""
    chat = texted(pipe, case)
    [other] = pipe.box.salesforce.make_cases(1)
    pipe.box.salesforce.edit(other, {"ContactId": pipe.box.salesforce.case(case)["ContactId"]})
    in_two_days = (datetime.now(UTC) + timedelta(days=2)).isoformat()
    scheduled = pipe.send(other, wait=0, send_at=in_two_days).json()
    wait_for(lambda: pipe.texts(other)[0]["number"], "its number is known")
    assert pipe.texts(other)[0]["state"] == "received"

    opt_outs.heard(connection, chat, "STOP", NOON)

    [told] = pipe.told(other)
    assert (told["id"], told["state"]) == (scheduled["id"], "cancelled")
    assert pipe.box.salesforce.case(other)["CCAIP_SMS_Error__c"] == "the customer replied STOP on 2026-11-26 12:00 UTC"
