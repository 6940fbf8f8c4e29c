"""Every command says which database, org and tenant it speaks of; one that only looks makes no database."""

import json
import os
from pathlib import Path

import pytest

from tests.cli.test_cli import run
from tests.support.command import connector
from tests.support.pipe import free_port

# Commands that have nothing to put into a new database.
LOOKING = [
    ["status"],
    ["status", "--json"],
    ["resume"],
    ["texts", "list"],
    ["texts", "show", "1"],
    ["texts", "cancel", "1"],
    ["texts", "resolve", "1", "--not-sent"],
    ["texts", "give-up", "1", "--why", "x"],
    ["suppress", "list"],
    ["suppress", "remove", "+14155550132"],
    ["keys", "list"],
    ["keys", "revoke", "x"],
    ["purge", "--phone", "+14155550132"],
    ["backfill", "list"],
    ["backfill", "status", "x"],
    ["backfill", "run", "x"],
    ["backfill", "pause", "x"],
    ["backfill", "cancel", "x"],
    ["backfill", "resume", "x"],
    ["backfill", "report", "x"],
]
SET = {
    "CONNECTOR_CCAIP_SUBDOMAIN": "acme",
    "CONNECTOR_CCAIP_DOMAIN": "uc1.ccaiplatform.com",
    "CONNECTOR_SALESFORCE_URL": "https://acme.my.salesforce.com",
}
REMOTE = "salesforce org: acme.my.salesforce.com; CCAI Platform tenant: acme.uc1.ccaiplatform.com"


@pytest.mark.parametrize("command", LOOKING, ids=" ".join)
def test_a_command_that_only_looks_makes_no_database_in_a_wrong_folder(command: list[str], tmp_path: Path) -> None:
    done = connector(*command, folder=tmp_path, CONNECTOR_DATA_DIR="data")
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert f"there is no database in {tmp_path}/data/postgres. Start this command in the folder of" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_each_command_says_which_database_org_and_tenant(url: str) -> None:
    for command in (["status"], ["texts", "list"], ["keys", "list"], ["suppress", "list"], ["backfill", "list"]):
        done = connector(*command, CONNECTOR_DATABASE_URL=url, **SET)
        assert done.returncode == 0, done.stderr
        [line] = done.stderr.splitlines()
        assert line.startswith("database: connector_test_")
        assert line.endswith(REMOTE)


def test_what_is_not_set_is_said_and_json_stays_pure(url: str) -> None:
    done = connector("status", "--json", CONNECTOR_DATABASE_URL=url)
    assert "texts" in json.loads(done.stdout)
    assert done.stderr.endswith("; salesforce org: not set; CCAI Platform tenant: not set\n")


def test_migrate_and_check_say_it_too(url: str) -> None:
    assert connector("migrate", CONNECTOR_DATABASE_URL=url, **SET).stderr.endswith(f"{REMOTE}\n")
    first = connector("check", "--offline", CONNECTOR_DATABASE_URL=url, **SET).stdout.splitlines()[0]
    assert first.startswith("database: connector_test_")
    assert first.endswith(REMOTE)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("postgresql://me:a-secret@db.example:5433/texts?sslmode=require", "texts at db.example:5433"),
        ("postgresql://me:a-secret@db.example/", "me at db.example"),
        ("host=/run/postgresql password=a-secret dbname=texts", "texts at /run/postgresql"),
    ],
)
def test_no_password_is_shown(given: str, said: str) -> None:
    org = {"CONNECTOR_SALESFORCE_URL": "https://me:b-secret@acme.my.salesforce.com"}
    done = connector("check", "--offline", CONNECTOR_DATABASE_URL=given, **org)
    assert done.stdout.startswith(f"database: {said}; salesforce org: acme.my.salesforce.com; ")
    assert "-secret" not in done.stdout + done.stderr


def test_run_says_it_once_in_its_log(url: str, tmp_path: Path) -> None:
    with run(url, tmp_path, free_port()) as (_, said):
        assert "".join(said).count("; salesforce org: 127.0.0.1:") == 1


def test_a_folder_without_a_database_is_not_taken_for_one_that_was_made(tmp_path: Path) -> None:
    (tmp_path / "data" / "postgres").mkdir(parents=True)
    done = connector("status", folder=tmp_path, CONNECTOR_DATA_DIR="data")
    assert (done.returncode, os.listdir(tmp_path / "data" / "postgres")) == (2, [])
