"""What arrives at the same moment is committed together, and nobody pays for another one's odd event."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
from psycopg_pool import ConnectionPool

from connector.model import TicketEvent
from connector.store import events as event_store
from connector.store import postgres
from connector.store.events import EventReceipt
from webhooks.event_batcher import MAX_EVENTS, EventBatcher


def event(name: str, ticket: str | None = "t", **more: Any) -> TicketEvent:
    return TicketEvent("salesforce", name, ticket, **more)


def commits(pool: ConnectionPool) -> int:
    with pool.connection() as connection:
        row = connection.execute("select count(distinct xmin::text) from events").fetchone()
    return row[0] if row else 0


def save(pool: ConnectionPool, *requests: list[TicketEvent]) -> list[list[EventReceipt] | BaseException]:
    """All of them at the same moment, from a thread each."""
    batcher = EventBatcher(pool, event_store.save)
    with ThreadPoolExecutor(len(requests)) as threads:
        saving = [threads.submit(batcher.save, events) for events in requests]
    return [one.exception() or one.result() for one in saving]


def test_many_at_once_are_few_commits_and_each_has_its_own_answer(pool: ConnectionPool) -> None:
    answers = save(pool, *([event(f"{number}a"), event(f"{number}b")] for number in range(40)))
    named = [[one.event_id for one in answer] for answer in answers if isinstance(answer, list)]
    assert named == [[f"{number}a", f"{number}b"] for number in range(40)]
    assert 1 <= commits(pool) < 40


def test_a_request_with_more_events_than_a_commit_usually_has_stays_together(pool: ConnectionPool) -> None:
    [answer] = save(pool, [event(str(number)) for number in range(MAX_EVENTS + 1)])
    assert isinstance(answer, list)
    assert len(answer) == MAX_EVENTS + 1
    assert commits(pool) == 1


def test_the_same_event_in_one_commit_is_a_duplicate_for_all_but_one(pool: ConnectionPool) -> None:
    answers = save(pool, *([event("same")] for _ in range(20)))
    assert sorted(one.duplicate for answer in answers if isinstance(answer, list) for one in answer) == (
        [False] + [True] * 19
    )


def test_an_event_that_cannot_be_saved_is_nobody_elses_business(pool: ConnectionPool) -> None:
    channels = ["nowhere" if number == 3 else "trigger" for number in range(10)]
    answers = save(pool, *([event(f"e{number}", None, channel=channel)] for number, channel in enumerate(channels)))
    assert isinstance(answers[3], psycopg.errors.CheckViolation)
    assert [len(answer) for answer in answers if isinstance(answer, list)] == [1] * 9


def test_without_a_database_everybody_hears_of_it() -> None:
    gone = postgres.pool("postgresql://nobody@127.0.0.1:1/none?connect_timeout=1", 1)
    gone.timeout = 0.2
    answers = save(gone, *([event(str(number))] for number in range(5)))
    assert [isinstance(answer, psycopg.OperationalError) for answer in answers] == [True] * 5
    gone.close()
