"""`connector bulk`, `texts write-back` and `texts send-again`, in processes of their own."""

import json
from collections.abc import Callable, Iterator

import psycopg
import pytest

from connector.model import State
from connector.store import audit, bulk_actions
from connector.store.audit import Actor, Filter
from connector.store.bulk_actions import BulkKind, BulkRequest
from connector.worker import bulk_actions as worker
from tests.store.test_actions import texts_in
from tests.support.command import connector

ADA = Actor("ada", audit.Source.CLI, "host")
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def connection(url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def run(url: str) -> Run:
    def run(*arguments: str) -> tuple[int, str, str]:
        done = connector(*arguments, CONNECTOR_DATABASE_URL=url, COLUMNS="200")
        assert "Traceback" not in done.stderr
        said = "".join(line for line in done.stderr.splitlines(keepends=True) if not line.startswith("database: "))
        return done.returncode, done.stdout, said

    return run


def test_bulk_actions_are_listed_shown_and_stopped(run: Run, connection: psycopg.Connection) -> None:
    ids = texts_in(connection, State.SENT, State.SENT)
    bulk = bulk_actions.start(connection, BulkRequest(BulkKind.CANCEL, "wrong words", ids=ids), ADA, 2)

    assert "wrong words" in run("bulk", "list")[1]
    assert run("bulk", "stop", str(bulk))[:2] == (0, f"Bulk action {bulk} is stopped.\n")
    assert run("bulk", "stop", str(bulk))[::2] == (1, f"Bulk action {bulk} is not running.\n")
    assert json.loads(run("bulk", "show", str(bulk), "--json")[1])["state"] == "stopped"
    assert run("bulk", "show", "99")[::2] == (1, "There is no bulk action 99.\n")


def test_refusals_are_shown_with_an_example(run: Run, connection: psycopg.Connection) -> None:
    ids = texts_in(connection, State.SENT, State.SENT)
    bulk = bulk_actions.start(connection, BulkRequest(BulkKind.CANCEL, "wrong words", ids=ids), ADA, 2)
    worker.run(connection)

    _, shown, _ = run("bulk", "show", str(bulk))

    assert ["refused", "2"] in [line.split() for line in shown.splitlines()]
    assert "was sent already" in shown


def test_a_text_is_sent_again_and_written_back_again(run: Run, connection: psycopg.Connection) -> None:
    [text] = texts_in(connection, State.FAILED)

    assert run("texts", "send-again", "1", "--why", "corrected")[:2] == (
        0,
        f"Text {text + 1} was asked for in place of text {text}.\n",
    )
    assert run("texts", "send-again", "1", "--why", "corrected")[0] == 1
    assert run("texts", "write-back", "1")[:2] == (0, "Text 1: its outcome will be written to the ticket again.\n")
    assert run("texts", "write-back", "2")[::2] == (1, "Text 2 has no outcome yet.\n")
    assert [entry.what for entry in audit.find(connection, Filter(about="text 1"), 9)] == [
        "text.write_back",
        "text.send_again",
    ]
