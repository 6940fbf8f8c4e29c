"""Whom scheduled texts are meant for, by their tickets: of every text, whatever others name no number."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from psycopg_pool import ConnectionPool

from connector import settings
from connector.crms import Crm
from connector.delivery import scheduled_numbers
from connector.mapping import loader
from connector.mapping.rules import Mapping
from connector.model import Channel, TextRequest, TicketEvent
from connector.sandbox import Sandbox
from connector.store import events, pauses
from connector.store.pauses import Scope
from tests.fixtures import salesforce

FILE = loader.load(settings.Settings(_env_file=None).mappings_dir / "salesforce.toml")
MAPPING = Mapping(FILE, "+16285550199", ["US"])
NO_PHONE = {"MobilePhone": None}


@pytest.fixture(scope="module")
def box() -> Iterator[Sandbox]:
    with Sandbox(port=0).running() as box:
        yield box


@pytest.fixture
def crm(box: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[Crm]:
    with salesforce.connected(box, monkeypatch, FILE) as crm:
        yield crm


@pytest.fixture
def connection(pool: ConnectionPool) -> Iterator[psycopg.Connection]:
    with pool.connection() as connection:
        yield connection


def scheduled(connection: psycopg.Connection, *tickets: str) -> list[int]:
    """Texts of these tickets, each to be sent later than the one before."""
    soon = datetime.now(UTC) + timedelta(days=1)
    asked = [
        TicketEvent(
            "salesforce",
            f"e {ticket}",
            ticket,
            channel=Channel.AGENT,
            request=TextRequest(rule="requested", send_at=(soon + timedelta(seconds=number)).isoformat()),
        )
        for number, ticket in enumerate(tickets)
    ]
    return [receipt.text for receipt in events.save(connection, asked) if receipt.text]


def known(connection: psycopg.Connection) -> set[int]:
    return {text for (text,) in connection.execute("select id from texts where number is not null")}


def test_texts_without_a_number_do_not_hide_others(
    box: Sandbox, crm: Crm, connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their tickets are not read again at each look, but after a while: somebody may have entered a number."""
    monkeypatch.setattr(scheduled_numbers, "CRM_BATCH_SIZE", 2)
    without = box.salesforce.make_cases(4, contact=NO_PHONE)
    [ticket] = box.salesforce.make_cases(1)
    *unknown, last = scheduled(connection, *without, ticket)
    find = scheduled_numbers.finder({"salesforce": (crm, MAPPING)})

    for _ in range(3):
        find(connection)

    assert known(connection) == {last}
    calls = salesforce.calls(box)
    find(connection)
    assert salesforce.calls(box) == calls

    box.salesforce.edit(without[3], {"SuppliedPhone": "+1 415 555 0132"})
    connection.execute("update texts set number_read_at = number_read_at - interval '2 hours'")
    for _ in range(2):
        find(connection)
    assert known(connection) == {unknown[3], last}


def test_another_worker_does_not_read_them_again(box: Sandbox, crm: Crm, connection: psycopg.Connection) -> None:
    scheduled(connection, *box.salesforce.make_cases(1, contact=NO_PHONE))
    scheduled_numbers.finder({"salesforce": (crm, MAPPING)})(connection)
    calls = salesforce.calls(box)

    scheduled_numbers.finder({"salesforce": (crm, MAPPING)})(connection)

    assert salesforce.calls(box) == calls


def test_a_paused_crm_is_left_alone(box: Sandbox, crm: Crm, connection: psycopg.Connection) -> None:
    scheduled(connection, *box.salesforce.make_cases(1))
    pauses.pause(connection, Scope.ACCOUNT, "salesforce", "maintenance", "Ana")
    calls = salesforce.calls(box)

    scheduled_numbers.finder({"salesforce": (crm, MAPPING)})(connection)

    assert salesforce.calls(box) == calls
    assert known(connection) == set()
