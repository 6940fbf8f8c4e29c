"""What others have written does nothing where it is shown: on a terminal, in a log, in a spreadsheet."""

import csv
import io
import json
import logging
from collections.abc import Callable

import pytest
from click.testing import CliRunner, Result
from psycopg.types.json import Jsonb
from psycopg_pool import ConnectionPool

from connector import harmless, logs, transitions
from connector.backfill import outcome_file, plans
from connector.cli import backfill_report, main
from connector.crms import Query
from connector.errors import RefusalScope, Refused
from connector.expressions import CannotApply, Condition
from connector.model import Skip, TextRequest, TicketEvent
from connector.store import events, suppressions, texts

NUMBER = "+14155550132"
# Markup, a bell and a title; a single C1 character that begins a sequence; text that runs backwards; a second line.
ODD = "[/VIP] [bold]x \x1b[31mred\x1b]0;title\x07 \x9b2J \u202egnp.exe\nsecond\r line\t."
ACTED_UPON = ("\x1b", "\x07", "\x9b", "\u202e", "\r", "\t")
Run = Callable[..., Result]


@pytest.fixture
def text(pool: ConnectionPool) -> int:
    """A text about which everybody has written something odd."""
    with pool.connection() as connection:
        request = TextRequest(agent_name=ODD, override=ODD)
        [taken] = events.save(connection, [TicketEvent("salesforce", ODD, f"500{ODD}", request=request)])
        assert taken.text
        trace = [{"check": ODD, "said": ODD, "why": ODD}]
        texts.move(connection, [transitions.skipped(taken.text, Skip(ODD), trace)])
        connection.execute("update texts set rule = %s, contradicted = %s, write_refused = %s", [ODD] * 3)
        connection.execute("update texts set outcome = 1, written = 0")
        suppressions.suppress(connection, NUMBER, ODD, ODD)
        connection.execute(
            "insert into sending_state (account, next_at, tripped_at, tripped_why) values (%s, now(), now(), %s)",
            [ODD, ODD],
        )
        report = {
            "cases": 1,
            "texts": 1,
            "segments": 1,
            "daily_budget": None,
            "seconds": 1,
            "calls": 1,
            "held": 0,
            "twice": 0,
            "skipped": [{"why": ODD, "cases": 1, "examples": [ODD]}],
            "first": [{"ticket": ODD, "to": "+1", "message": ODD}],
        }
        connection.execute(
            """insert into plans (id, crm, query, request, state, why, report)
               values ('abc', %s, '{}', '{}', 'stopped', %s, %s)""",
            [ODD, ODD, Jsonb(report)],
        )
        connection.execute(
            "insert into api_keys (name, hash, rights, per_minute) values (%s, 'h', %s, 1)", [ODD, [ODD]]
        )
        return taken.text


