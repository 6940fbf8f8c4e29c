"""Who did what at the command line and through the API, and the reports that people look up."""

import getpass
import json
import shutil
import socket
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner, Result

from connector.backfill import plans
from connector.cli import main
from connector.crms import Query
from connector.model import TextRequest, TicketEvent
from connector.store import circuit_breaker, events, opt_outs

NUMBER, OTHER = "+14155550132", "+14155550133"
NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)
Run = Callable[..., Result]


@pytest.fixture
def run(url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run a command in this process, on a database with two texts."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CONNECTOR_DATABASE_URL", url)
    with psycopg.connect(url, autocommit=True) as connection:
        events.save(connection, [TicketEvent("salesforce", f"e{at}", f"case{at}") for at in (1, 2)])

    def run(*arguments: str, status: int = 0) -> Result:
        done = CliRunner().invoke(main, arguments)
        assert done.exit_code == status, done.output
        return done

    return run


def entries(run: Run, *filters: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(run("audit", "--json", *filters).stdout)
    return found


def test_every_command_that_changes_something_is_recorded_once(run: Run) -> None:
    for command in [
        ["texts", "cancel", "1"],
        ["texts", "give-up", "1", "--why", "it is gone"],
        ["suppress", "add", NUMBER, "--why", f"{NUMBER} asked"],
        ["suppress", "add", NUMBER],
        ["suppress", "remove", NUMBER],
        ["keys", "add", "crm", "--right", "read"],
        ["keys", "revoke", "crm"],
        ["purge", "--phone", NUMBER],
    ]:
        run(*command)
    for refused in [["texts", "cancel", "1"], ["suppress", "remove", NUMBER], ["keys", "revoke", "crm"]]:
        run(*refused, status=1)

    found = entries(run)

    assert [entry["what"] for entry in reversed(found)] == [
        "text.cancel",
        "text.give_up",
        "number.suppress",
        "number.lift",
        "key.add",
        "key.revoke",
        "number.purge",
    ]
    assert {(entry["who"], entry["source"], entry["origin"]) for entry in found} == {
        (getpass.getuser(), "cli", socket.gethostname())
    }
    assert [entry["what"] for entry in entries(run, "--phone", NUMBER)] == [
        "number.purge",
        "number.lift",
        "number.suppress",
    ]
    assert [entry["why"] for entry in entries(run, "--about", "text 1", "--what", "text.give_up")] == ["it is gone"]
    assert entries(run, "--until", "2020-01-01") == entries(run, "--who", "nobody") == []
    assert NUMBER not in run("audit").output


def test_a_back_fill_is_recorded_with_what_changed(run: Run, url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        plan = plans.make(connection, "salesforce", Query(), TextRequest())
        plans.planned(connection, plan, {})

    run("backfill", "run", plan, "--detach", "--canary", "3")
    run("backfill", "pause", plan)
    run("backfill", "resume", plan)
    run("backfill", "cancel", plan)
    run("backfill", "cancel", plan)

    found = entries(run, "--about", f"plan {plan}")
    actions = [entry["what"] for entry in reversed(found)]
    assert actions == ["backfill.run", "backfill.pause", "backfill.run", "backfill.cancel"]
    assert found[-1]["after"] == {"canary": 3, "cooling_off": 60, "max_failed": 10, "detached": True}
    assert found[0]["after"] == {"state": "cancelled", "texts_taken_back": 0}


def test_a_resumed_account_and_a_settled_text_are_recorded(run: Run, url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        circuit_breaker.trip(connection, circuit_breaker.PLATFORM, "SMS is not enabled")
        connection.execute("update texts set state = 'unknown' where id = 1")

    run("resume", "--anyway")
    run("resume", "--anyway")
    run("texts", "resolve", "1", "--sent", "4711")

    settled, resumed = entries(run)
    assert (resumed["what"], resumed["about"]) == ("sending.resume", "account ccaip")
    assert resumed["before"] == {"why": "SMS is not enabled", "probed": False}
    assert (settled["what"], settled["before"]) == ("text.resolve", {"state": "unknown"})
    assert settled["after"] == {"state": "sent", "chat": 4711}


def test_a_pause_and_its_end_are_recorded_with_the_reason(run: Run) -> None:
    run("pause", "--batch", "--why", "a wrong message", "--by", "Ana")
    run("resume", "--batch", "--anyway")

    resumed, paused = entries(run)
    assert (paused["what"], paused["about"], paused["why"]) == ("sending.pause", "channel batch", "a wrong message")
    assert (resumed["what"], resumed["about"]) == ("sending.resume", "channel batch")


def test_a_decided_and_an_entered_opt_out_are_recorded_once_and_by_hash(run: Run, url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        opt_outs.heard(connection, "114", "please don't text me any more", NOON, number=NUMBER)
        opt_outs.heard(connection, "115", "revoke", NOON, number=OTHER)

    run("opt-outs", "decide", "1", "--opt-out", "--why", "she wants none")
    run("opt-outs", "decide", "1", "--not", "--why", "a second opinion", status=1)
    run("opt-outs", "entered", OTHER)
    run("opt-outs", "entered", OTHER, status=1)

    entered, decided = entries(run)
    assert (decided["what"], decided["why"]) == ("opt_out.decide", "she wants none")
    assert decided["after"] == {"review": 1, "opt_out": True}
    assert (entered["what"], entered["about"]) == ("opt_out.enter", entries(run, "--phone", OTHER)[0]["about"])
    assert decided["about"] != entered["about"]


def test_an_export_is_json_lines(run: Run, tmp_path: Path) -> None:
    run("texts", "cancel", "1")
    run("texts", "cancel", "2")

    run("audit", "--export", "audit.jsonl")

    lines = (tmp_path / "audit.jsonl").read_text().splitlines()
    assert [json.loads(line)["about"] for line in lines] == ["text 2", "text 1"]
    assert run("audit", "--export", "-").stdout.splitlines() == lines


def test_trim_counts_first_and_deletes_when_asked(run: Run, url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "insert into audit (who, source, origin, what, about, at)"
            " values ('ada', 'cli', 'host', 'text.cancel', 'text 1', now() - interval '800 days')"
        )

    assert "1 audit record older than 730 days would be deleted" in run("audit", "trim", "--dry-run").stdout
    assert len(entries(run)) == 1
    assert "1 audit record older than 730 days deleted" in run("audit", "trim").stdout
    assert [entry["what"] for entry in entries(run)] == ["audit.trim"]


def test_a_report_counts_texts_by_state(run: Run) -> None:
    run("texts", "cancel", "1")

    assert {(row["state"], row["texts"]) for row in json.loads(run("report", "--json").stdout)["counts"]} == {
        ("received", 1),
        ("cancelled", 1),
    }
    assert run("report", "--today", "--csv").stdout.splitlines() == [
        "state,channel,rule,code,texts",
        "cancelled,trigger,,,1",
        "received,trigger,,,1",
    ]
    assert "2 texts." in run("report").stdout
    assert json.loads(run("report", "--since", "2020-01-01", "--until", "2020-12-31", "--json").stdout) == {
        "since": "2020-01-01T00:00:00Z",
        "until": "2021-01-01T00:00:00Z",
        "counts": [],
    }


@pytest.mark.parametrize(
    "arguments",
    [
        ["report", "--today", "--since", "2026-01-01"],
        ["report", "--until", "2026-01-01"],
        ["report", "--csv", "--json"],
        ["audit", "--phone", NUMBER, "--about", "text 1"],
        ["audit", "--since", "yesterday"],
        ["audit", "--since", "2026-11-02", "--until", "2026-11-01"],
        ["report", "--since", "2026-11-02", "--until", "2026-11-01"],
        ["texts", "list", "--since", "2026-11-02", "--until", "2026-11-01"],
        ["texts", "list", "--until", "2026-13-01"],
        ["texts", "list", "--phone", "555"],
    ],
)
def test_what_makes_no_sense_is_refused(run: Run, arguments: list[str]) -> None:
    assert "expected" in run(*arguments, status=2).output


def test_texts_are_listed_by_combined_filters(run: Run, url: str) -> None:
    run("texts", "cancel", "1")

    def ids(*filters: str) -> list[int]:
        return [text["id"] for text in json.loads(run("texts", "list", "--json", *filters).stdout)]

    assert ids("--since", "2020-01-01", "--state", "cancelled", "--not-written") == [1]
    assert ids("--case", "case2", "--since", "2020-01-01T00:00:00+02:00") == [2]
    assert ids("--until", "2020-01-01") == ids("--phone", NUMBER) == ids("--code", "non_us_number") == []


@pytest.mark.skipif(shutil.which("psql") is None, reason="psql is not installed")
def test_psql_opens_the_database_and_that_is_recorded(run: Run, url: str, capfd: pytest.CaptureFixture[str]) -> None:
    run("psql", "-A", "-t", "-c", "select 'texts: ' || count(*) from texts")

    assert "texts: 2" in capfd.readouterr().out
    assert [entry["what"] for entry in entries(run)] == ["database.open"]


def test_a_missing_psql_is_said(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")

    assert "psql is not installed" in run("psql", status=1).output


def test_the_password_is_not_on_psqls_command_line(
    run: Run, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    program = tmp_path / "psql"
    program.write_text('#!/bin/sh\necho "arguments: $@"\necho "password: $PGPASSWORD"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("CONNECTOR_DATABASE_URL", f"{url} password=hunter2hunter2")

    run("psql")

    arguments, password = capfd.readouterr().out.splitlines()
    assert "hunter2" not in arguments
    assert password == "password: hunter2hunter2"


@pytest.mark.parametrize(
    "command", ["texts list", "suppress list", "opt-outs list", "audit", "backfill list", "bulk list"]
)
def test_a_limit_that_is_too_large_is_refused_in_words(run: Run, command: str) -> None:
    done = run(*command.split(), "--limit", "9" * 20, status=2)

    assert "an argument has a number that is too large" in done.output
