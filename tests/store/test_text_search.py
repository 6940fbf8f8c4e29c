"""Searches for texts: what they find, and that each uses an index."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from psycopg_pool import ConnectionPool

from connector import transitions
from connector.errors import RefusalCode
from connector.model import Channel, Decision, OutboundSms, Skip, State, TextRequest, TicketEvent
from connector.store import audit, bulk_actions, erasure, events, retention, roll_ups, text_details, text_search, texts
from connector.store.text_search import Only, Search
from tests.conftest import created
from tests.support import many_texts
from tests.support.remote import queued, started

NUMBER, OTHER = "+14155550132", "+14155550133"
NOW = datetime.now(UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def connection(pool: ConnectionPool) -> Iterator[psycopg.Connection]:
    with pool.connection() as connection:
        yield connection


def found(connection: psycopg.Connection, wanted: Search) -> list[int]:
    return [row.id for row in text_search.find(connection, wanted, 50)]


def three(connection: psycopg.Connection) -> None:
    """Text 1 is refused for NUMBER, text 2 waits for OTHER, text 3 of an agent was skipped, for NUMBER."""
    request = TextRequest(agent_name="Ada Agent", agent_email="ada@example.com")
    events.save(connection, [TicketEvent("salesforce", f"e{number}", f"case{number}") for number in (1, 2)])
    events.save(connection, [TicketEvent("salesforce", "e3", "case3", channel=Channel.AGENT, request=request)])
    for text, number in ((1, NUMBER), (2, OTHER)):
        sms = OutboundSms(number, "+16285550199", "Hi", f"case{text}")
        queued(connection, {text: Decision("requested", str(text), sms)})
    refused = transitions.refused(1, started(connection, 1)[1], "no", code=RefusalCode.NON_US_NUMBER)
    skipped = transitions.Transition(3, transitions.UNDECIDED, State.SKIPPED, "texted before", number=NUMBER)
    texts.move(connection, [refused, skipped])


@pytest.mark.parametrize(
    ("wanted", "ids"),
    [
        (Search(), [3, 2, 1]),
        (Search(number=NUMBER), [3, 1]),
        (Search(number=NUMBER, state=State.FAILED), [1]),
        (Search(number=OTHER), [2]),
        (Search(number="+14155550199"), []),
        (Search(code=RefusalCode.NON_US_NUMBER), [1]),
        (Search(code=RefusalCode.CUSTOMER_BUSY), []),
        (Search(agent="ada agent"), [3]),
        (Search(agent="ADA@example.com"), [3]),
        (Search(agent="Ada"), []),
        (Search(not_written=True), [1]),
        (Search(since=NOW - HOUR, until=NOW + HOUR), [3, 2, 1]),
        (Search(since=NOW + HOUR), []),
        (Search(until=NOW - HOUR), []),
        (Search(text=2), [2]),
        (Search(before=3), [2, 1]),
        (Search(before=1), []),
        (Search(rule="requested"), [2, 1]),
        (Search(rule="other"), []),
        (Search(channel=Channel.AGENT), [3]),
        (Search(chat="9001"), []),
        (Search(crms=["salesforce"], ticket="case2"), [2]),
        (Search(crms=["salesforce"], ticket="case2", number=NUMBER), []),
    ],
)
def test_a_search_finds_what_fits_all_its_filters(
    connection: psycopg.Connection, wanted: Search, ids: list[int]
) -> None:
    three(connection)

    assert found(connection, wanted) == ids


def test_a_code_is_that_of_the_present_state(connection: psycopg.Connection) -> None:
    three(connection)
    claim = started(connection, 2)[2]
    texts.move(connection, [transitions.again(2, claim, "busy", 60, code=RefusalCode.CUSTOMER_BUSY)])
    assert found(connection, Search(code=RefusalCode.CUSTOMER_BUSY)) == [2]

    texts.move(connection, [transitions.skipped(2, Skip("too late"))])

    assert found(connection, Search(code=RefusalCode.CUSTOMER_BUSY)) == []


@pytest.mark.parametrize("erase", ["purge", "retention"])
def test_the_hash_of_the_number_is_erased_with_the_number(connection: psycopg.Connection, erase: str) -> None:
    three(connection)
    connection.execute("update texts set changed_at = now() - interval '31 days', written = outcome")

    if erase == "purge":
        erasure.purge(connection, NUMBER)
    else:
        retention.keep(connection, 30)

    assert found(connection, Search(number=NUMBER)) == []
    assert found(connection, Search(number=OTHER)) == [2], "it still waits, or is another person's"


SEARCHES = {
    "all": Search(),
    **{state.value: Search(state=state) for state in State},
    "ticket": Search(crms=["salesforce"], ticket="case1"),
    "phone": Search(number=NUMBER),
    "text": Search(text=17),
    "before": Search(before=17),
    "chat": Search(chat="9001"),
    "rule": Search(rule="requested"),
    "channel": Search(channel=Channel.BATCH),
    "code": Search(code=RefusalCode.NON_US_NUMBER),
    "since": Search(since=NOW - HOUR),
    "between": Search(since=NOW - 2 * HOUR, until=NOW - HOUR),
    "agent": Search(agent="Ada"),
    "not written": Search(not_written=True),
    **{only.value: Search(only=only) for only in Only},
    "combined": Search(number=NUMBER, state=State.FAILED, since=NOW - HOUR, not_written=True),
}


@pytest.fixture(scope="module")
def filled(server: str, template: str) -> Iterator[psycopg.Connection]:
    """A database with 20,000 texts as they are after some days, almost all of them sent, and its statistics."""
    with created(server, "connector_test_plans", template) as url, psycopg.connect(url, autocommit=True) as connection:
        many_texts.fill(connection, 20_000)
        yield connection


def plan(connection: psycopg.Connection, query: str, parameters: object) -> str:
    """The plan that PostgreSQL chooses by the table's statistics; nothing is forced."""
    rows = connection.execute(f"explain {query}", parameters).fetchall()  # type: ignore[call-overload] # a query of ours
    return "\n".join(row for (row,) in rows)


