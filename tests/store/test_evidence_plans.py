"""Reason, unknowns and person: no query of these pages reads a whole table, whatever it holds."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from connector.store import person, reason_view, unknowns
from tests.conftest import created
from tests.store.test_text_search import plan

NOW = datetime.now(UTC)
# What a table holds when the connector has run for some days; the first texts share a reason.
FILLED = (
    """insert into events (crm, event_id, channel, ticket_id)
       select 'salesforce', 'e' || n, 'trigger', 'case' || n / 2 from generate_series(1, 20000) n""",
    """insert into texts (event, crm, ticket_id, channel, state, number, rule, reason, same_as, chat, received_at,
                          changed_at, outcome, written)
       select n, 'salesforce', 'case' || n / 2, 'trigger',
              case when n % 997 = 0 then 'unknown' when n % 10 = 0 then 'skipped' when n > 19990 then 'queued'
                   else 'sent' end,
              md5((n / 3)::text), 'requested', case when n % 10 <> 0 then md5('r' || n) end,
              case when n % 10 = 0 then n - 1 end, case when n % 10 <> 0 then jsonb_build_object('id', n) end,
              now() - (20000 - n) * interval '1 minute', now() - (20000 - n) * interval '1 minute', 1, 1
       from generate_series(1, 20000) n""",
    """insert into history (text, at, from_state, to_state, why)
       select n, now() - (20000 - n) * interval '1 minute', s.f, s.t, ''
       from generate_series(1, 20000) n,
            (values ('received', 'queued'), ('queued', 'sending'), ('sending', 'sent')) as s (f, t)""",
    """insert into history (text, at, from_state, to_state, why)
       select n * 997, now(), 'unknown', 'failed', '' from generate_series(1, 5) n""",
    """insert into reasons (crm, rule, reason, text)
       select crm, rule, reason, id from texts where reason is not null""",
    """insert into chat_events (key, chat_id, event_type, occurred_at, received_at, processed_at)
       select 'k' || n, n::text, 'message_received', now() - (20000 - n) * interval '1 minute',
              now() - (20000 - n) * interval '1 minute', now() from generate_series(1, 20000) n""",
    """insert into chats (chat_id, status, at, source) select n::text, 'assigned', now(), 'webhook'
       from generate_series(1, 20000) n""",
    """insert into suppressions (number, source) select '+1415' || 5550000 + n, 'person'
       from generate_series(1, 5000) n""",
    """insert into opt_out_reviews (key, number, crm, ticket_id, chat, words, said_at, due_at, limit_at, decided_at)
       select 'k' || n, '+1415' || 5550000 + n, 'salesforce', 'case' || n, n::text, 'no', now(), now(), now(), now()
       from generate_series(1, 5000) n""",
    """insert into record_fields (crm, ticket_id, kind, number, value)
       select 'salesforce', 'case' || n, 'opt_out', md5(n::text), true from generate_series(1, 5000) n""",
    """insert into audit (who, source, origin, what, about) select 'ada', 'cli', 'host', 'text.cancel', 'text ' || n
       from generate_series(1, 20000) n""",
    "insert into idempotency_keys (caller, key, body, text) select 'a', n::text, '', n from generate_series(1, 5000) n",
    """insert into plans (id, crm, query, request, state) select 'p' || n, 'salesforce', '{}', '{}', 'done'
       from generate_series(1, 20) n""",
    """insert into plan_cases (plan, position, ticket_id, text)
       select 'p' || 1 + n % 20, n, 'case' || n, n from generate_series(1, 20000) n""",
    """insert into opt_out_words (number, opted_out, said_at) select md5(n::text), true, now()
       from generate_series(1, 5000) n""",
    "insert into chat_updates (text, chat) select n, n::text from generate_series(1, 20000) n",
    "insert into audit_notes (audit, why) select id, 'she called' from audit",
    "insert into person_lookups (hash, number) select md5(n::text), n::text from generate_series(1, 5000) n",
    "vacuum analyze",
)
NUMBER, HASH = {"number": "+14155550100"}, {"hash": "0cc175b9c0f1b6a831c399e269772661"}
REASON = {"crm": "salesforce", "rule": "requested", "reason": "x", "ids": [1, 2], "tickets": ["case1"], "most": 200}
CALL = {"called": NOW, "given_up": NOW, "hours": 1, "skew": 30, "most": 20, "most_events": 2_000, "number": "x"}
PERSON = NUMBER | HASH | {"crms": ["salesforce"], "tickets": ["case1"], "ids": [1], "abouts": ["text 1"], "most": 500}
QUERIES: dict[str, tuple[str, dict[str, Any]]] = {
    **{f"reason {name}": (query, REASON | {"id": 17}) for name, query in reason_view.SQL.items()},
    **{
        f"unknowns {name}": (
            query,
            CALL
            | {"id": 997, "crm": "salesforce", "ticket": "case1", "chat": "17", "days": 30}
            | {"after": NOW, "after_id": 1},
        )
        for name, query in unknowns.SQL.items()
    },
    **{
        f"person {name}": (query, PERSON | {"crm": "salesforce", "ticket": "case1"})
        for name, query in person.SQL.items()
        if name != "remember"
    },
}


@pytest.fixture(scope="module")
def filled(server: str, template: str) -> Iterator[psycopg.Connection]:
    with (
        created(server, "connector_test_evidence", template) as url,
        psycopg.connect(url, autocommit=True) as connection,
    ):
        for statement in FILLED:
            connection.execute(statement)
        yield connection


@pytest.mark.parametrize("name", QUERIES)
def test_every_query_uses_indexes(filled: psycopg.Connection, name: str) -> None:
    query, asked = QUERIES[name]

    chosen = plan(filled, query, asked)

    assert "Seq Scan" not in chosen.replace("Seq Scan on plans", ""), chosen


def test_the_time_to_settle_does_not_depend_on_the_age_of_the_history(filled: psycopg.Connection) -> None:
    assert "history_settled" in plan(filled, unknowns.SQL["time_to_settle"], {})
