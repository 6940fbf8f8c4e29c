"""What arrives at the same moment is committed together, and nobody pays for another one's odd event."""

import threading
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from psycopg_pool import ConnectionPool

from connector import database
from connector.intake import Intake
from connector.model import TicketEvent


def event(name: str, ticket: str = "t") -> TicketEvent:
    return TicketEvent("salesforce", name, ticket)


def commits(pool: ConnectionPool) -> int:
    with pool.connection() as connection:
        row = connection.execute("select count(distinct xmin::text) from event").fetchone()
    return row[0] if row else 0


def test_many_at_once_are_few_commits_and_each_has_its_own_answer(pool: ConnectionPool) -> None:
    intake, barrier = Intake(pool, "test"), threading.Barrier(40)

    def take(number: int) -> list[str]:
        barrier.wait()
        return [one.event_id for one in intake.take_in([event(f"{number}a"), event(f"{number}b")])]

    with ThreadPoolExecutor(40) as threads:
        answers = list(threads.map(take, range(40)))
    assert answers == [[f"{number}a", f"{number}b"] for number in range(40)]
    assert 1 <= commits(pool) < 40


def test_the_same_event_in_one_commit_is_a_duplicate_for_all_but_one(pool: ConnectionPool) -> None:
    intake, barrier = Intake(pool, "test"), threading.Barrier(20)

    def take(_: int) -> bool:
        barrier.wait()
        return intake.take_in([event("same")])[0].duplicate

    with ThreadPoolExecutor(20) as threads:
        assert sorted(threads.map(take, range(20))) == [False] + [True] * 19


def test_an_event_that_cannot_be_kept_is_nobody_elses_business(pool: ConnectionPool) -> None:
    intake, barrier = Intake(pool, "test"), threading.Barrier(10)

    def take(number: int) -> str:
        barrier.wait()
        try:
            intake.take_in([event(f"e{number}", door="nowhere") if number == 3 else event(f"e{number}")])
        except psycopg.Error as error:
            return type(error).__name__
        return "kept"

    def event(name: str, door: str = "trigger") -> TicketEvent:
        return TicketEvent("salesforce", name, None, door=door)  # type: ignore[arg-type]

    with ThreadPoolExecutor(10) as threads:
        answers = list(threads.map(take, range(10)))
    assert [answer for number, answer in enumerate(answers) if number != 3] == ["kept"] * 9
    assert answers[3] == "CheckViolation"


def test_without_a_database_everybody_hears_of_it() -> None:
    gone = database.pool("postgresql://nobody@127.0.0.1:1/none?connect_timeout=1", 1)
    gone.timeout = 0.2
    intake = Intake(gone, "test")
    with ThreadPoolExecutor(5) as threads:
        asked = [threads.submit(intake.take_in, [event(str(number))]) for number in range(5)]
        for one in asked:
            with pytest.raises(psycopg.OperationalError):
                one.result(timeout=10)
    assert intake.take_in([]) == []
    gone.close()
