"""With many texts stored, no page of the console reads more than a few of them."""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass

import psycopg
import pytest
from psycopg_pool import ConnectionPool

from connector import settings
from connector.backfill import plans
from connector.backfill.plans import Row
from connector.cli import demo
from connector.crms import Query
from connector.model import TextRequest
from connector.sandbox import Sandbox
from tests.conftest import created
from tests.support import many_texts
from tests.webhooks.console.conftest import Browser, Operators
from webhooks.app import create_app
from webhooks.console import roles
from webhooks.console.roles import Role

TEXTS = 20_000
# Rows that a page may read of all tables together: some 50 that it shows, some 20 kinds of unknown texts, counts.
MOST = 2_500
NUMBER = "+14150000100"
PAGES = (
    "/",
    "/?span=week",
    "/texts",
    "/texts?before=10000",
    "/texts?q=state:unknown",
    "/texts?q=state:cancelled",
    "/texts?q=state:queued",
    f"/texts?q=phone:%2B{NUMBER[1:]}",
    "/texts?q=code:customer_busy",
    "/texts?q=agent:nobody",
    "/texts?q=chat:777",
    "/texts?q=text:777",
    "/texts?q=is:held",
    "/texts?q=is:not-written",
    "/texts/997",
    "/texts/777",
    "/texts/777/reason",
    "/unknowns",
    "/unknowns/997",
    "/opt-outs",
    "/person",
    "/back-fills",
    "/back-fills/{plan}",
    "/back-fills/{plan}/outcomes.csv",
    "/bulk",
    "/pauses",
    "/audit",
    "/audit?who=nobody",
    "/audit?about=text 777",
    "/keys",
)
# Pages that ask the CRM, which is another test's matter, or that change their address.
ELSEWHERE = {
    "console.decide_again",
    "console.try_mapping",
    "console.bulk",
    "console.sign_in",
    "console.nothing",
}
# Roll-ups apart: charts read those of their hours, however many texts they stand for.
READ = """select coalesce(sum(seq_tup_read), 0) + coalesce(sum(idx_tup_fetch), 0)
          from pg_stat_user_tables where relname not in ('roll_ups', 'roll_up_changes')"""


@dataclass
class Filled:
    """A browser on a full database, the web process's only connection, another one, and a plan."""

    browser: Browser
    pool: ConnectionPool
    onlooker: psycopg.Connection
    plan: str

    def rows_read(self) -> int:
        """The rows that the web process has read so far. It says so at once when it is asked to."""
        with self.pool.connection() as connection:
            connection.execute("select pg_stat_force_next_flush()")
            connection.execute("select 1")
        self.onlooker.execute("select pg_stat_clear_snapshot()")
        [(rows,)] = self.onlooker.execute(READ).fetchall()
        return int(rows)


@pytest.fixture(scope="module")
def filled(server: str, template: str, box: Sandbox) -> Iterator[Filled]:
    patch = pytest.MonkeyPatch()
    with created(server, "connector_test_many", template) as url:
        for name, value in demo.environment(box, url, 8080, secrets.token_hex(24)).items():
            patch.setenv(name, value)
        # One connection: what it has read is known when it says so.
        with ConnectionPool(url, min_size=1, max_size=1, kwargs={"autocommit": True}, open=True) as pool:
            with pool.connection() as connection:
                many_texts.fill(connection, TEXTS)
                plan = made_plan(connection)
            app = create_app(settings.load(_env_file=None), pool)
            with psycopg.connect(url, autocommit=True) as onlooker:
                yield Filled(Operators(app, pool, box).client(*Role), pool, onlooker, plan)
    patch.undo()


def made_plan(connection: psycopg.Connection) -> str:
    """A plan of 200 cases; its id."""
    plan = plans.make(connection, "salesforce", Query(), TextRequest())
    plans.add(connection, plan, 0, [Row(f"case{n}") for n in range(200)])
    report = {"cases": 200, "texts": 200, "segments": 200, "seconds": 1, "calls": 3, "held": 0, "twice": 0}
    plans.planned(connection, plan, report | {"skipped": [], "first": [], "daily_budget": None})
    return plan


@pytest.mark.parametrize("path", PAGES)
def test_a_page_reads_few_rows(filled: Filled, path: str) -> None:
    before = filled.rows_read()

    answer = filled.browser.get(path.format(plan=filled.plan))

    assert answer.status_code == 200, answer.text
    assert filled.rows_read() - before <= MOST


def test_every_page_is_looked_at(filled: Filled) -> None:
    app = filled.browser.client.application
    adapter = app.url_map.bind("localhost")
    seen = {adapter.match(f"/console{path.partition('?')[0].format(plan='x')}")[0] for path in PAGES}
    pages = {
        rule.endpoint
        for rule in app.url_map.iter_rules()
        if rule.endpoint.startswith("console.") and "GET" in (rule.methods or ()) and rule.endpoint != "console.static"
    }
    assert pages - seen == ELSEWHERE
    assert all(roles.required(app, endpoint) for endpoint in seen)
