"""Roll-ups count what the table of texts holds, after any transitions, by however many at once."""

import random
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from psycopg_pool import ConnectionPool

from connector import transitions
from connector.backfill import plans
from connector.errors import RefusalCode
from connector.model import Channel, Chat, Decision, OutboundSms, Skip, TextRequest, TicketEvent
from connector.store import erasure, events, outcomes, retention, roll_ups, texts
from connector.store.outcomes import WriteResult
from connector.store.roll_ups import Latency, LatencyKind, Outcomes
from tests.support.counted import WIDE, counted, in_table, outcomes_in_table, outcomes_rolled_up
from tests.support.remote import queued, started

CODES = [None, RefusalCode.NON_US_NUMBER, RefusalCode.CUSTOMER_BUSY]
HOUR = timedelta(hours=1)


def saved(connection: psycopg.Connection, name: str, channel: Channel = Channel.TRIGGER, **more: object) -> int:
    [receipt] = events.save(connection, [TicketEvent("salesforce", name, f"case {name}", channel=channel, **more)])  # type: ignore[arg-type]
    assert receipt.text
    return receipt.text


def decided(connection: psycopg.Connection, text: int, rule: str = "requested") -> int:
    """Queue a text and begin its call; the number of its claim."""
    sms = OutboundSms(f"+1415555{text:04}", "+16285550199", "Hi", f"case {text}")
    queued(connection, {text: Decision(rule, f"r{text}", sms)})
    return started(connection, text)[text]


def sent(connection: psycopg.Connection, name: str, channel: Channel = Channel.TRIGGER) -> int:
    text = saved(connection, name, channel)
    texts.move(connection, [transitions.sent(text, decided(connection, text), Chat(id=text))])
    return text


def some_texts(connection: psycopg.Connection, name: str, seed: int) -> None:
    """Save texts, and take each through a few random transitions."""
    chance = random.Random(seed)  # noqa: S311 - a test's repeatable choices
    for at in range(4):
        text = saved(connection, f"{name}{at}")
        claim = decided(connection, text, chance.choice(["requested", "late"]))
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


def agree(connection: psycopg.Connection) -> bool:
    """Whether the roll-ups say what the table says, before and after they are summed up."""

    def now() -> bool:
        return counted(connection) == in_table(connection) and outcomes_rolled_up(connection) == outcomes_in_table(
            connection
        )

    before = now()
    roll_ups.sum_up(connection)
    return before and now()


def test_roll_ups_equal_the_truth_after_random_transitions_at_the_same_time(pool: ConnectionPool) -> None:
    """Four connections move texts, and counts are summed up meanwhile."""

    def work(name: int) -> None:
        with pool.connection() as connection:
            for turn in range(5):
                some_texts(connection, f"{name}-{turn}-", seed=100 * name + turn)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(work, range(4)))

    with pool.connection() as connection:
        assert sum(count.texts for count in counted(connection)) == 80
        assert len({count.state for count in counted(connection)}) > 2
        assert agree(connection)


@pytest.mark.parametrize("erase", ["purge", "retention"])
def test_counts_outlive_the_texts_data(pool: ConnectionPool, erase: str) -> None:
    """Erasure cancels what waits, and leaves the counts of all else."""
    with pool.connection() as connection:
        text, waiting = sent(connection, "a"), saved(connection, "b")
        queued(
            connection,
            {waiting: Decision("requested", "b", OutboundSms(f"+1415555{text:04}", "+16285550199", "Hi", "case b"))},
        )

        if erase == "purge":
            erasure.purge(connection, f"+1415555{text:04}")
        else:
            retention.keep(connection, 0)

        assert (
            connection.execute("select sms from texts where id = %s", [text]).fetchone() == (None,)
            or erase == "retention"
        )
        assert {count.state for count in counted(connection)} == {"sent", "cancelled" if erase == "purge" else "queued"}
        assert agree(connection)


def test_a_second_attempt_leaves_the_unknown_texts(pool: ConnectionPool) -> None:
    with pool.connection() as connection:
        text = saved(connection, "a")
        texts.move(connection, [transitions.unknown(text, decided(connection, text), "?", after=0)])
        assert [count.state for count in counted(connection)] == ["unknown"]

        started(connection, text)

        assert [count.state for count in counted(connection)] == ["sending"]
        assert agree(connection)