@pytest.mark.parametrize("name", SEARCHES)
def test_every_search_uses_an_index(filled: psycopg.Connection, name: str) -> None:
    parameters = text_search.parameters(filled, SEARCHES[name], 50)

    chosen = plan(filled, text_search.SQL["find"], parameters)

    assert "Index" in chosen
    assert "Seq Scan" not in chosen, chosen


@pytest.mark.parametrize(
    "name", ["failed", "skipped", "unknown", "cancelled", "phone", "chat", "code", "agent", "contradicted"]
)
def test_a_rare_kind_is_found_by_its_own_index(filled: psycopg.Connection, name: str) -> None:
    """Not by reading the newest texts until enough fit: there may be none."""
    parameters = text_search.parameters(filled, SEARCHES[name], 50)

    chosen = plan(filled, text_search.SQL["find"], parameters)

    assert "texts_received" not in chosen, chosen
    assert "texts_pkey" not in chosen or "texts_chat" in chosen, chosen  # a chat's text is found first, then read by id


AUDIT = {
    "all": audit.Filter(),
    "since": audit.Filter(since=NOW - HOUR),
    "who": audit.Filter(who="user7"),
    "what": audit.Filter(what="key.add"),
    "about": audit.Filter(about="text 17"),
    "combined": audit.Filter(since=NOW - HOUR, who="user7", what="key.add"),
}


@pytest.mark.parametrize("name", AUDIT)
def test_every_search_of_the_audit_trail_uses_an_index(filled: psycopg.Connection, name: str) -> None:
    chosen = plan(filled, audit.SQL["find"], audit.parameters(AUDIT[name], 50))

    assert "Seq Scan on audit " not in chosen, chosen


