"""Plans that the console makes in the background: the person who asked always learns what became of them."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import overload

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from connector import settings
from connector.backfill import plans
from connector.backfill.plans import PlanState
from connector.crms import Query
from connector.model import TextRequest
from connector.store import audit, console_sessions
from connector.store.audit import Filter
from connector.store.console_sessions import Notice, Session
from tests.support.pipe import wait_for
from tests.webhooks.console.conftest import Browser, Operators
from webhooks.console import planning
from webhooks.console.planning import Planning, PlanWanted
from webhooks.console.roles import Role


def operator(console: Operators) -> Browser:
    return console.client(Role.VIEW, Role.ACT)


def being_made(console: Operators, browser: Browser, seconds: float) -> str:
    """A plan that waits so long for the CRM."""
    [case] = console.box.salesforce.make_cases(1)
    console.box.faults.add("delay", side="salesforce", route="query", seconds=seconds, match=case)
    browser.post("/back-fills", crm="salesforce", ids=case)

    def making() -> list[plans.Plan]:
        with console.pool.connection() as connection:
            return [plan for plan in plans.listed(connection, 9) if plan.state is PlanState.PLANNING]

    return wait_for(making, "it is being made")[0].id


def wait_for_words(browser: Browser, words: str) -> str:
    """The page that has these words."""
    shown: list[str] = []

    def look() -> bool:
        shown.append(browser.get("/back-fills").text)
        return words in shown[-1]

    wait_for(look, f"a page says: {words}")
    return shown[-1]


def test_a_plan_that_is_cancelled_while_it_is_made_is_said_to_be(console: Operators) -> None:
    browser = operator(console)
    plan = being_made(console, browser, 1.5)

    browser.post(f"/back-fills/{plan}/halt", to="cancelled")

    wait_for_words(browser, f"Plan {plan} was cancelled while it was being made.")
    with console.pool.connection() as connection:
        whats = [entry.what for entry in audit.find(connection, Filter(about=f"plan {plan}"), 9)]
    assert whats == ["backfill.cancel"]


def test_no_connection_of_the_pool_waits_for_the_crm(console: Operators) -> None:
    being_made(console, operator(console), 1.5)

    stats = console.pool.get_stats()

    assert stats["pool_available"] == stats["pool_size"]


@contextlib.contextmanager
def without_database(console: Operators) -> Iterator[None]:
    """All connections of the database are cut, and it takes no new ones, for the block."""
    with psycopg.connect(make_conninfo(str(console.pool.conninfo), dbname="postgres"), autocommit=True) as outside:
        with console.pool.connection() as connection:
            name = connection.info.dbname
        outside.execute(f'alter database "{name}" allow_connections false')
        try:
            outside.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", [name])
            yield
        finally:
            outside.execute(f'alter database "{name}" allow_connections true')


def test_a_database_that_was_away_is_told_of_when_it_is_back(
    console: Operators, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "NOTIFY_AGAIN_SECONDS", 0.2)
    console.pool.timeout = 0.2
    browser = operator(console)
    plan = being_made(console, browser, 1.0)

    with without_database(console):
        time.sleep(2.5)  # the plan's thread has tried to tell of it, several times
    console.pool.timeout = 10

    wait_for_words(browser, "The database was away while the plan was being made")
    with console.pool.connection() as connection:
        plans.cancel_abandoned(connection)
        assert plans.found(connection, plan).why == plans.ABANDONED


class Broken(Sequence[str]):
    """Ids that are met by an error that nobody has thought of."""

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...
    def __getitem__(self, index: int | slice) -> str | Sequence[str]:
        raise RuntimeError("the words of this error may hold any data")

    def __len__(self) -> int:
        return 1


class Person:
    """Somebody with a session, who asks for plans."""

    def __init__(self, console: Operators) -> None:
        self._console, self.planning = console, Planning(console.pool, settings.load(_env_file=None))
        self.browser = operator(console)

    @property
    def session(self) -> Session:
        with self._console.pool.connection() as connection:
            [session] = console_sessions.listed(connection)
        return session

    def asks(self, source: Sequence[str], announce: Callable[[], str] = lambda: "begun") -> object:
        actor = audit.Actor("ana", audit.Source.CONSOLE, "")
        wanted = PlanWanted(self.session.id, actor, "salesforce", source, TextRequest(), True)
        return self.planning.begin(wanted, announce)

    def says(self, words: str) -> str:
        with self._console.pool.connection() as connection:
            console_sessions.notify(connection, self.session.id, Notice(words))
        return "begun"


def test_an_error_of_the_connectors_own_is_told_and_another_plan_can_be_made(console: Operators) -> None:
    person = Person(console)

    for _ in range(2):
        assert person.asks(Broken()) == "begun"
        page = wait_for_words(person.browser, "this met an error of the connector&#39;s own. Its log says where.")

    assert "may hold any data" not in page
    with console.pool.connection() as connection:
        assert plans.listed(connection, 9) == []


def test_the_end_is_told_after_the_beginning(console: Operators) -> None:
    """However soon a plan fails: no notice takes the place of another."""
    person = Person(console)

    def slowly() -> str:
        time.sleep(0.5)
        return person.says("It is being made.")

    person.asks(Broken(), slowly)

    wait_for(lambda: not [one for one in threading.enumerate() if one.name == "planning"], "it has ended")
    wait_for_words(person.browser, "It is being made. No plan was made: this met an error")


def test_another_plan_waits_for_its_turn(console: Operators) -> None:
    browser = operator(console)
    being_made(console, browser, 1.0)

    answer = browser.post("/back-fills", crm="salesforce", ids="x" * 18)

    assert "Another plan is being made." in browser.notice(answer)


def test_a_notice_is_not_lost_to_a_form_or_a_download(console: Operators) -> None:
    """Somebody who presses a button elsewhere while a plan is made still learns of the plan."""
    person = Person(console)
    with console.pool.connection() as connection:
        plan = plans.make(connection, "salesforce", Query(), TextRequest())

    person.says("Plan abc is made.")
    person.browser.get(f"/back-fills/{plan}/outcomes.csv")
    answer = person.browser.post(f"/back-fills/{plan}/halt", to="paused")

    assert person.browser.notice(answer).startswith("Plan abc is made. Plan ")
    assert "Plan abc" not in person.browser.get("/back-fills").text, "each is shown once"
