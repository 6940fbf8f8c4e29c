"""The gauges that a scrape reads from the database, and the heartbeats of workers."""

from collections.abc import Iterator
from datetime import UTC, datetime

import psycopg
import pytest

from connector.model import TicketEvent
from connector.policy.daily_budget import Budget, Budgets
from connector.policy.opt_outs import Source
from connector.store import circuit_breaker, events, gauges, leases, pauses, suppressions
from connector.store.pauses import Scope

OUTBOUND = "+16285550199"


@pytest.fixture
def connection(url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("insert into mapping_versions (crm, fingerprint) values ('salesforce', 'x')")
        yield connection


def read(url: str, name: str, budgets: Budgets | None = None) -> dict[tuple[str, ...], float]:
    [reading] = [reading for reading in gauges.read(url, budgets or {}) if reading.name == name]
    return {tuple(labels): value for labels, value in reading.values}


def test_an_empty_database_has_zeros(url: str, connection: psycopg.Connection) -> None:
    assert set(read(url, "connector_texts_waiting").values()) == {0}
    assert read(url, "connector_write_backs_refused") == {("salesforce",): 0}
    assert read(url, "connector_texts_unknown") == {(): 0}
    assert read(url, "connector_workers") == {(): 0}
    assert read(url, "connector_worker_heartbeat_age_seconds") == {}
    assert read(url, "connector_rate_limit_booked_seconds") == {(): 0}
    assert read(url, "connector_texts_unknown_settled") == {(): 0}
    assert read(url, "connector_texts_unknown_settled_seconds") == {}
    assert set(read(url, "connector_field_writes_refused").values()) == {0}
    assert read(url, "connector_opt_outs") == {(source,): 0 for source in Source}
    assert read(url, "connector_operator_pauses") == {(scope.value,): 0 for scope in Scope}
    assert read(url, "connector_chat_source_age_seconds") == {}
    assert read(url, "connector_daily_budget_used") == {}


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
    connection.execute(
        "insert into history (text, from_state, to_state, why)"
        " select n, 'received', 'skipped', '' from generate_series(1, 20000) n"
    )
    connection.execute("analyze texts, history")
    for query in ("waiting", "unknown", "outcomes", "settled", "settled_count", "refused_fields"):
        plan = str(connection.execute(f"explain {gauges.SQL[query]}", {}).fetchall())
        assert "Seq Scan on texts" not in plan, plan
        assert "Seq Scan on history" not in plan, plan


def test_unknown_texts_are_measured_until_their_settlement(url: str, connection: psycopg.Connection) -> None:
    """A second try settles nothing, its result does. A text that is unknown again is still to be settled."""
    steps = [
        *((1, "sending", "unknown", 600), (1, "unknown", "sent", 500)),
        *((2, "sending", "unknown", 600), (2, "unknown", "sending", 540), (2, "sending", "failed", 300)),
        *((3, "sending", "unknown", 600), (3, "unknown", "sending", 540), (3, "sending", "unknown", 530)),
        *((4, "sending", "unknown", 900_000), (4, "unknown", "failed", 800_000)),
    ]
    for text, before, after, ago in steps:
        connection.execute(
            "insert into history (text, from_state, to_state, why, at)"
            " values (%s, %s, %s, '', now() - %s * interval '1 second')",
            [text, before, after, ago],
        )
    settled = "connector_texts_unknown_settled"
    assert read(url, settled) == {(): 2}
    took = {quantile: round(seconds) for (quantile,), seconds in read(url, f"{settled}_seconds").items()}
    assert took == {"0.5": 100, "0.9": 300, "1": 300}


def test_refused_fields_are_counted_until_they_are_written(url: str, connection: psycopg.Connection) -> None:
    events.save(connection, [TicketEvent("salesforce", "e", "case")])
    connection.execute(
        """insert into record_fields (crm, ticket_id, kind, value, refused, written) values
           ('salesforce', 'a', 'opt_out', true, 'no', 0), ('salesforce', 'b', 'opt_out', true, null, 0),
           ('salesforce', 'c', 'opt_out', true, 'gone', 1), ('salesforce', 'a', 'phone_invalid', true, 'no', 0),
           ('salesforce', 'b', 'phone_invalid', true, 'no', 0), ('salesforce', 'c', 'phone_invalid', true, null, 1)"""
    )
    connection.execute("insert into chat_updates (text, chat, due_at, refused) values (1, '1', now(), 'no')")
    refused = read(url, "connector_field_writes_refused")
    fields = {"opt_out": 1, "phone_invalid": 2, "chat_status": 1}
    assert refused == {("salesforce", field): count for field, count in fields.items()}


def test_opt_outs_reviews_and_pauses_are_counted(url: str, connection: psycopg.Connection) -> None:
    suppressions.suppress(connection, "+14155550132", "asked by letter", "Ana")
    for key, days in (("a", 1), ("b", 1), ("c", -1)):
        connection.execute(
            "insert into opt_out_reviews (key, crm, ticket_id, chat, words, said_at, due_at, limit_at)"
            " values (%s, 'salesforce', 't', '1', 'no', now(), now() + %s * interval '1 day', now())",
            [key, days],
        )
    pauses.pause(connection, Scope.RULE, "requested", "the wrong date", "Ana")
    pauses.pause(connection, Scope.ALL, "", "over", "Ana", datetime(2000, 1, 1, tzinfo=UTC))

    assert read(url, "connector_opt_outs")["person",] == 1
    assert read(url, "connector_opt_out_reviews_pending") == {(): 3}
    assert read(url, "connector_opt_out_reviews_overdue") == {(): 1}
    assert {scope for (scope,), count in read(url, "connector_operator_pauses").items() if count} == {"rule"}


def test_each_source_of_chat_events_has_its_age(url: str, connection: psycopg.Connection) -> None:
    connection.execute(
        "insert into chat_events (key, occurred_at, received_at) values ('k', now(), now() - interval '1 minute')"
    )
    assert set(read(url, "connector_chat_source_age_seconds")) == {("webhook",)}
    connection.execute(
        "insert into chats (chat_id, status, at, source, seen_at)"
        " values ('1', 'ended', now(), 'list', now() - interval '1 hour')"
    )
    ages = read(url, "connector_chat_source_age_seconds")
    assert 60 <= ages["webhook",] < 120
    assert 3600 <= ages["list",] < 3700


def test_a_daily_budget_is_shown_without_its_number(url: str, connection: psycopg.Connection) -> None:
    connection.execute(
        "insert into daily_budgets (number, day, texts, segments) values (%s, (now() at time zone 'UTC')::date, 3, 7)",
        [OUTBOUND],
    )
    budgets = {"+16285550100": Budget(10, "texts", "UTC", 1), OUTBOUND: Budget(20, "segments", "UTC", 0.8)}
    assert read(url, "connector_daily_budget_used", budgets) == {("1", "texts"): 0, ("2", "segments"): 7}
    assert read(url, "connector_daily_budget_limit", budgets) == {("1", "texts"): 10, ("2", "segments"): 20}


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
