"""Roll-ups count what the table of texts holds, after any transitions, by however many at once."""

import random
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from psycopg_pool import ConnectionPool

from connector import transitions
from connector.errors import RefusalCode
from connector.model import Chat, Decision, OutboundSms, Skip, TicketEvent
from connector.store import events, roll_ups, texts
from connector.store.roll_ups import Count
from tests.support.remote import queued, started

WIDE = timedelta(days=365)
CODES = [None, RefusalCode.NON_US_NUMBER, RefusalCode.CUSTOMER_BUSY]
TRUTH = """select state, channel, coalesce(rule, ''), coalesce(code, ''), count(*) from texts
           group by 1, 2, 3, 4 order by 1, 2, 3, 4"""


def counted(connection: psycopg.Connection) -> list[Count]:
    now = datetime.now(UTC)
    return roll_ups.counts(connection, now - WIDE, now + WIDE)


def truth(connection: psycopg.Connection) -> list[Count]:
    return [Count(*row) for row in connection.execute(TRUTH).fetchall()]


def some_texts(connection: psycopg.Connection, name: str, seed: int) -> None:
    """Save texts, and take each through a few random transitions."""
    chance = random.Random(seed)  # noqa: S311 - a test's repeatable choices
    saved = events.save(connection, [TicketEvent("salesforce", f"{name}{at}", f"case {name}{at}") for at in range(4)])
    for text in [receipt.text for receipt in saved if receipt.text]:
        sms = OutboundSms(f"+1415555{text:04}", "+16285550199", "Hi", f"case {text}")
        queued(connection, {text: Decision(chance.choice(["requested", "late"]), f"r{text}", sms)})
        claim = started(connection, text)[text]
        code = chance.choice(CODES)
        ends = [
            transitions.sent(text, claim, Chat(id=text)),
            transitions.refused(text, claim, "no", code=code),
            transitions.again(text, claim, "busy", 60, code=code),
            transitions.unknown(text, claim, "?"),
        ]
        texts.move(connection, [chance.choice(ends)])
        if chance.random() < 0.3:
            texts.move(connection, [transitions.not_sent(text, "a person says so")])
        if chance.random() < 0.3:
            texts.move(connection, [transitions.skipped(text, Skip("no more"))])
        if chance.random() < 0.2:
            roll_ups.sum_up(connection)


def test_roll_ups_equal_the_truth_after_random_transitions_at_the_same_time(pool: ConnectionPool) -> None:
    """Four connections move texts, and rows are replaced by their sums meanwhile."""

    def work(name: int) -> None:
        with pool.connection() as connection:
            for turn in range(5):
                some_texts(connection, f"{name}-{turn}-", seed=100 * name + turn)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(work, range(4)))

    with pool.connection() as connection:
        assert sum(count.texts for count in counted(connection)) == 80
        assert len({count.state for count in counted(connection)}) > 2
        assert counted(connection) == truth(connection)
        roll_ups.sum_up(connection)
        assert counted(connection) == truth(connection)


def test_a_text_counts_in_the_hour_of_its_present_state(pool: ConnectionPool) -> None:
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    with pool.connection() as connection:
        [saved] = events.save(connection, [TicketEvent("salesforce", "e", "case")])
        connection.execute("update texts set changed_at = %s", [hour - timedelta(hours=3)])

        texts.move(connection, [transitions.cancelled(saved.text or 0, "by somebody")])

        assert roll_ups.counts(connection, hour - timedelta(hours=3), hour) == []
        [count] = roll_ups.counts(connection, hour, hour + timedelta(hours=2))
        assert (count.state, count.texts) == ("cancelled", 1)


@pytest.mark.parametrize("undo", ["rollback", "delete"])
def test_what_is_undone_is_not_counted(pool: ConnectionPool, undo: str) -> None:
    with pool.connection() as connection, connection.transaction() as transaction:
        events.save(connection, [TicketEvent("salesforce", "e", "case")])
        if undo == "delete":
            connection.execute("delete from texts")
        else:
            raise psycopg.Rollback(transaction)

    with pool.connection() as connection:
        assert counted(connection) == []


def test_sums_replace_the_rows_of_an_hour(pool: ConnectionPool) -> None:
    with pool.connection() as connection:
        for number in range(3):
            events.save(connection, [TicketEvent("salesforce", f"e{number}", "case")])
        roll_ups.sum_up(connection)
        roll_ups.sum_up(connection)

        rows = connection.execute("select state, texts, summed from roll_ups").fetchall()

    assert rows == [("received", 3, True)]
