"""A worker's steps keep plans that are made on empty tables and right for full ones: each row is found by an index."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from psycopg import sql

from connector import transitions
from connector.errors import RefusalCode
from connector.model import Chat, Decision, OutboundSms, Skip, TicketEvent
from connector.store import chat_updates, events, outcomes, pauses, postgres, recipients, sending_claims, texts
from connector.store.chat_updates import Shown
from connector.store.outcomes import WriteResult
from connector.store.sending_claims import Attempt
from connector.store.texts import Claim

# Tables that grow with the texts.
LARGE = (
    "texts",
    "events",
    "history",
    "reasons",
    "recipients",
    "chats",
    "chat_updates",
    "suppressions",
    "opt_out_reviews",
)
# Indexes of texts that name a few of them, whatever they are looked up by.
LOOK_UPS = {
    "texts_pkey",
    "texts_event_key",
    "texts_ticket",
    "texts_restored",
    "texts_same_as",
    "texts_chat",
    "texts_claimed",
}


@pytest.fixture
def step(url: str) -> Iterator[psycopg.Connection]:
    """A connection of a worker's steps, which prepares each statement at its first use."""
    with psycopg.connect(url, autocommit=True, options=postgres.BY_INDEX, prepare_threshold=0) as connection:
        yield connection


def delivered(connection: psycopg.Connection, name: str) -> None:
    """Take a text through every step; a second one is skipped for it, and a third one is refused."""
    saved = [TicketEvent("salesforce", f"{name}{at}", f"case {name}{at}") for at in range(3)]
    first, second, third = (receipt.text or 0 for receipt in events.save(connection, saved))
    sms = {text: OutboundSms(f"+1415555{text:04}", "+16285550199", "Hi", f"case {text}") for text in (first, third)}
    decisions = {text: Decision("requested", f"r{text}", one) for text, one in sms.items()}
    loaded = texts.load(connection, [first, second, third])
    pauses.covering(connection, [first])
    recipients.known(connection, [(text, "salesforce", one, None) for text, one in decisions.items()])
    claims = [Claim(text, 0, one.rule, one.reason, one.sms, [], timedelta(hours=1)) for text, one in decisions.items()]
    texts.admit(connection, claims, datetime.now(UTC))
    texts.to_be_sent(connection, [first])
    tries = [Attempt(text, loaded[text].revision + 1, text) for text in sms]
    claimed = sending_claims.start_sending(connection, tries, 60)
    sending_claims.undo_sending(connection, [Attempt(third, 2, third)])
    sending_claims.start_sending(connection, [Attempt(third, 3, third)], 60)
    texts.move(connection, [transitions.skipped_as(second, first, [], 0)])
    texts.move(connection, [transitions.sent(first, int(str(claimed[first])), Chat(id=first))])
    texts.move(connection, [transitions.refused(third, 4, "no", code=RefusalCode.NON_US_NUMBER)])
    texts.move(connection, [transitions.skipped(third, Skip("no rule", notify=False))])
    found = outcomes.pending(connection, [first, second]).outcomes
    outcomes.begin_write(connection, {one.text: {} for one in found})
    outcomes.own_writes(connection, [first])
    outcomes.record(connection, [WriteResult(one.text, one.version) for one in found])
    chat_updates.follow(connection, [Shown(first, "selecting", {})])
    outcomes.retry_later(connection, {third: (1.0, None)})


def kept_plans(connection: psycopg.Connection) -> dict[str, str]:
    """Each prepared statement of the connector's own, and its plan for parameters that are not known."""
    prepared = connection.execute(
        "select name, statement, cardinality(parameter_types) from pg_prepared_statements", prepare=False
    ).fetchall()
    plans = {}
    for name, statement, count in prepared:
        if statement.startswith(("--", "select", "update", "insert", "with")):
            values = sql.SQL(", ").join([sql.SQL("null")] * count)
            arguments = sql.SQL("({})").format(values) if count else sql.SQL("")
            execute = sql.SQL("explain execute {}{}").format(sql.Identifier(name), arguments)
            plans[statement] = "\n".join(row for (row,) in connection.execute(execute, prepare=False))
    return plans


def wrong(plan: str) -> list[str]:
    """What reads a whole table or index of many rows."""
    whole = re.findall(rf"Seq Scan on (?:{'|'.join(LARGE)})\b.*", plan)
    indexes = set(re.findall(r"Index (?:Only )?Scan (?:Backward )?(?:using|on) (texts_\w+)", plan))
    return whole + sorted(indexes - LOOK_UPS)


@pytest.mark.parametrize("filled", ["empty", "one text, analyzed"])
def test_kept_plans_find_every_row_by_an_index(step: psycopg.Connection, filled: str) -> None:
    if filled != "empty":
        delivered(step, "before")
        step.execute("analyze", prepare=False)
        step.execute("deallocate all", prepare=False)
    delivered(step, "a")

    plans = kept_plans(step)

    assert len(plans) > 20
    assert {statement: problems for statement, plan in plans.items() if (problems := wrong(plan))} == {}


def test_a_whole_table_is_noticed(step: psycopg.Connection) -> None:
    step.execute("select id from texts where why = %s", ["x"])

    [problems] = [found for plan in kept_plans(step).values() if (found := wrong(plan))]

    assert problems