def test_a_follower_that_is_decided_again_is_skipped_no_longer(pool: ConnectionPool) -> None:
    with pool.connection() as connection:
        first, second = saved(connection, "a"), saved(connection, "b")
        sms = OutboundSms("+14155550100", "+16285550199", "Hi", "case")
        queued(connection, {first: Decision("requested", "r", sms)})
        texts.move(connection, [transitions.skipped_as(second, first, [], 0)])
        assert [count.state for count in counted(connection)] == ["queued", "skipped"]

        texts.move(connection, [transitions.skipped(first, Skip("no rule", notify=False))])

        assert [count.state for count in counted(connection)] == ["received", "skipped"]
        assert agree(connection)


def test_a_halted_plan_takes_its_counts_back(pool: ConnectionPool) -> None:
    with pool.connection() as connection:
        text = saved(connection, "a", Channel.BATCH)
        texts.move(connection, [transitions.cancelled(text, "halted")])
        connection.execute("update texts set outcome = 0")

        connection.execute(plans.SQL["give_back"], {"plan": "none", "texts": [text]})

        assert counted(connection) == []
        assert agree(connection)


def test_a_text_counts_in_the_hour_of_its_present_state(pool: ConnectionPool) -> None:
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    with pool.connection() as connection:
        text = saved(connection, "e")
        connection.execute("update texts set changed_at = %s", [hour - 3 * HOUR])

        texts.move(connection, [transitions.cancelled(text, "by somebody")])

        assert roll_ups.counts(connection, hour - 3 * HOUR, hour) == []
        [count] = roll_ups.counts(connection, hour, hour + 2 * HOUR)
        assert (count.state, count.texts) == ("cancelled", 1)


def test_what_is_undone_is_not_counted(pool: ConnectionPool) -> None:
    with pool.connection() as connection, connection.transaction() as transaction:
        sent(connection, "e")
        raise psycopg.Rollback(transaction)

    with pool.connection() as connection:
        assert counted(connection) == []


def test_old_periods_become_hours(pool: ConnectionPool) -> None:
    """After two days; a change that comes later is added to its hour."""
    old = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(days=3)
    with pool.connection() as connection:
        for minutes in (0, 5, 59):
            sent(connection, f"e{minutes}")
            connection.execute("update roll_up_changes set period = %s", [old + timedelta(minutes=minutes)])
            roll_ups.sum_up(connection)

        rows = connection.execute("select period, step, sum(texts) from roll_ups group by 1, 2").fetchall()

    assert rows == [(old, "sent", 3)]


def test_series_counts_outcomes_by_time(pool: ConnectionPool) -> None:
    now = datetime.now(UTC)
    with pool.connection() as connection:
        sent(connection, "a")
        sent(connection, "b")
        saved(connection, "c")
        roll_ups.sum_up(connection)
        failed = saved(connection, "d")
        texts.move(connection, [transitions.refused(failed, decided(connection, failed), "no", code=CODES[1])])

        series = roll_ups.series(connection, now - HOUR, now + HOUR, 86_400)

    midnight = series[0].start
    assert midnight.astimezone(UTC).time() == datetime.min.time()
    assert series == [
        Outcomes(midnight, "failed", "trigger", "non_us_number", 1),
        Outcomes(midnight, "sent", "trigger", "", 2),
    ]


def test_latencies_are_counted_once_for_each_text(pool: ConnectionPool) -> None:
    """To the platform's acceptance, to the ticket, and to the outcome that an agent waits for."""
    now = datetime.now(UTC)
    with pool.connection() as connection:
        text = saved(connection, "a", Channel.AGENT, request=TextRequest(agent_name="Ann"))
        connection.execute("update texts set due_at = now() - interval '40 seconds'")
        texts.move(connection, [transitions.sent(text, decided(connection, text), Chat(id=1))])
        connection.execute("update texts set due_at = now() - interval '2 hours'")
        for _ in range(2):
            outcomes.record(connection, [WriteResult(text, 1)])

        found = roll_ups.latencies(connection, now - HOUR, now + HOUR, 86_400)

    assert [(one.kind, one.bucket, one.texts) for one in found] == [
        (LatencyKind.CLICK, 60, 1),
        (LatencyKind.SENT, 60, 1),
        (LatencyKind.WRITTEN, 14_400, 1),
    ]
    assert isinstance(found[0], Latency)


def test_a_scheduled_text_is_due_at_its_time(pool: ConnectionPool) -> None:
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    with pool.connection() as connection:
        saved(connection, "a", Channel.AGENT, request=TextRequest(agent_name="Ann", send_at=tomorrow.isoformat()))

        assert connection.execute("select due_at from texts").fetchone() == (tomorrow,)
        assert roll_ups.counts(connection, tomorrow - WIDE, tomorrow + WIDE)[0].state == "received"
