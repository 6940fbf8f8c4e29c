"""What the pages of the console show, made without a worker: texts of every state, and all that people decide about."""

import contextlib
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
from playwright.sync_api import Page, expect

from connector import supervisor, transitions
from connector.backfill import plans
from connector.backfill.plans import PlanState, Row
from connector.cli import demo
from connector.crms import Query
from connector.errors import RefusalCode
from connector.model import Chat, Decision, OutboundSms, Skip, State, TextRequest, TicketEvent
from connector.outcome import Hold
from connector.sandbox import Sandbox
from connector.store import (
    agent_requests,
    api_keys,
    audit,
    bulk_actions,
    chat_events,
    circuit_breaker,
    events,
    leases,
    opt_outs,
    outcomes,
    pauses,
    suppressions,
    text_search,
    texts,
)
from connector.store.agent_requests import SendRequest
from connector.store.api_keys import Right
from connector.store.audit import Action, Actor, Source
from connector.store.bulk_actions import BulkKind, BulkRequest
from connector.store.chat_events import NewChatEvent
from connector.store.pauses import Scope
from tests.support import evidence
from tests.support.pipe import free_port, wait_for
from tests.support.remote import queued, started

ADA = Actor("key:ada.lovelace-of-the-support-team@example.com", Source.CONSOLE, "2001:db8:85a3::8a2e:370:7334")
# Refused by a check, with an opt-out of a word and one by the ticket.
TRACE = [
    {"check": "phone", "said": "ok", "why": "+1415…0132 is a US number"},
    {"check": "content", "said": "warn", "why": "the message has a shortened link, bit.ly/abc: carriers may drop it"},
    {"check": "hours", "said": "hold", "why": "quiet hours of the customer, 21:00 to 08:00", "until": "08:00"},
]
REPORT = {
    "cases": 1250,
    "texts": 1180,
    "segments": 2360,
    "seconds": 94,
    "calls": 9,
    "held": 40,
    "twice": 1,
    "daily_budget": None,
    "skipped": [{"why": "the number cannot be texted", "cases": 70, "examples": ["500000000000001AAA"]}],
    "first": [{"to": "••••••••32", "message": "Hi Ada, there is news on your case 00001026. Reply to reach us."}],
}


@dataclass(frozen=True)
class Shown:
    """A console with data, and no worker. `found`: pages whose addresses depend on the data."""

    address: str
    key: str
    found: list[str]


@contextlib.contextmanager
def shown(url: str, logs: Path) -> Iterator[Shown]:
    """Fill this database, whose schema is current, and run a web process on it."""
    port = free_port()
    with Sandbox(port=0, requests_per_second=0).running() as box:
        with psycopg.connect(url, autocommit=True) as connection:
            fill(connection, box.salesforce.make_cases(14))
            past(connection)
            key = api_keys.add(connection, "walrus", list(Right), 100_000)
            made = [plan for (plan,) in connection.execute("select id from plans order by made_at")]
            [(person,)] = connection.execute("select number from texts where id = 1").fetchall()
        assert key
        with supervisor.children(["serve"], demo.environment(box, url, port, secrets.token_hex(24)), logs):
            wait_for(lambda: supervisor.answers("127.0.0.1", port), "the web process is ready")
            pages = [f"back-fills/{plan}" for plan in made] + [f"person?of={person}"]
            yield Shown(f"http://127.0.0.1:{port}/console", key, pages)


def sign_in(page: Page, to: Shown) -> None:
    """Sign in with the key; the overview is shown."""
    page.goto(f"{to.address}/sign-in")
    page.get_by_label("API key").fill(to.key)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Overview")


def fill(connection: psycopg.Connection, cases: list[str]) -> None:
    """Fill an empty database. Takes the ids of 14 tickets. One worker has just been heard of."""
    _sent(connection, cases)
    _unknown(connection, cases)
    _not_sent(connection, cases)
    _waiting(connection, cases)
    _opt_outs(connection)
    _backfills(connection, cases)
    _bulk_actions(connection)
    pauses.pause(connection, Scope.RULE, "requested", "its words are wrong since the last change", ADA.who)
    until = datetime.now(UTC) + timedelta(hours=2)
    pauses.pause(connection, Scope.CHANNEL, "batch", "the CRM is being updated", "maya", until)
    circuit_breaker.pause(connection, "salesforce", "it answered 503 three times", 3600)
    leases.alive(connection, "host:1")