@pytest.fixture
def run(url: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("CONNECTOR_DATABASE_URL", url)
    return lambda *arguments: CliRunner().invoke(main, arguments)


COMMANDS = [
    ["status"],
    ["texts", "list"],
    ["texts", "list", "--refused"],
    ["texts", "list", "--contradicted"],
    ["texts", "show", "1"],
    ["suppress", "list"],
    ["keys", "list"],
    ["backfill", "list"],
    ["backfill", "status", "abc"],
    ["backfill", "report", "abc"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("as_json", [False, True])
def test_odd_words_are_shown_as_they_are_and_do_nothing(text: int, run: Run, command: list[str], as_json: bool) -> None:
    to_file = ["-"] if command[1:2] == ["report"] else []
    result = run(*command, *["--json", *to_file] * as_json)
    shown = result.stdout
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert not [sign for sign in ACTED_UPON if sign in shown]
    if as_json and not to_file:
        assert any(ODD in one for one in _strings(json.loads(shown))), "JSON says the very words"
    else:
        assert to_file or "[/VIP] [bold]x" in shown


def _strings(value: object) -> list[str]:
    if isinstance(value, dict):
        return [one for part in value.values() for one in _strings(part)]
    if isinstance(value, list):
        return [one for part in value for one in _strings(part)]
    return [value] if isinstance(value, str) else []


def test_a_plan_in_words_is_harmless(text: int, pool: ConnectionPool, capsys: pytest.CaptureFixture[str]) -> None:
    with pool.connection() as connection:
        backfill_report.show_plan(connection, "abc", as_json=False)
    shown = capsys.readouterr().out
    assert "[/VIP] [bold]x" in shown
    assert not [sign for sign in ACTED_UPON if sign in shown]


def test_log_lines_are_harmless_and_masked_whoever_wrote_them() -> None:
    """A platform's words, an agent's name, a number as somebody typed it: one place for all lines."""
    words = f"{ODD} {NUMBER} (415) 555-0132 ４１５５５５０１３２ ada.l+x@example.com"
    line = logs.safe(None, "", {"event": words, "why": words, "crms": [words], "text": 7, "ticket": "5001234567"})
    said = json.dumps(line, ensure_ascii=False)
    assert not [sign for sign in ("555", "５５５", "ada", *ACTED_UPON, "\\u001b") if sign in said]
    assert line["ticket"] == "5001234567", "an id is no number"
    assert "[/VIP] [bold]x" in said
    record = logging.LogRecord("lib", logging.WARNING, "", 0, words, (), None)
    for people in (False, True):
        of_library = logs.Lines(people).format(record)
        assert not [sign for sign in ("555", "ada", *ACTED_UPON, "\n") if sign in of_library]


@pytest.mark.parametrize(
    "written",
    [
        "/numbers/14155550132/sms",
        "https://example.com/14155550132",
        "tel-4155550132",
        "user_14155550132",
        "_4155550132_",
        "+14155550132x12",
        "+1 (415) - 555 - 0132",
        "+1·415·555·0132",
        "%2B1%20415%20555%200132",
        "\\u002b14155550132",
        "ada%40example.com",
    ],
)
def test_a_number_is_masked_wherever_it_stands(written: str) -> None:
    said = logs.safe(None, "", {"event": "refused", "why": f"refused {written} by"})["why"]
    assert not [part for part in ("1415", "4155", "555", "ada") if part in said]


@pytest.mark.parametrize(
    "kept",
    [
        "job 550e8400-e29b-41d4-a716-446655440000",
        "at 2026-11-26 16:32 UTC",
        "text 123456 of 2",
        "case 500000000000001AAA",
        "http://192.168.100.200:8080",
        "no answer (after 30.0 s)",
        "1,000,000 cases",
    ],
)
def test_what_is_no_number_is_not_masked(kept: str) -> None:
    assert logs.safe(None, "", {"event": kept}) == {"event": kept}


def test_the_words_of_remote_sides_are_masked_where_they_come_in() -> None:
    """They end in logs, in the history, on tickets and in reports of plans."""
    assert str(Refused(f"{NUMBER} is invalid; ask ada@example.com", RefusalScope.TICKET)) == (
        "••••••••••32 is invalid; ask •••@example.com"
    )


def test_a_condition_that_cannot_be_applied_does_not_quote_the_value() -> None:
    for value in (NUMBER, "Ada"):
        with pytest.raises(CannotApply, match="invalid type for sum") as error:
            Condition("sum(phone) > `1`").search({"phone": value})
        assert value not in str(error.value)


@pytest.mark.parametrize(
    "cell",
    [
        '=HYPERLINK("http://x","y")',
        "+1+1",
        "-2+3",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "\n=1",
        " =1",
        "＝1",
        "+1415 555",
        "-",
    ],
)
def test_no_field_of_a_csv_is_a_formula(pool: ConnectionPool, cell: str) -> None:
    """Nor is what stands behind a line's end in a field, which would begin a row."""
    with pool.connection() as connection:
        plan = plans.make(connection, "salesforce", Query(), TextRequest())
        plans.add(connection, plan, 0, [plans.Row(cell, f"odd{cell}")])
        written = "".join(outcome_file.csv_lines(connection, plan))
    [row] = csv.DictReader(io.StringIO(written, newline=""))
    assert (row["ticket_id"], row["why"]) == (f"'{harmless.on_screen(cell)}", f"odd{harmless.on_screen(cell)}")
    assert len(written.splitlines()) == 2


@pytest.mark.parametrize("cell", [NUMBER, "-5", "+3.5", "500000000000001AAA", "a-b", "", 7, None])
def test_numbers_and_words_of_a_csv_stay_as_they_are(cell: object) -> None:
    assert harmless.in_spreadsheet(cell) == cell
