"""The gauges that a scrape reads from the database, and the heartbeats of workers."""

from collections.abc import Iterator

import psycopg
import pytest

from connector.model import TicketEvent
from connector.store import circuit_breaker, events, gauges, leases


@pytest.fixture
def connection(url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("insert into mapping_versions (crm, fingerprint) values ('salesforce', 'x')")
        yield connection


def read(url: str, name: str) -> dict[tuple[str, ...], float]:
    [reading] = [reading for reading in gauges.read(url) if reading.name == name]
    return {tuple(labels): value for labels, value in reading.values}


def test_an_empty_database_has_zeros(url: str, connection: psycopg.Connection) -> None:
    assert set(read(url, "connector_texts_waiting").values()) == {0}
    assert read(url, "connector_write_backs_refused") == {("salesforce",): 0}
    assert read(url, "connector_texts_unknown") == {(): 0}
    assert read(url, "connector_workers") == {(): 0}
    assert read(url, "connector_worker_heartbeat_age_seconds") == {}
    assert read(url, "connector_rate_limit_booked_seconds") == {(): 0}


def test_each_state_of_a_breaker_is_shown_and_no_account_but_known_ones(
    url: str, connection: psycopg.Connection
) -> None:
    def states(account: str) -> set[str]:
        return {state for (name, state), on in read(url, "connector_breaker_state").items() if on and name == account}

    assert states("ccaip") == states("salesforce") == {"closed"}
    circuit_breaker.pause(connection, "salesforce", "slow down", 60)
    assert states("salesforce") == {"paused"}
    circuit_breaker.trip(connection, "ccaip", "wrong")
    assert states("ccaip") == {"tripped"}
    circuit_breaker.trip_until_resumed(connection, "ccaip", "restored")
    assert states("ccaip") == {"waits_for_person"}
    circuit_breaker.trip(connection, "+14155550132", "wrong")
    assert {name for name, _ in read(url, "connector_breaker_state")} == {"ccaip", "salesforce"}


def test_waiting_texts_are_counted_where_they_wait(url: str, connection: psycopg.Connection) -> None:
    events.save(connection, [TicketEvent("salesforce", f"e{number}", "case") for number in range(5)])
    for text, state in enumerate(["sending", "unknown", "queued", "received"], 1):
        connection.execute(
            "update texts set state = %s, changed_at = now() - interval '1 hour' where id = %s", [state, text]
        )
    connection.execute("update texts set not_before = now() + interval '1 hour' where id in (3, 4)")
    counts = {key: value for key, value in read(url, "connector_texts_waiting").items() if value}
    assert counts == {("sending", "trigger"): 1, ("held", "trigger"): 2, ("received", "trigger"): 1}
    ages = read(url, "connector_texts_waiting_age_seconds")
    assert 3600 <= ages["sending", "trigger"] < 3700
    assert (ages["held", "trigger"], ages["received", "trigger"] < 60) == (0, True)
    assert 3600 <= read(url, "connector_texts_unknown_age_seconds")[()] < 3700


def test_the_queries_do_not_search_all_texts(url: str, connection: psycopg.Connection) -> None:
    """With many settled texts, the open and the claimed ones are found by their indexes."""
    connection.execute(
        "insert into texts (event, crm, ticket_id, channel, state)"
        " select -n, 'salesforce', 't', 'trigger', 'sent' from generate_series(1, 20000) n"
    )
    connection.execute("analyze texts")
    for query in ("waiting", "unknown", "outcomes"):
        plan = str(connection.execute(f"explain {gauges.SQL[query]}", {}).fetchall())
        assert "Seq Scan on texts" not in plan, plan


def test_a_worker_is_heard_of_until_it_signs_off(url: str, connection: psycopg.Connection) -> None:
    name = leases.worker_name()
    assert leases.heard_here(connection).ago is None
    leases.alive(connection, "another-machine:0123")
    assert leases.heard_here(connection).ago is None
    leases.alive(connection, name)
    assert leases.heard_here(connection).lately
    assert read(url, "connector_workers") == {(): 2}
    connection.execute("update leases set next_at = next_at - interval '31 seconds'")
    assert read(url, "connector_workers") == {(): 0}
    assert read(url, "connector_worker_heartbeat_age_seconds")[()] > 30
    leases.alive(connection, name)
    assert read(url, "connector_workers") == {(): 1}
    leases.sign_off(connection, name)
    assert read(url, "connector_workers") == {(): 0}
    assert not leases.heard_here(connection).lately


def test_the_crms_checkboxes_are_counted_until_they_are_written(url: str, connection: psycopg.Connection) -> None:
    connection.execute(
        """insert into record_fields (crm, ticket_id, kind, value, refused, written) values
           ('salesforce', '1', 'phone_invalid', true, 'no', 0), ('salesforce', '2', 'phone_invalid', true, null, 0),
           ('salesforce', '3', 'phone_invalid', true, null, 1)"""
    )
    assert read(url, "connector_record_fields_waiting") == {("opt_out",): 0, ("phone_invalid",): 2}
    assert read(url, "connector_record_fields_refused") == {("opt_out",): 0, ("phone_invalid",): 1}
