"""`connector status` shows what each outbound number has used of its daily budget, and `check` what it may use."""

import json
from pathlib import Path

import psycopg
import pytest

from tests.cli.test_check import COMPLETE, SHIPPED
from tests.support.command import connector

NUMBER = COMPLETE["CONNECTOR_CCAIP_OUTBOUND_NUMBER"]


def status(url: str, folder: Path, budget: str, *arguments: str) -> str:
    (folder / "salesforce.toml").write_text(f"{SHIPPED.read_text()}\n[policy.daily_budget]\n{budget}\n")
    return connector(
        "status", *arguments, **COMPLETE, CONNECTOR_DATABASE_URL=url, CONNECTOR_MAPPINGS=str(folder)
    ).stdout


@pytest.mark.parametrize(
    ("used", "words"),
    [
        (0, "."),
        (1600, ": back-fills wait for the next day; they may use 1,600."),
        (2000, ": its texts wait for the next day."),
    ],
)
def test_the_status_shows_what_is_used(url: str, tmp_path: Path, used: int, words: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "insert into daily_budgets values (%s, (now() at time zone 'UTC')::date, %s, 0)", [NUMBER, used]
        )

    out = status(url, tmp_path, 'texts = 2000\nzone = "UTC"')

    [line] = [line for line in out.splitlines() if line.startswith(NUMBER)]
    assert line.startswith(f"{NUMBER} has used {used:,} of 2,000 texts of 2")
    assert line.endswith(f"(UTC){words}")


def test_the_status_gives_the_same_as_json(url: str, tmp_path: Path) -> None:
    [found] = json.loads(status(url, tmp_path, "segments = 100", "--json"))["daily_budgets"]

    assert (found["number"], found["unit"], found["used"], found["limit"]) == (NUMBER, "segments", 0, 100)
    assert (found["batch_limit"], found["zone"]) == (80, "America/New_York")


def test_a_wrong_mapping_is_no_obstacle(url: str, tmp_path: Path) -> None:
    out = status(url, tmp_path, "texts = 0")

    assert out.startswith("No worker has been heard of")
    assert NUMBER not in out


def test_check_shows_the_budget(tmp_path: Path) -> None:
    (tmp_path / "salesforce.toml").write_text(f"{SHIPPED.read_text()}\n[policy.daily_budget]\ntexts = 2000\n")

    done = connector("check", "--offline", **COMPLETE, CONNECTOR_MAPPINGS=str(tmp_path))

    assert f"  at most 2,000 texts a day from {NUMBER}, by America/New_York; back-fills stop at 1,600\n" in done.stdout


def test_check_refuses_a_budget_that_the_longest_text_never_fits(tmp_path: Path) -> None:
    (tmp_path / "salesforce.toml").write_text(f"{SHIPPED.read_text()}\n[policy.daily_budget]\nsegments = 4\n")

    done = connector("check", "--offline", **COMPLETE, CONNECTOR_MAPPINGS=str(tmp_path))

    assert done.returncode == 1
    assert "salesforce.toml: policy.daily_budget: leaves 3 of 4 segments to batches for " in done.stdout
