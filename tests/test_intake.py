"""What arrives at the same moment is committed together, and nobody pays for another one's odd event."""

import asyncio
from typing import Any

import psycopg
import pytest
from psycopg_pool import ConnectionPool

from connector import database
from connector.intake import Intake
from connector.ledger import TakenIn
from connector.model import TicketEvent


def event(name: str, ticket: str | None = "t", **more: Any) -> TicketEvent:
    return TicketEvent("salesforce", name, ticket, **more)


def commits(pool: ConnectionPool) -> int:
    with pool.connection() as connection:
        row = connection.execute("select count(distinct xmin::text) from event").fetchone()
    return row[0] if row else 0


def take_in(pool: ConnectionPool, *messages: list[TicketEvent]) -> list[list[TakenIn] | BaseException]:
    """All of them at the same moment."""

    async def arrive() -> list[list[TakenIn] | BaseException]:
        intake = Intake(pool)
        return await asyncio.gather(*map(intake.together, messages), return_exceptions=True)

    return asyncio.run(arrive())


def test_many_at_once_are_few_commits_and_each_has_its_own_answer(pool: ConnectionPool) -> None:
    answers = take_in(pool, *([event(f"{number}a"), event(f"{number}b")] for number in range(40)))
    named = [[one.event_id for one in answer] for answer in answers if isinstance(answer, list)]
    assert named == [[f"{number}a", f"{number}b"] for number in range(40)]
    assert 1 <= commits(pool) < 40


def test_the_same_event_in_one_commit_is_a_duplicate_for_all_but_one(pool: ConnectionPool) -> None:
    answers = take_in(pool, *([event("same")] for _ in range(20)))
    assert sorted(one.duplicate for answer in answers if isinstance(answer, list) for one in answer) == (
        [False] + [True] * 19
    )


def test_an_event_that_cannot_be_kept_is_nobody_elses_business(pool: ConnectionPool) -> None:
    doors = ["nowhere" if number == 3 else "trigger" for number in range(10)]
    answers = take_in(pool, *([event(f"e{number}", None, door=door)] for number, door in enumerate(doors)))
    assert isinstance(answers[3], psycopg.errors.CheckViolation)
    assert [len(answer) for answer in answers if isinstance(answer, list)] == [1] * 9


def test_without_a_database_everybody_hears_of_it() -> None:
    gone = database.pool("postgresql://nobody@127.0.0.1:1/none?connect_timeout=1", 1)
    gone.timeout = 0.2
    answers = take_in(gone, *([event(str(number))] for number in range(5)))
    assert [isinstance(answer, psycopg.OperationalError) for answer in answers] == [True] * 5
    with pytest.raises(psycopg.OperationalError):
        Intake(gone).alone([event("one")])
    gone.close()
