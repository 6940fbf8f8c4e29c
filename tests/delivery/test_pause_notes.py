"""What tickets show while an operator has paused their texts: all of them, once, and never of a text that goes on."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from psycopg_pool import ConnectionPool

from connector import settings
from connector.crms import Crm
from connector.delivery.backpressure import Backpressure
from connector.delivery.hold_notes import HoldNotes
from connector.delivery.pause_notes import PauseNotes
from connector.mapping import loader
from connector.mapping.rules import Mapping
from connector.model import Channel, TextRequest, TicketEvent
from connector.sandbox import Sandbox
from connector.store import events, pauses
from connector.store.pauses import Scope
from tests.fixtures import salesforce

FILE = loader.load(settings.Settings(_env_file=None).mappings_dir / "salesforce.toml")
MAPPING = Mapping(FILE, "+16285550199", ["US"])
WORDS = "sending is paused by Ana: wrong message"
# Runs the task; `calls_share` is its share of the CRM's calls.
Note = Callable[..., None]


@pytest.fixture(scope="module")
def box() -> Iterator[Sandbox]:
    with Sandbox(port=0).running() as box:
        yield box


@pytest.fixture
def crm(box: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[Crm]:
    with salesforce.connected(box, monkeypatch, FILE) as crm:
        yield crm


@pytest.fixture
def note(crm: Crm, pool: ConnectionPool) -> Note:
    """Run the maintenance task once, and write the notes that it has begun."""
    connected = {"salesforce": (crm, MAPPING)}
    tasks: dict[float, PauseNotes] = {}
    notes = HoldNotes(pool, connected)

    def run(calls_share: float = 1) -> None:
        task = tasks.setdefault(calls_share, PauseNotes(connected, Backpressure(50), calls_share))
        with pool.connection() as connection:
            task.note(connection)
            begun = connection.execute("select id from texts where held_version > held_written").fetchall()
        notes.write([text for (text,) in begun])

    return run


@pytest.fixture
def connection(pool: ConnectionPool) -> Iterator[psycopg.Connection]:
    with pool.connection() as connection:
        yield connection


def saved(
    connection: psycopg.Connection, tickets: list[str], channel: Channel = Channel.TRIGGER, send_at: str | None = None
) -> None:
    request = None if channel is Channel.TRIGGER else TextRequest(rule="requested", send_at=send_at)
    events.save(
        connection,
        [
            TicketEvent("salesforce", f"{channel} {ticket}", ticket, channel=channel, request=request)
            for ticket in tickets
        ],
    )


def requested(box: Sandbox, count: int = 1) -> list[str]:
    return list(box.salesforce.make_cases(count, CCAIP_SMS_Status__c="Requested"))


def shown(box: Sandbox, ticket: str) -> str:
    return str(box.salesforce.case(ticket)["CCAIP_SMS_Error__c"] or "")


def test_each_ticket_shows_a_pause_of_everything_once(box: Sandbox, connection: psycopg.Connection, note: Note) -> None:
    """Triggers that no worker has met yet, and a back-fill's texts."""
    triggers, batch = requested(box, 2), box.salesforce.make_cases(2)
    saved(connection, triggers)
    saved(connection, batch, Channel.BATCH)
    pauses.pause(connection, Scope.ALL, "", "wrong message", "Ana")

    note()

    assert [shown(box, ticket) for ticket in [*triggers, *batch]] == [WORDS] * 4
    assert box.salesforce.case(triggers[0])["CCAIP_SMS_Status__c"] == "Waiting"
    calls = salesforce.calls(box)
    note()
    assert salesforce.calls(box) == calls, "it is known that they show it"
    accepted = connection.execute("select count(*) from texts where accepted is not null and state = 'queued'")
    assert accepted.fetchone() == (2,), "a trigger keeps its rule although the note has changed its ticket"


def test_a_pause_with_new_words_is_shown_again(box: Sandbox, connection: psycopg.Connection, note: Note) -> None:
    [ticket] = requested(box)
    saved(connection, [ticket])
    pauses.pause(connection, Scope.ALL, "", "wrong message", "Ana")
    note()

    pauses.pause(connection, Scope.ALL, "", "wrong number", "Bea", datetime(2099, 1, 1, 13, tzinfo=UTC))
    note()

    words = "Waiting until 2099-01-01 13:00, UTC: sending is paused until 2099-01-01 13:00 UTC by Bea: wrong number"
    assert shown(box, ticket) == words


def test_a_pause_of_batches_is_shown_on_their_tickets_only(
    box: Sandbox, connection: psycopg.Connection, note: Note
) -> None:
    [trigger], [batch] = requested(box), box.salesforce.make_cases(1)
    saved(connection, [trigger])
    saved(connection, [batch], Channel.BATCH)
    pauses.pause(connection, Scope.CHANNEL, Channel.BATCH, "wrong message", "Ana")

    note()

    assert shown(box, batch) == "sending of batch texts is paused by Ana: wrong message"
    assert shown(box, trigger) == ""


def test_nothing_is_shown_of_what_does_not_wait_for_the_pause(
    box: Sandbox, connection: psycopg.Connection, note: Note
) -> None:
    """A trigger whose rule does not hold, a text whose time is still to come, and one whose agent is told at once."""
    closed, later, attended = box.salesforce.make_cases(3)
    in_two_days = (datetime.now(UTC) + timedelta(days=2)).isoformat()
    saved(connection, [closed])
    saved(connection, [later], Channel.AGENT, in_two_days)
    saved(connection, [attended], Channel.AGENT)
    pauses.pause(connection, Scope.ALL, "", "wrong message", "Ana")

    note()

    assert [shown(box, ticket) for ticket in (closed, later, attended)] == [""] * 3
    calls = salesforce.calls(box)
    note()
    assert salesforce.calls(box) == calls


def test_notes_of_a_pause_leave_the_crms_calls_to_others(
    box: Sandbox, connection: psycopg.Connection, note: Note
) -> None:
    tickets = requested(box, 201)
    saved(connection, tickets)
    pauses.pause(connection, Scope.ALL, "", "wrong message", "Ana")

    note(calls_share=0)
    assert shown(box, tickets[0]) == ""
    calls = salesforce.calls(box)
    note()
    assert salesforce.calls(box) - calls <= 3, "200 tickets with one call to read and one to write"
    assert (shown(box, tickets[199]), shown(box, tickets[200])) == (WORDS, "")
    note()
    assert shown(box, tickets[200]) == WORDS


def test_a_paused_crm_is_left_alone(box: Sandbox, connection: psycopg.Connection, note: Note) -> None:
    [ticket] = requested(box)
    saved(connection, [ticket])
    pauses.pause(connection, Scope.ALL, "", "wrong message", "Ana")
    pauses.pause(connection, Scope.ACCOUNT, "salesforce", "maintenance", "Ana")
    calls = salesforce.calls(box)

    note()

    assert salesforce.calls(box) == calls