def past(connection: psycopg.Connection) -> None:
    """Add the outcomes of a busy day to the counts."""
    connection.execute(
        """insert into roll_ups (period, step, channel, rule, code, bucket, texts)
           select date_bin('1 hour', now(), timestamptz 'epoch') - hour * interval '1 hour', step,
                  case when hour % 3 = 0 then 'agent' else 'trigger' end, 'requested', code, bucket,
                  (share * (60 + 45 * sin(hour / 3.8) + 11 * (hour % 4)))::int
           from generate_series(1, 23) hour
           cross join (values ('sent', '', 2, 1.0), ('sent', '', 10, 0.2), ('written', '', 5, 1.2),
                              ('skipped', '', 1, 0.15), ('failed', 'non_us_number', 5, 0.05),
                              ('failed', 'customer_busy', 60, 0.03), ('cancelled', '', 60, 0.02))
               as steps (step, code, bucket, share)"""
    )


def _sent(connection: psycopg.Connection, cases: list[str]) -> None:
    """A text that waits for its write-back, which the CRM refuses; its repetition; one by an agent, written back."""
    text = evidence.sent(connection, "a03XX0000012345YAA", cases[0], 114)
    outcomes.retry_later(connection, {text: (3600, "FIELD_CUSTOM_VALIDATION_EXCEPTION: the case is closed")})
    evidence.repeated(connection, text, "again", cases[0])
    chat_events.save(connection, [_event(114, "chat_started", 20), _event(114, "chat_ended", 40)])
    request = TextRequest(
        message="Your parcel is here", agent_name="Ada Agent of a long name", override="the customer asked for it"
    )
    receipt = agent_requests.take_in(connection, SendRequest("salesforce", cases[1], request, "page", "click"))
    sms = OutboundSms("+14155550177", evidence.OUTBOUND, "Your parcel is here: " + "x" * 180, cases[1])
    queued(connection, {receipt.text: Decision("requested", "agent", sms)})
    claim = started(connection, receipt.text)[receipt.text]
    texts.move(connection, [transitions.sent(receipt.text, claim, Chat(id=9001, status="assigned"))])
    outcomes.record(connection, [outcomes.WriteResult(receipt.text, 1)])


def _unknown(connection: psycopg.Connection, cases: list[str]) -> None:
    """An unknown text with each kind of evidence, and one that is to be tried once more."""
    evidence.unknown(connection, "lost", cases[2])
    chat_events.save(connection, [_event(115, "chat_started", -1), _event(115, "message_received", -2)])
    busy = evidence.waiting(connection, "busy", cases[3], evidence.OTHER)
    claim = started(connection, busy)[busy]
    texts.move(connection, [transitions.again(busy, claim, "the customer is busy", 60, busy=True)])
    evidence.unknown(connection, "lost too", cases[3], evidence.OTHER)


def _not_sent(connection: psycopg.Connection, cases: list[str]) -> None:
    failed = evidence.waiting(connection, "failed", cases[4], "+14155550144")
    claim = started(connection, failed)[failed]
    why = "CCAI Platform refuses the number: non-US numbers cannot be texted from this number"
    texts.move(connection, [transitions.refused(failed, claim, why, code=RefusalCode.NON_US_NUMBER)])
    ids = _received(connection, "skipped", cases[5]), _received(connection, "cancelled", cases[5])
    texts.move(connection, [transitions.skipped(ids[0], Skip("the customer opted out"), TRACE)])
    texts.move(connection, [transitions.cancelled(ids[1], "cancelled by an operator")])


