"""What a case shows while its text waits, seen from outside: a worker, the sandbox, and an operator's pause."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from connector.store import pauses
from connector.store.pauses import Scope
from tests.support.pipe import Pipe, wait_for

RULE = "requested"
WHY = "sending for the rule requested is paused by Ana: wrong words"


@pytest.fixture
def paused(pipe: Pipe) -> Iterator[psycopg.Connection]:
    with psycopg.connect(pipe.url, autocommit=True) as connection:
        pauses.pause(connection, Scope.RULE, RULE, "wrong words", "Ana")
        yield connection
        pauses.resume(connection, Scope.RULE, RULE)


def shown(pipe: Pipe, case: str) -> tuple[str | None, str | None]:
    record = pipe.box.salesforce.case(case)
    return record["CCAIP_SMS_Status__c"], record["CCAIP_SMS_Error__c"]


def test_the_case_says_that_its_text_waits_and_then_what_came_of_it(
    pipe: Pipe, case: str, paused: psycopg.Connection
) -> None:
    """The rule's own field is changed by the note; the text is sent nevertheless, once."""
    pipe.box.salesforce.edit(case, {"CCAIP_SMS_Status__c": "Requested"})
    pipe.event(case)

    wait_for(lambda: shown(pipe, case)[0] == "Waiting", "the case says that its text waits")

    assert shown(pipe, case) == ("Waiting", WHY)
    [text, *others] = [row for row in pipe.texts(case) if row["state"] == "queued"]
    assert not others

    def noted() -> dict[str, Any]:
        [row] = pipe.query("select held_begun, held_version, held_written from texts where id = %s", text["id"])
        return row

    wait_for(lambda: noted()["held_begun"] is None, "the note has ended")
    assert noted()["held_version"] == noted()["held_written"] == 1
    pauses.resume(paused, Scope.RULE, RULE)
    wait_for(lambda: shown(pipe, case)[0] == "Sent", "the text was sent")
    assert shown(pipe, case) == ("Sent", None)
    assert sum(one.ticket_id == case for one in pipe.box.ccaip.texts) == 1
    assert [row["state"] for row in pipe.texts(case) if row["id"] == text["id"]] == ["sent"]


def test_a_text_that_is_cancelled_while_it_waits_replaces_the_note(
    pipe: Pipe, case: str, paused: psycopg.Connection
) -> None:
    pipe.box.salesforce.edit(case, {"CCAIP_SMS_Status__c": "Requested"})
    pipe.event(case)
    wait_for(lambda: shown(pipe, case)[0] == "Waiting", "the case says that its text waits")
    [text] = [row["id"] for row in pipe.texts(case) if row["state"] == "queued"]
    assert pipe.api("DELETE", f"/texts/{text}").status_code < 300
    wait_for(lambda: shown(pipe, case)[0] == "Skipped", "the case says that there is no text")
