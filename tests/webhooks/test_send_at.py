"""Texts for a later time: held until then, cancelled until then, and still one text for one wish."""

import secrets
from datetime import UTC, datetime, timedelta, timezone

import pytest
from psycopg_pool import ConnectionPool

from connector.model import TextRequest
from connector.policy.findings import Said
from connector.preview import Previews
from tests.support.agent import Agent, texts_to
from tests.support.pipe import Pipe, wait_for
from tests.support.remote import Tickets, as_crm
from tests.unit.test_mapping_rules import TICKET_ID, VALUES, mapping

IN_TWO_DAYS = datetime.now(UTC).replace(microsecond=0) + timedelta(days=2)


def soon(seconds: float = 2) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


def test_a_scheduled_text_leaves_at_its_time_and_the_ticket_is_told(pipe: Pipe, case: str) -> None:
    at = soon()
    answer = pipe.send(case, wait=0, message="Later", send_at=at)
    text = answer.json()
    assert (answer.status_code, text["state"], text["cancellable"]) == (202, "received", True)
    assert text["leaves_at"] == text["send_at"] == f"{at[:19]}Z"
    assert text["said"] == f"It is scheduled for {at[:16].replace('T', ' ')} UTC."
    assert texts_to(pipe, case) == []
    [row] = pipe.told(case)
    assert row["state"] == "sent"
    [sent] = pipe.query("select at from history where text = %s and to_state = 'sending'", row["id"])
    assert sent["at"] >= datetime.fromisoformat(at)
    assert texts_to(pipe, case) == ["Later"]


def test_a_scheduled_text_can_be_cancelled(pipe: Pipe, case: str) -> None:
    text = pipe.send(case, wait=0, send_at=IN_TWO_DAYS.isoformat()).json()
    assert pipe.api("DELETE", f"/texts/{text['id']}").json()["state"] == "cancelled"
    [row] = pipe.told(case)
    assert row["state"] == "cancelled"
    assert texts_to(pipe, case) == []
    assert pipe.box.salesforce.case(case)["CCAIP_SMS_Status__c"] == "Skipped"


@pytest.mark.parametrize(
    ("at", "words"),
    [
        ("2026-11-27T09:30:00", "expected a time with its offset"),
        ("next week", "expected a time with its offset"),
        ("2020-01-01T09:30:00Z", "expected a time that is still to come"),
        ("2199-01-01T09:30:00Z", "expected a time within the next 30 days"),
    ],
)
def test_a_time_that_cannot_be_kept_is_refused_and_the_key_stays_free(
    pipe: Pipe, case: str, at: str, words: str
) -> None:
    key = secrets.token_hex(8)
    for answer in (
        pipe.send(case, key, wait=0, send_at=at),
        pipe.api("POST", "/texts/preview", json={"ticket_id": case, "send_at": at}),
    ):
        assert answer.status_code == 422
        assert words in answer.json()["detail"]
    assert pipe.texts(case) == []
    assert pipe.send(case, key).json()["state"] == "sent"


def test_the_key_stands_for_the_time_too_and_a_repetition_is_answered_after_it(pipe: Pipe, case: str) -> None:
    key, at = secrets.token_hex(8), datetime.now(UTC) + timedelta(seconds=1)
    first = pipe.send(case, key, wait=0, send_at=at.isoformat()).json()
    elsewhere = at.astimezone(timezone(timedelta(hours=-5)))
    assert pipe.send(case, key, wait=0, send_at=elsewhere.isoformat()).json()["id"] == first["id"]
    assert pipe.send(case, key, wait=0, send_at=soon(600)).status_code == 422
    pipe.told(case)
    again = pipe.send(case, key, wait=0, send_at=at.isoformat()).json()
    assert (again["id"], again["state"], again["duplicate"]) == (first["id"], "sent", True)


