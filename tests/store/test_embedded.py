"""The embedded PostgreSQL starts wherever its folder is, and whatever the locale of whoever starts it."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from connector import settings
from connector.store import postgres
from tests.conftest import server_folder
from tests.support.command import connector

LONG = "a-folder-with-a-long-name-" * 5


@pytest.fixture
def base() -> Iterator[Path]:
    """Not in one of pytest's folders: for root it belongs to another user, and these are locked for others."""
    folder = server_folder("connector-test-")
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize(
    "name",
    [
        "it's",
        'a "quoted", Müller 東京',
        f"{LONG} é",
        "$HOME `id` \\ ; & % *",
    ],
    ids=["apostrophe", "quote, comma, not ASCII", "long, blank, not ASCII", "shell"],
)
def test_a_data_folder_may_have_any_name(base: Path, name: str) -> None:
    """Commands in processes of their own, one of them while the server runs already."""
    data = base / name
    wanted: settings.Settings = settings.load(data_dir=data, database_url=None, _env_file=None)
    with postgres.ready(wanted) as url:
        done = connector("suppress", "add", "+14155550132", CONNECTOR_DATA_DIR=str(data))
        assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
        with psycopg.connect(url) as connection:
            assert connection.execute("show listen_addresses").fetchone() == ("",)
    done = connector("suppress", "list", "--json", CONNECTOR_DATA_DIR=str(data))
    assert "+14155550132" in done.stdout, done.stderr
    assert not (data / "postgres" / "postmaster.pid").exists(), "it stops with the last of its users"


@pytest.mark.parametrize("variables", [["LC_ALL"], ["LANG", "LC_CTYPE", "LC_MESSAGES"]], ids=["all", "each"])
def test_a_locale_that_is_not_installed_does_not_matter(base: Path, variables: list[str]) -> None:
    strange = {"LC_ALL": "", **dict.fromkeys(variables, "xx_XX.UTF-8"), "CONNECTOR_DATA_DIR": str(base / "data")}
    for _ in range(2):
        done = connector("migrate", **strange)
        assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr


def test_a_new_database_is_the_same_in_every_locale(base: Path) -> None:
    before = dict(os.environ)
    with postgres.running(settings.load(data_dir=base, database_url=None, _env_file=None)) as url:
        with psycopg.connect(url) as connection:
            query = "select datcollate, pg_encoding_to_char(encoding) from pg_database limit 1"
            found = connection.execute(query).fetchone()
        assert found in (("C.UTF-8", "UTF8"), ("C", "UTF8"))
    assert dict(os.environ).get("LC_ALL") == before.get("LC_ALL")


def test_a_folder_whose_database_cannot_start_is_told_in_a_sentence(base: Path) -> None:
    data = {"CONNECTOR_DATA_DIR": str(base)}
    assert connector("migrate", **data).returncode == 0
    (base / "postgres" / "postgresql.conf").write_text("nonsense\n")
    done = connector("status", **data)
    assert (done.returncode, "Traceback" in done.stderr) == (2, False), done.stderr
    assert f"CONNECTOR_DATA_DIR: the embedded database in {base}/postgres cannot be started" in done.stderr
