"""Every command works on a console that lacks some characters: they are replaced."""

import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from connector.model import Decision, OutboundSms, TicketEvent
from connector.store import events
from tests.cli.test_check import COMPLETE
from tests.support import command
from tests.support.remote import queued

COMMANDS = [
    ["--help"],
    ["check", "--offline"],
    ["status"],
    ["texts", "list"],
    ["texts", "show", "1"],
    ["suppress", "list"],
    ["suppress", "add", "+14155550132", "--why", "Müller 東京 ☎"],
    ["suppress", "list", "--json"],
    ["nonsense ☎"],
    ["texts", "list", "--ticket", "東京"],
    ["backfill", "--help"],
    ["backfill", "list"],
    ["keys", "add", "☎ é", "--right", "read"],
    ["keys", "list"],
    ["purge", "--phone", "☎"],
]


@pytest.fixture
def shown(url: str) -> str:
    """A database with a text whose words no small console has."""
    with psycopg.connect(url, autocommit=True) as connection:
        events.save(connection, [TicketEvent("salesforce", "e ☎", "case 東京")])
        sms = OutboundSms("+14155550132", "+16285550199", "Hi Jürgen ☎", "case")
        queued(connection, {1: Decision("rule ☎", "1", sms)})
    return url


@pytest.mark.parametrize("encoding", ["latin-1", "ascii:strict", "cp437"])
def test_every_command_shows_replaced_characters_where_a_console_lacks_them(
    shown: str, encoding: str, tmp_path: Path
) -> None:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("CONNECTOR_")}
    wanted = clean | COMPLETE | {"CONNECTOR_DATABASE_URL": shown, "PYTHONIOENCODING": encoding}
    for arguments in COMMANDS:
        done = command.run(arguments, wanted, tmp_path)
        assert "Traceback" not in done.stderr, done.stderr
        assert done.stdout + done.stderr


def test_an_argument_that_is_no_text_is_refused_in_words(shown: str, tmp_path: Path) -> None:
    wanted = os.environ | {"CONNECTOR_DATABASE_URL": shown}
    done = subprocess.run(
        [sys.executable, "-m", "connector", "texts", "list", "--ticket", b"\xff\xfe"],
        env=wanted,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert (done.returncode, "Traceback" in done.stderr) == (2, False), done.stderr
