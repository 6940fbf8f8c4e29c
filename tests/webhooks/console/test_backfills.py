"""Back-fills in the console."""

import csv
import io
import re

import psycopg
import pytest

from connector.backfill import plans
from connector.backfill.plans import PlanState, Row
from connector.crms import Query
from connector.model import TextRequest
from connector.store import audit
from connector.store.audit import Filter
from tests.support.pipe import wait_for
from tests.webhooks.console.conftest import Browser, Operators
from webhooks.console.roles import Role

REPORT = {"cases": 3, "texts": 2, "segments": 2, "seconds": 1, "calls": 3, "held": 0, "twice": 0, "skipped": []}


@pytest.fixture
def plan(connection: psycopg.Connection) -> str:
    """A plan with two cases to text, and one that is skipped."""
    name = plans.make(connection, "salesforce", Query(where="Status = 'New'"), TextRequest(rule="requested"))
    plans.add(connection, name, 0, [Row("case1"), Row("case2"), Row("case3", "=no phone")])
    plans.planned(connection, name, REPORT | {"first": [], "daily_budget": None})
    return name


def operator(console: Operators) -> Browser:
    return console.client(Role.VIEW, Role.ACT)


def test_a_plan_is_made_from_ids_and_named_in_the_notice(console: Operators, connection: psycopg.Connection) -> None:
    cases = console.box.salesforce.make_cases(3)
    browser = operator(console)

    answer = browser.post("/back-fills", crm="salesforce", ids="\n".join(cases))

    assert "is being made" in browser.notice(answer)
    wait_for(lambda: [one for one in plans.listed(connection, 9) if one.state is PlanState.PLANNED], "the plan is made")
    [made] = plans.listed(connection, 9)
    assert made.report
    assert made.report["cases"] == 3
    wait_for(lambda: f"Plan {made.id} is made" in browser.get("/back-fills").text, "the next page says so")
    [entry] = audit.find(connection, Filter(what="backfill.plan"), 9)
    assert entry.who == f"key:{browser.name}"


def test_rows_without_an_id_are_named(console: Operators, connection: psycopg.Connection) -> None:
    """As on the command line. The lines are those of the form, a blank first one included."""
    [case] = console.box.salesforce.make_cases(1)
    browser = operator(console)

    answer = browser.post("/back-fills", crm="salesforce", ids=f"\r\nName,Id\r\na,{case}\r\nb,\r\nc,\r\n")

    assert "2 rows of the ids without an id: left out (lines 4, 5)." in browser.notice(answer)
    wait_for(lambda: [one for one in plans.listed(connection, 9) if one.state is PlanState.PLANNED], "the plan is made")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "Give a condition, or ids"),
        ({"where": "Id != null", "ids": "500000000000001AAA"}, "Give a condition, or ids"),
        ({"crm": "nothing", "where": "Id != null"}, "Give a condition, or ids"),
        ({"ids": '"a'}, "cannot be read"),
    ],
)
def test_a_form_that_cannot_be_planned_is_refused(console: Operators, fields: dict[str, str], words: str) -> None:
    browser = operator(console)

    assert words in browser.notice(browser.post("/back-fills", **{"crm": "salesforce", **fields}))


def test_a_condition_that_the_crm_refuses_makes_no_plan(console: Operators, connection: psycopg.Connection) -> None:
    browser = operator(console)

    browser.post("/back-fills", crm="salesforce", where="Nonsense = ")

    wait_for(lambda: "No plan was made" in browser.get("/back-fills").text, "the next page says so")
    assert plans.listed(connection, 9) == []


def test_a_plan_is_run_paused_and_cancelled(console: Operators, connection: psycopg.Connection, plan: str) -> None:
    browser = operator(console)
    assert "Run it: send the canary" in browser.get(f"/back-fills/{plan}").text

    run = browser.post(f"/back-fills/{plan}/run", canary="1", cooling="30", max_failed="25")

    assert "runs" in browser.notice(run)
    found = plans.found(connection, plan)
    assert (found.state, found.canary, found.cooling, found.max_failed) == (PlanState.CANARY, 1, 30, 0.25)
    assert found.watched_until is None
    paused = browser.post(f"/back-fills/{plan}/halt", to="paused")
    assert "is paused" in browser.notice(paused)
    assert "is paused" in browser.notice(browser.post(f"/back-fills/{plan}/halt", to="paused")), "and says why not"
    browser.post(f"/back-fills/{plan}/halt", to="cancelled")
    refused = browser.post(f"/back-fills/{plan}/run", canary="1", cooling="30", max_failed="25")
    assert "is cancelled: it cannot be run" in browser.notice(refused)
    whats = [entry.what for entry in audit.find(connection, Filter(about=f"plan {plan}"), 9)]
    assert whats == ["backfill.cancel", "backfill.pause", "backfill.run"]


def test_a_plan_that_is_being_made_says_how_far_it_is_and_can_be_cancelled(
    console: Operators, connection: psycopg.Connection
) -> None:
    name = plans.make(connection, "salesforce", Query(), TextRequest())
    plans.add(connection, name, 0, [Row("case1"), Row("case2")])
    browser = operator(console)

    assert "The cases are being read: 2 so far." in browser.get(f"/back-fills/{name}").text
    assert "is cancelled" in browser.notice(browser.post(f"/back-fills/{name}/halt", to="cancelled"))
    assert plans.found(connection, name).state is PlanState.CANCELLED


@pytest.mark.parametrize("number", ["", "x", "-1", "nan", "inf", "101"])
def test_a_plan_is_not_run_with_a_wrong_number(
    console: Operators, connection: psycopg.Connection, plan: str, number: str
) -> None:
    browser = operator(console)

    answer = browser.post(f"/back-fills/{plan}/run", canary="1", cooling="30", max_failed=number)

    assert "expected a number from 0 to 100" in browser.notice(answer)
    assert plans.found(connection, plan).state is PlanState.PLANNED


def test_the_outcomes_are_a_csv_without_formulas(console: Operators, plan: str) -> None:
    answer = operator(console).get(f"/back-fills/{plan}/outcomes.csv")

    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["ticket_id"] for row in rows] == ["case1", "case2", "case3"]
    assert rows[2]["why"].startswith("'=")
    assert re.search(rf'filename="?back-fill-{plan}.csv', answer.headers["Content-Disposition"])


@pytest.mark.parametrize("path", ["/back-fills/none", "/back-fills/none/outcomes.csv"])
def test_there_is_no_page_of_another_plan(console: Operators, path: str) -> None:
    answer = operator(console).get(path)

    assert answer.status_code == 404
    assert "There is no plan" in answer.text