def test_a_report_reads_only_its_hours(filled: psycopg.Connection) -> None:
    """And of the texts only those that are open."""
    asked = {"since": NOW - 24 * HOUR, "until": NOW}

    chosen = plan(filled, roll_ups.SQL["counts"], asked)

    assert "roll_ups_pkey" in chosen, chosen
    assert "texts_open" in chosen, chosen
    assert "texts_claimed" in chosen, chosen
    assert "Seq Scan on texts" not in chosen, chosen


def test_summing_up_reads_only_what_is_new_or_to_become_hours(filled: psycopg.Connection) -> None:
    chosen = plan(filled, roll_ups.SQL["sum_up"], None)

    assert "roll_ups_fine" in chosen, chosen
    assert "Seq Scan on roll_ups" not in chosen, chosen


@pytest.mark.parametrize("name", SEARCHES)
def test_the_count_for_a_bulk_action_uses_an_index(filled: psycopg.Connection, name: str) -> None:
    chosen = plan(filled, text_search.SQL["count"], text_search.parameters(filled, SEARCHES[name], 100_001))

    assert "Seq Scan" not in chosen, chosen


def test_texts_are_compared_with_a_stored_search_one_by_one(filled: psycopg.Connection) -> None:
    search = text_search.stored(filled, SEARCHES["combined"]).obj

    chosen = plan(filled, text_search.SQL["fitting"], {**search, "ids": list(range(20))})

    assert "id = ANY" in chosen, chosen
    assert "Seq Scan" not in chosen, chosen


@pytest.fixture(scope="module")
def detailed(filled: psycopg.Connection) -> psycopg.Connection:
    """The same, with transitions, chat events and bulk actions."""
    filled.execute(
        "insert into history (text, from_state, to_state, why) select n, 'a', 'b', '' from generate_series(1, 20000) n"
    )
    filled.execute(
        """insert into chat_events (key, chat_id, occurred_at, processed_at)
           select n::text, (n / 4)::text, now(), now() from generate_series(1, 20000) n"""
    )
    filled.execute(
        """insert into bulk_actions (action, query, why, who, source, origin, requested, state)
           select 'cancel', '', '', 'ada', 'cli', 'host', 10, case when n > 1999 then 'running' else 'done' end
           from generate_series(1, 2000) n"""
    )
    filled.execute(
        """insert into bulk_items (bulk, text, ended_at, refused)
           select n / 10 + 1, n, case when n < 19990 then now() end, case when n % 7 = 0 then 'no' end
           from generate_series(1, 19990) n"""
    )
    filled.execute("vacuum analyze history, chat_events, bulk_actions, bulk_items")
    return filled


@pytest.mark.parametrize(
    ("query", "table"), [("steps", "history"), ("reports", "chat_events"), ("followers", "texts"), ("details", "texts")]
)
def test_the_page_of_a_text_reads_only_its_own_rows(detailed: psycopg.Connection, query: str, table: str) -> None:
    asked = {"id": 17, "chat": "17", "reports": 100, "followers": 20}

    chosen = plan(detailed, text_details.SQL[query], asked)

    assert f"Seq Scan on {table}" not in chosen, chosen


@pytest.mark.parametrize(
    ("query", "table"),
    [("find", "bulk_actions"), ("one", "bulk_actions"), ("take", "bulk_actions"), ("next_items", "bulk_items")],
)
def test_a_bulk_action_reads_only_its_own_rows(detailed: psycopg.Connection, query: str, table: str) -> None:
    chosen = plan(detailed, bulk_actions.SQL[query], {"bulk": 2000, "before": 1000, "most": 20})

    assert f"Seq Scan on {table}" not in chosen, chosen


def test_the_refusals_of_a_bulk_action_are_found_by_their_index(detailed: psycopg.Connection) -> None:
    chosen = plan(detailed, bulk_actions.SQL["refusals"], {"bulk": 1000, "most": 50})

    assert "Seq Scan" not in chosen, chosen