def test_a_second_wish_of_the_same_page_is_the_scheduled_text_and_a_preview_names_it(pipe: Pipe, case: str) -> None:
    first = pipe.send(case, wait=0, after=0, send_at=IN_TWO_DAYS.isoformat()).json()
    second = pipe.send(case, wait=0, after=0).json()
    assert (second["id"], second["duplicate"]) == (first["id"], True)
    seen = pipe.api("POST", "/texts/preview", json={"ticket_id": case}).json()
    why = f"text {first['id']} about this ticket is scheduled for {IN_TWO_DAYS:%Y-%m-%d %H:%M} UTC"
    assert [one["why"] for one in seen["findings"] if one["check"] == "scheduled"] == [why]
    assert seen["allowed"]
    pipe.api("DELETE", f"/texts/{first['id']}")


def test_a_scheduled_text_keeps_no_other_outcome_from_the_ticket(pipe: Pipe, case: str) -> None:
    first = pipe.send(case, wait=0, send_at=IN_TWO_DAYS.isoformat()).json()
    second = pipe.send(case, message="See https://bit.ly/x").json()
    assert second["state"] == "skipped"

    def told() -> bool:
        return bool(pipe.api("GET", f"/texts/{second['id']}").json()["ticket_notified"])

    wait_for(told, "the ticket knows of the text that was skipped")
    assert pipe.box.salesforce.case(case)["CCAIP_SMS_Status__c"] == "Skipped"
    pipe.api("DELETE", f"/texts/{first['id']}")


def test_a_preview_makes_every_check_as_of_the_time(pool: ConnectionPool) -> None:
    now = datetime(2026, 6, 2, 16, 0, tzinfo=UTC)
    previews = Previews({"salesforce": (as_crm(Tickets(VALUES)), mapping())}, clock=lambda _: now)

    def hours(at: datetime | None) -> Said:
        request = TextRequest(message="Hi", send_at=at.isoformat() if at else None)
        found = previews.preview(pool.connection, "salesforce", TICKET_ID, request)
        return next(one.said for one in found.findings if one.check == "hours")

    assert hours(None) is Said.OK
    assert hours(now + timedelta(hours=12)) is Said.STOP
    assert hours(now + timedelta(hours=24)) is Said.OK


# The page


def test_an_agent_schedules_a_text_sees_it_and_cancels_it(pipe: Pipe, case: str, agent: Agent) -> None:
    page = agent.open(case)
    assert "Date and time in the zone America/New_York." in page.words
    day = IN_TWO_DAYS.date().isoformat()
    seen = agent.submit(page, "preview", send_on=day, send_time="12:00", message="Later")
    assert "It is sent at" in seen.words
    watched = agent.submit(seen)
    assert "It is scheduled for" in watched.words
    assert "Waiting for its time" in watched.words
    again = agent.submit(seen)
    assert "Nothing was sent twice" in again.words
    other = agent.open(case)
    assert "about this ticket is scheduled for" in other.words
    assert "Later" in other.root.xpath("string(//*[@id='texts'])")
    [row] = pipe.texts(case)
    token = {"token": other.value("token")}
    path = f"{str(other.answer.url).partition('?')[0]}/texts/{row['id']}/cancel"
    cancelled = agent.client.post(path, data=token)
    assert "Not sent: cancelled by" in cancelled.text
    pipe.told(case)
    assert texts_to(pipe, case) == []


@pytest.mark.parametrize(
    ("day", "time", "words"),
    [
        ("2020-01-01", "12:00", "Expected a time that is still to come."),
        ("2199-01-01", "12:00", "Expected a time within the next 30 days."),
        ("2020-11-01", "01:30", "01:30 comes twice on 2020-11-01 in America/New_York"),
        ("", "12:00", "Expected a date and a time of day."),
    ],
)
def test_a_time_that_cannot_be_kept_is_shown_at_its_field(
    pipe: Pipe, case: str, agent: Agent, day: str, time: str, words: str
) -> None:
    page = agent.submit(agent.open(case), send_on=day, send_time=time, message="Mine")
    assert page.status == 422
    assert words in page.root.xpath("string(//*[@id='later-problem'])")
    assert (page.value("message"), page.value("send_on"), page.value("send_time")) == ("Mine", day, time)
    assert pipe.texts(case) == []