def _waiting(connection: psycopg.Connection, cases: list[str]) -> None:
    """Texts that are held, queued, being sent, scheduled, and received."""
    held = _received(connection, "held", cases[6])
    texts.move(connection, [transitions.held(held, "quiet hours until 08:00", 7200, TRACE, number="+14155550155")])
    hold = Hold("sending is paused", "")
    paused = _received(connection, "paused", cases[7])
    revision = texts.load(connection, [paused])[paused].revision
    texts.move(connection, [transitions.paused(paused, revision, hold, None, "+14155550156")])
    evidence.waiting(connection, "queued", cases[8], "+14155550157")
    started(connection, evidence.waiting(connection, "sending", cases[9], "+14155550158"), good_for=3600)
    send_at = (datetime.now(UTC) + timedelta(days=2)).isoformat(timespec="seconds")
    for case in cases[10:13]:
        request = TextRequest(message="Hello", agent_name="Walrus Agent", send_at=send_at)
        agent_requests.take_in(connection, SendRequest("salesforce", case, request, "page", case))
    _received(connection, "received", cases[13])


def _opt_outs(connection: psycopg.Connection) -> None:
    """A message to decide, a word for CCAI Platform's list, and an entry by a person."""
    now = datetime.now(UTC)
    opt_outs.heard(connection, "114", "please don't text me any more, I have asked twice already", now)
    opt_outs.heard(connection, "700", "opt out", now, number="+14155550166")
    suppressions.suppress(connection, "+14155550167", "asked for it on the telephone", ADA.who)


def _backfills(connection: psycopg.Connection, cases: list[str]) -> None:
    """A plan to run, one that waits after its canary, and one that was paused."""
    where = "Status = 'New' and Priority in ('High', 'Critical') and Product__c like 'Walrus%'"
    for state in (PlanState.PLANNED, PlanState.COOLING, PlanState.PAUSED):
        request = TextRequest(rule="requested", reason_name="spring recall")
        plan = plans.make(connection, "salesforce", Query(where=where), request)
        plans.add(connection, plan, 0, [Row(cases[0]), Row(cases[1]), Row(cases[2], "=the number cannot be texted")])
        plans.planned(connection, plan, REPORT)
        if state is not PlanState.PLANNED:
            plans.start(connection, plan, 1, 5, 900, None)
        if state is PlanState.COOLING:
            cooling = "update plans set state = 'cooling', cooling_until = now() + interval '15 minutes' where id = %s"
            connection.execute(cooling, [plan])
        if state is PlanState.PAUSED:
            plans.move(connection, plan, state, "paused by maya: the words are wrong")


def _bulk_actions(connection: psycopg.Connection) -> None:
    """One that is done, with a refusal, and one that is running."""
    failed = text_search.Search(state=State.FAILED)
    request = BulkRequest(BulkKind.SEND_AGAIN, "the numbers were corrected", "state:failed", failed)
    bulk = bulk_actions.start(connection, request, ADA, 100)
    with connection.transaction():
        taken = bulk_actions.take(connection, 100)
        assert taken
        refused = "has failed because of its number, which is the same today"
        bulk_actions.end_items(connection, bulk, dict.fromkeys(taken.texts, refused))
        bulk_actions.finish(connection, bulk)
    waiting = text_search.Search(state=State.RECEIVED, only=text_search.Only.SCHEDULED)
    request = BulkRequest(BulkKind.CANCEL, "the parts are late", "state:received is:scheduled", waiting)
    bulk_actions.start(connection, request, ADA, 100)
    after = {"rights": "view, act, content", "requests a minute": 1000}
    audit.record(connection, ADA, Action.KEY_ADD, "key salesforce", before={"rights": "view"}, after=after, why="new")
    setting = "setting CONNECTOR_SALESFORCE_OUTBOUND_MESSAGE_TOKENS"
    now = {"process": "worker", "fingerprint": "d2d7ac3f9e01"}
    audit.record(connection, ADA, Action.SETTING_CHANGE, setting, before={"fingerprint": "3a09d14069be"}, after=now)


def _received(connection: psycopg.Connection, name: str, case: str) -> int:
    [receipt] = events.save(connection, [TicketEvent("salesforce", name, case, body={"Id": case})])
    assert receipt.text
    return receipt.text


def _event(chat: int, kind: str, minutes_ago: int) -> NewChatEvent:
    at = datetime.now(UTC) - timedelta(minutes=minutes_ago)
    return NewChatEvent(secrets.token_bytes(8), at, str(chat), kind)
