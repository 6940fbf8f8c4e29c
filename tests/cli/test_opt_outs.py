"""What operators see and decide of opt-outs at the command line."""

import json
from collections.abc import Callable
from datetime import UTC, datetime

import psycopg
import pytest
from click.testing import CliRunner, Result

from connector.cli import main
from connector.store import opt_outs, suppressions

NUMBER, OTHER = "+14155550132", "+14155550133"
WISH = "please take me off your list"
Run = Callable[..., Result]


@pytest.fixture
def run(url: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command on a database with an open review, number 1, and a word to enter by hand."""
    monkeypatch.setenv("CONNECTOR_DATABASE_URL", url)
    with psycopg.connect(url, autocommit=True) as connection:
        opt_outs.heard(connection, "114", WISH, datetime(2026, 11, 26, 12, tzinfo=UTC), number=NUMBER)
        opt_outs.heard(connection, "115", "revoke", datetime.now(UTC), number=OTHER)
    return lambda *arguments: CliRunner().invoke(main, arguments)


def test_open_reviews_and_numbers_to_enter_are_listed(run: Run) -> None:
    shown = run("opt-outs", "list").stdout
    assert WISH in shown
    assert OTHER in shown
    assert "REVOKE" in shown
    listed = json.loads(run("opt-outs", "list", "--pending", "--json").stdout)
    assert [(one["id"], one["number"], one["words"]) for one in listed["reviews"]] == [(1, NUMBER, WISH)]
    assert [one["number"] for one in listed["to_enter"]] == [OTHER]
    assert "word" in run("suppress", "list").stdout


def test_a_review_is_decided_once(run: Run, url: str) -> None:
    assert run("opt-outs", "decide", "1", "--why", "x").exit_code == 2, "one of the two has to be given"
    assert run("opt-outs", "decide", "1", "--opt-out").exit_code == 2, "a reason has to be given"
    done = run("opt-outs", "decide", "1", "--opt-out", "--why", "wants none")
    assert (done.exit_code, "Review 1: opt-out." in done.stdout) == (0, True)
    again = run("opt-outs", "decide", "1", "--not", "--why", "x")
    assert (again.exit_code, again.stderr.splitlines()[-1]) == (
        1,
        "Review 1 is not open, or does not exist: nothing was changed.",
    )
    with psycopg.connect(url) as connection:
        assert suppressions.sources(connection, NUMBER) == ["person"]
    assert json.loads(run("opt-outs", "list", "--pending", "--json").stdout)["reviews"] == []
    assert "opt-out" in run("opt-outs", "list").stdout


@pytest.mark.parametrize("named", ["1", NUMBER])
def test_a_number_entered_by_hand_is_recorded_once(run: Run, named: str) -> None:
    assert run("opt-outs", "entered", named).exit_code == 1, "it is not decided yet"
    run("opt-outs", "decide", "1", "--opt-out", "--why", "wants none")
    done = run("opt-outs", "entered", named)
    assert (done.exit_code, done.stdout) == (0, "••••••••••32 is recorded as entered on CCAI Platform's list.\n")
    assert run("opt-outs", "entered", named).exit_code == 1
    assert run("opt-outs", "entered", "nobody").exit_code == 2


def test_the_status_finds_reviews_that_are_overdue(run: Run, url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("update opt_out_reviews set due_at = now() + interval '1 day'")
    due = run("status")
    assert (due.exit_code, "1 message may be an opt-out: connector opt-outs list --pending" in due.stdout) == (0, True)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("update opt_out_reviews set due_at = now() - interval '1 day'")
    overdue = run("status")
    assert (overdue.exit_code, "1 message may be an opt-out; 1 overdue" in overdue.stdout) == (1, True)
    said = json.loads(run("status", "--json").stdout)
    assert said["opt_out_reviews"] == {"open": 1, "overdue": 1, "oldest": 1}


def test_the_status_finds_fields_that_the_crm_refuses(run: Run, url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("delete from opt_out_reviews")
        connection.execute(
            """insert into record_fields (crm, ticket_id, kind, value, refused)
               values ('salesforce', '5', 'opt_out', true, 'no'), ('salesforce', '5', 'phone_invalid', true, 'no')"""
        )
    shown = run("status")
    assert shown.exit_code == 1
    assert "1 opt-out field refused by the CRM" in shown.stdout
    assert "1 mark of an invalid number refused by the CRM" in shown.stdout
    assert json.loads(run("status", "--json").stdout)["fields_refused"] == {"opt_out": 1, "phone_invalid": 1}
