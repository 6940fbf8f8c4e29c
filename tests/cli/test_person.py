"""connector person: the record of one person, which can be checked against a printed page."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner, Result

from connector.cli import main
from connector.model import Decision, OutboundSms, TicketEvent
from connector.store import events
from tests.support.remote import queued

NUMBER, CASE = "+14155550132", "500000000000001AAA"
Run = Callable[..., Result]


@pytest.fixture
def run(url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run a command in this process, on a database with a text that waits for NUMBER, and one without a number."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CONNECTOR_DATABASE_URL", url)
    with psycopg.connect(url, autocommit=True) as connection:
        events.save(
            connection, [TicketEvent("salesforce", "a", CASE), TicketEvent("salesforce", "b", "500000000000002AAA")]
        )
        queued(connection, {1: Decision("requested", "a", OutboundSms(NUMBER, "+16285550199", "Hi Ada", CASE))})

    def run(*arguments: str, status: int = 0) -> Result:
        done = CliRunner().invoke(main, arguments)
        assert done.exit_code == status, done.output
        return done

    return run


def test_a_person_is_printed_with_a_checksum_that_can_be_computed_from_the_json(run: Run) -> None:
    printed = json.loads(run("person", "--phone", NUMBER, "--json").stdout)

    record = json.dumps(printed["record"], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert hashlib.sha256(record.encode()).hexdigest() == printed["checksum"]
    assert printed["record"]["texts"][0]["message"] == "Hi Ada"
    shown = run("person", "--phone", NUMBER).stdout
    assert printed["checksum"] in shown
    assert NUMBER in shown


def test_a_ticket_leads_to_the_same_person(run: Run) -> None:
    by_phone = json.loads(run("person", "--phone", NUMBER, "--json").stdout)

    assert json.loads(run("person", "--ticket", CASE, "--json").stdout) == by_phone
    assert json.loads(run("person", "--case", CASE[:15], "--json").stdout) == by_phone


def test_a_ticket_without_a_number_has_a_record_too(run: Run) -> None:
    record = json.loads(run("person", "--ticket", "500000000000002AAA", "--json").stdout)["record"]

    assert (record["number"], [text["state"] for text in record["texts"]]) == (None, ["received"])


def test_a_masked_record_shows_neither_number_nor_message(run: Run) -> None:
    for form in (("--json",), ()):
        shown = run("person", "--phone", NUMBER, "--masked", *form).stdout
        assert NUMBER[:-4] not in shown
        assert "Hi Ada" not in shown
        assert "0132" in shown


def test_what_is_not_there_is_said(run: Run) -> None:
    assert "Nothing is stored" in run("person", "--phone", "+14155550199", status=1).stderr
    assert "no text" in run("person", "--ticket", "500000000000009AAA", status=1).stderr
    run("person", status=2)
    run("person", "--phone", NUMBER, "--ticket", CASE, status=2)
