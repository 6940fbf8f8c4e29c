"""The texts that a draft of a mapping is tried on, found quickly among many."""

from collections.abc import Iterator

import psycopg
import pytest

from connector.store import decisions
from tests.conftest import created

TEXTS = 30_000


@pytest.fixture(scope="module")
def filled(server: str, template: str) -> Iterator[psycopg.Connection]:
    """Many texts: three about each ticket, every hundredth of an agent; the last thousand belong to another CRM."""
    with (
        created(server, "connector_test_decisions", template) as url,
        psycopg.connect(url, autocommit=True) as connection,
    ):
        connection.execute(
            """insert into texts (event, crm, ticket_id, channel)
               select n, case when n > %(most)s - 1000 then 'other' else 'salesforce' end, 'case' || n / 3,
                      case when n %% 100 = 0 then 'agent' else 'trigger' end
               from generate_series(1, %(most)s) n""",
            {"most": TEXTS},
        )
        connection.execute("vacuum analyze texts")
        yield connection


def test_the_newest_texts_of_a_crm_are_found_oldest_first(filled: psycopg.Connection) -> None:
    assert decisions.newest(filled, "salesforce", 3) == [28_998, 28_999, 29_000]
    assert decisions.newest(filled, "nosuch", 3) == []


def test_the_newest_trigger_of_each_ticket_is_found(filled: psycopg.Connection) -> None:
    """An agent's text is no trigger; a ticket without one is left out."""
    found = decisions.triggered(filled, "salesforce", ["case0", "case33", "case66", "nosuch"])

    assert found == {"case0": 2, "case33": 101, "case66": 199}


@pytest.mark.parametrize(
    ("query", "parameters"),
    [
        ("newest", {"crm": "nosuch", "most": 1000, "among": decisions.NEWEST_TEXTS}),
        ("triggered", {"crm": "salesforce", "tickets": [f"case{n}" for n in range(200)]}),
        ("decision", {"id": 17}),
    ],
)
def test_every_query_uses_an_index(filled: psycopg.Connection, query: str, parameters: dict[str, object]) -> None:
    rows = filled.execute(f"explain {decisions.SQL[query]}", parameters).fetchall()
    chosen = "\n".join(row for (row,) in rows)

    assert "Index" in chosen
    assert "Seq Scan" not in chosen, chosen
