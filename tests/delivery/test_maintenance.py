"""What is done beside the texts, by one worker at a time: the probe of a stopped lane, and the search for chats."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psycopg
import pytest
from psycopg_pool import ConnectionPool

from connector import transitions
from connector.ccaip import client
from connector.ccaip.chats import ListedChat
from connector.ccaip.client import Account, Client
from connector.delivery.backpressure import Backpressure, in_hand
from connector.delivery.breaker import Breaker
from connector.errors import Unavailable
from connector.model import Chat, Decision, OutboundSms, TicketEvent
from connector.sandbox import Sandbox
from connector.store import circuit_breaker, leases, text_views, texts
from connector.store import events as event_store
from connector.store.circuit_breaker import SendingPaused
from connector.store.jobs import Kind
from connector.store.postgres import Asking
from connector.store.text_views import Unknown
from connector.worker import chat_reconciler, maintenance
from connector.worker.maintenance import Maintenance, MaintenanceTask
from tests.support.remote import queued, started

NUMBER = "+16285550199"
NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def connection(pool: ConnectionPool) -> Iterator[psycopg.Connection]:
    with pool.connection() as connection:
        yield connection


@pytest.fixture
def box() -> Iterator[Sandbox]:
    with Sandbox(port=0, requests_per_second=0).running() as box:
        yield box


def account(box: Sandbox) -> Account:
    return Account(box.url, "sandbox", "sandbox-token")


def test_a_turn_is_taken_once_however_many_ask(pool: ConnectionPool) -> None:
    def take(_: int) -> bool:
        with pool.connection() as connection:
            return leases.take(connection, "any", 3600)

    with ThreadPoolExecutor(8) as threads:
        assert sorted(threads.map(take, range(8))) == [False] * 7 + [True]
    with pool.connection() as connection:
        leases.put_off(connection, "any", 0)
        assert leases.take(connection, "any", 3600)


def test_a_worker_is_heard_of_while_it_looks_at_the_accounts(pool: ConnectionPool) -> None:
    with pool.connection() as connection:
        assert leases.heard(connection) == leases.Heard()
        keeper = keeper_of(pool)
        keeper.look()
        heard = leases.heard(connection)
        assert heard.lately
        keeper.look()
        assert leases.heard(connection).at == heard.at, "once in a while is enough"
        connection.execute("update leases set next_at = next_at - interval '31 seconds'")
        assert not leases.heard(connection).lately
        keeper.look()
        assert leases.heard(connection).lately


def test_a_worker_that_stops_cleanly_no_longer_counts_as_running_but_another_does(pool: ConnectionPool) -> None:
    first, second = keeper_of(pool), keeper_of(pool)
    first.look()
    second.look()
    with pool.connection() as connection:
        first.sign_off()
        assert leases.heard(connection).lately
        second.sign_off()
        heard = leases.heard(connection)
        assert not heard.lately
        assert heard.ago is not None
        assert heard.ago < 5
        first.look()
        assert leases.heard(connection).lately


def keeper_of(
    pool: ConnectionPool,
    tasks: Sequence[MaintenanceTask] = (),
    probe: maintenance.Probe = lambda: None,
    backpressure: Backpressure | None = None,
) -> Maintenance:
    ask, backpressure = Asking(pool, ThreadPoolExecutor(1)), backpressure or Backpressure(400)
    return Maintenance(
        pool, backpressure, Breaker(ask, backpressure), tasks, {circuit_breaker.PLATFORM: probe}, {}, lambda: True
    )


def due(connection: psycopg.Connection) -> None:
    """The next probe is due."""
    connection.execute("update sending_state set probe_at = now()")


def test_a_stopped_account_is_probed_and_goes_on_by_itself_when_the_setting_is_right(
    box: Sandbox, connection: psycopg.Connection, pool: ConnectionPool
) -> None:
    keeper = keeper_of(pool, probe=client.probe_of(account(box), [NUMBER]))
    box.ccaip.settings.outbound_sms_enabled = False
    circuit_breaker.trip(connection, circuit_breaker.PLATFORM, "Outbound SMS is not enabled")
    keeper.probe(circuit_breaker.PLATFORM)
    assert box.ccaip.requests == [], "not at once"
    due(connection)
    keeper.probe(circuit_breaker.PLATFORM)
    assert circuit_breaker.current_pause(connection)
    box.ccaip.settings.outbound_sms_enabled = True
    due(connection)
    keeper.probe(circuit_breaker.PLATFORM)
    assert circuit_breaker.current_pause(connection) is None
    assert box.ccaip.texts == []
    assert len(box.ccaip.requests) == 2


@pytest.mark.parametrize("fault", [{"kind": "drop_before"}, {"kind": "status", "status": 429}])
def test_a_probe_without_an_answer_changes_nothing(
    box: Sandbox, connection: psycopg.Connection, pool: ConnectionPool, fault: dict[str, Any]
) -> None:
    box.faults.add(side="ccaip", **fault)
    circuit_breaker.trip(connection, circuit_breaker.PLATFORM, "SMS is not enabled")
    due(connection)
    keeper_of(pool, probe=client.probe_of(account(box), [NUMBER])).probe(circuit_breaker.PLATFORM)
    assert circuit_breaker.current_pause(connection)


def test_what_a_person_has_to_confirm_is_not_probed(connection: psycopg.Connection, pool: ConnectionPool) -> None:
    circuit_breaker.trip_until_resumed(connection, circuit_breaker.PLATFORM, "this database was restored")
    keeper_of(pool).probe(circuit_breaker.PLATFORM)
    assert circuit_breaker.current_pause(connection)


@pytest.mark.parametrize("error", [psycopg.OperationalError("gone"), ZeroDivisionError(), Unavailable("away")])
def test_upkeep_goes_on_whatever_a_duty_does(pool: ConnectionPool, error: Exception) -> None:
    """An error of one duty, of whatever kind, ends neither that duty nor the others."""
    done = Counter[str]()

    def fail(_: psycopg.Connection) -> None:
        done["fails"] += 1
        raise error

    def work(_: psycopg.Connection) -> None:
        done["works"] += 1

    backpressure = Backpressure(400)
    keeper = keeper_of(
        pool, [MaintenanceTask("fails", 0, fail), MaintenanceTask("works", 0, work)], backpressure=backpressure
    )
    with pool.connection() as connection:
        circuit_breaker.trip(connection, circuit_breaker.PLATFORM, "SMS is not enabled")

    async def run() -> None:
        running = asyncio.create_task(keeper.run())
        while done["fails"] < 2 or done["works"] < 2 or not backpressure.paused or not backpressure.batches_wait:
            await asyncio.sleep(0.02)
        running.cancel()

    asyncio.run(asyncio.wait_for(run(), 20))
    assert backpressure.paused[circuit_breaker.PLATFORM].until_resumed
    with pool.connection() as connection:
        circuit_breaker.resume(connection)
    keeper.look()
    assert backpressure.paused == {}


def test_what_a_worker_takes_now() -> None:
    backpressure = Backpressure(100)
    assert all(backpressure.wants(kind, 0) for kind in Kind)
    assert not backpressure.wants(Kind.DELIVER_TRIGGER, 100)
    assert backpressure.wants(Kind.DELIVER_AGENT, 1000), "a person comes first"
    backpressure.batches_wait = True
    assert [kind for kind in Kind if not backpressure.wants(kind, 0)] == [Kind.DELIVER_BATCH]
    backpressure.paused = {circuit_breaker.PLATFORM: SendingPaused("pause", False, 5)}
    assert [kind for kind in Kind if backpressure.wants(kind, 0)] == [Kind.WRITE_BACK]
    backpressure.paused = {circuit_breaker.PLATFORM: SendingPaused("stopped", True, 5)}
    assert [kind for kind in Kind if backpressure.wants(kind, 0)] == [Kind.DELIVER_AGENT, Kind.WRITE_BACK]
    backpressure.crms, backpressure.paused = ["a", "b"], {"a": SendingPaused("stopped", True, 5)}
    assert backpressure.wants(Kind.DELIVER_TRIGGER, 0), "those of the other CRM"
    backpressure.paused = {crm: SendingPaused("stopped", True, 5) for crm in backpressure.crms}
    assert [kind for kind in Kind if backpressure.wants(kind, 0)] == [Kind.DELIVER_AGENT], (
        "no ticket can be told either"
    )
    assert [in_hand(per_second) for per_second in (0, 1, 10, 1000)] == [800, 50, 100, 800]


def unknown(text: int, ticket: str = "a", called: float = 0) -> Unknown:
    at = NOW + timedelta(seconds=called)
    return Unknown(text, "salesforce", ticket, NUMBER, at, at + timedelta(seconds=30))


def listed(chat: int, ticket: str | None = "a", began: float = 1) -> ListedChat:
    at = NOW + timedelta(seconds=began)
    return ListedChat(id=chat, created_at=at, updated_at=at, out_ticket_id=ticket)


@pytest.mark.parametrize(
    ("gone", "there", "found"),
    [
        ([unknown(1)], [listed(7)], {1: 7}),
        ([unknown(1)], [listed(7), listed(8, "b")], {1: 7}),
        ([unknown(1), unknown(2, "b")], [listed(7), listed(8, "b")], {1: 7, 2: 8}),
        ([unknown(1)], [listed(7, None)], {}),
        ([unknown(1)], [listed(7, began=-60)], {}),
        ([unknown(1)], [listed(7, began=120)], {}),
        ([unknown(1)], [listed(7), listed(8)], {}),
        ([unknown(1), unknown(2)], [listed(7)], {}),
        ([], [listed(7)], {}),
    ],
    ids=["one", "another ticket's", "two", "names no ticket", "before", "after", "two chats", "two texts", "none"],
)
def test_only_what_is_certain_is_matched(gone: list[Unknown], there: list[ListedChat], found: dict[int, int]) -> None:
    assert {text: chat.id for text, chat in chat_reconciler.match(gone, there).items()} == found


@pytest.mark.parametrize("names_ticket", [True, False])
def test_the_chat_of_an_unknown_text_is_found_where_the_list_names_its_ticket(
    box: Sandbox, connection: psycopg.Connection, names_ticket: bool
) -> None:
    box.switches.update({"list_names_ticket": names_ticket})
    tickets = box.salesforce.make_cases(3)
    events = [TicketEvent("salesforce", ticket, ticket) for ticket in tickets]
    ids = [one.text for one in event_store.save(connection, events) if one.text]
    decisions = {
        text: Decision("requested", ticket, OutboundSms(f"+1415200000{text}", NUMBER, "Hi", ticket))
        for text, ticket in zip(ids, tickets, strict=True)
    }
    queued(connection, decisions)
    claims = started(connection, *ids)

    async def send() -> list[Chat]:
        client = Client(account(box))
        made = [await client.send(decisions[text].sms) for text in ids[:2]]
        await client.close()
        return made

    sent, lost = asyncio.run(send())
    texts.move(
        connection,
        [
            transitions.sent(ids[0], claims[ids[0]], sent),
            *(transitions.unknown(text, claims[text], "no answer") for text in ids[1:]),
        ],
    )
    finder = chat_reconciler.finder(account(box))
    for _ in range(2):
        finder.do(connection)
    stories = [text_views.story(connection, text) for text in ids]
    assert [story and story.state for story in stories] == ["sent", "sent" if names_ticket else "unknown", "unknown"]
    if names_ticket:
        assert stories[1]
        assert stories[1].chat == {"id": lost.id, "status": "selecting"}


def test_a_list_that_cannot_be_had_is_asked_for_again_later(box: Sandbox, connection: psycopg.Connection) -> None:
    [one] = event_store.save(connection, [TicketEvent("salesforce", "e", "t")])
    assert one.text
    queued(connection, {one.text: Decision("r", "r", OutboundSms("+14152000001", NUMBER, "Hi", "t"))})
    claim = started(connection, one.text)[one.text]
    texts.move(connection, [transitions.unknown(one.text, claim, "no answer")])
    finder = chat_reconciler.finder(account(box))
    faults: list[dict[str, Any]] = [{"kind": "status", "status": 503}, {"kind": "drop_before"}, {"kind": "malformed"}]
    for fault in faults:
        box.faults.add(side="ccaip", route="list_chats", **fault)
        with pytest.raises(Unavailable):
            finder.do(connection)
    finder.do(connection)
    assert httpx.codes.OK in {call.status for call in box.ccaip.requests}
