"""Bulk actions: what they act upon, what they refuse, how they stop, and that a worker that dies does nothing twice."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import psycopg
import pytest
from psycopg_pool import ConnectionPool

from connector import transitions
from connector.errors import ActionRefused, MoreThanConfirmed
from connector.model import State, TicketEvent
from connector.store import actions, audit, bulk_actions, erasure, events, retention, texts
from connector.store.audit import Action, Actor, Filter
from connector.store.bulk_actions import BulkAction, BulkKind, BulkRequest
from connector.store.text_search import Search
from connector.worker import bulk_actions as worker
from tests.store.test_actions import NUMBER, texts_in

ADA = Actor("ada", audit.Source.CLI, "host")
WAITING = Search(state=State.RECEIVED)
CANCEL = BulkRequest(BulkKind.CANCEL, "wrong words", "state:received", WAITING)


@pytest.fixture
def connection(pool: ConnectionPool) -> Iterator[psycopg.Connection]:
    with pool.connection() as connection:
        yield connection


def waiting(connection: psycopg.Connection, count: int) -> list[int]:
    saved = events.save(connection, [TicketEvent("salesforce", f"w{n}", f"case{n}") for n in range(count)])
    return [receipt.text or 0 for receipt in saved]


def bulk_of(connection: psycopg.Connection, bulk: int) -> BulkAction:
    found = bulk_actions.one(connection, bulk)
    assert found
    return found


def counts(connection: psycopg.Connection, bulk: int) -> tuple[str, int, int, int]:
    found = bulk_of(connection, bulk)
    return found.state, found.requested, found.done, found.refused


def states(connection: psycopg.Connection) -> list[str]:
    return [state for (state,) in connection.execute("select state from texts order by id")]


def cancels(connection: psycopg.Connection) -> int:
    return len(audit.find(connection, Filter(what=Action.TEXT_CANCEL), 10_000))


def test_all_that_match_are_acted_upon_and_each_is_recorded(connection: psycopg.Connection) -> None:
    waiting(connection, 45)
    texts.move(connection, [transitions.decide_again(1)])

    bulk = bulk_actions.start(connection, CANCEL, ADA, confirmed=44)
    worker.run(connection)

    assert counts(connection, bulk) == ("done", 44, 44, 0)
    assert states(connection) == ["queued"] + 44 * ["cancelled"]
    found = bulk_of(connection, bulk)
    assert (found.who, found.why, found.query, found.left) == ("ada", "wrong words", "state:received", 0)
    [start] = audit.find(connection, Filter(about=audit.bulk(bulk)), 10)
    assert (start.what, start.after, start.why) == (
        "bulk.start",
        {"action": "cancel", "texts": 44, "search": "state:received"},
        "wrong words",
    )
    [item] = audit.find(connection, Filter(about=audit.text(2)), 10)
    assert (item.who, item.origin, item.why) == ("ada", f"bulk action {bulk}, host", "wrong words")


def test_a_text_that_left_the_search_is_not_touched_and_a_new_one_is_not_drawn_in(
    connection: psycopg.Connection,
) -> None:
    waiting(connection, 3)
    bulk = bulk_actions.start(connection, CANCEL, ADA, confirmed=3)
    texts.move(connection, [transitions.decide_again(2)])  # it still could be cancelled: only the search keeps it
    events.save(connection, [TicketEvent("salesforce", "new", "case9")])

    worker.run(connection)

    assert states(connection) == ["cancelled", "queued", "cancelled", "received"]
    assert counts(connection, bulk) == ("done", 3, 2, 1)
    [refusal] = bulk_actions.refusals(connection, bulk)
    assert (refusal.why, refusal.texts, refusal.examples) == (worker.NOT_FITTING, 1, [2])


def test_selected_texts_are_checked_by_the_action_and_by_the_search_if_there_was_one(
    connection: psycopg.Connection,
) -> None:
    [failed, sent, waits] = texts_in(connection, State.FAILED, State.SENT, State.RECEIVED)
    chosen = BulkRequest(BulkKind.CANCEL, "no", ids=[failed, sent, waits, 99])
    bulk = bulk_actions.start(connection, chosen, ADA, confirmed=4)
    worker.run(connection)
    assert counts(connection, bulk) == ("done", 3, 1, 2)
    assert {refusal.why[:10] for refusal in bulk_actions.refusals(connection, bulk)} == {"has failed", "was sent a"}

    chosen = BulkRequest(BulkKind.SEND_AGAIN, "no", "state:sent", Search(state=State.SENT), ids=[failed])
    bulk = bulk_actions.start(connection, chosen, ADA, confirmed=1)
    worker.run(connection)
    assert [refusal.why for refusal in bulk_actions.refusals(connection, bulk)] == [worker.NOT_FITTING]


@pytest.mark.parametrize(
    ("kind", "state", "entry"),
    [
        (BulkKind.WRITE_BACK, State.SENT, "text.write_back"),
        (BulkKind.SEND_AGAIN, State.FAILED, "text.send_again"),
    ],
)
def test_each_action_is_the_one_of_a_single_text(
    connection: psycopg.Connection, kind: BulkKind, state: State, entry: str
) -> None:
    [text] = texts_in(connection, state)

    bulk = bulk_actions.start(connection, BulkRequest(kind, "why", ids=[text]), ADA, 1)
    worker.run(connection)

    assert counts(connection, bulk) == ("done", 1, 1, 0)
    assert [found.what for found in audit.find(connection, Filter(about=audit.text(text)), 9)] == [entry]


def test_texts_of_one_number_suppress_it_once(connection: psycopg.Connection) -> None:
    ids = texts_in(connection, State.SENT, State.SENT)

    bulk = bulk_actions.start(connection, BulkRequest(BulkKind.SUPPRESS, "complaint", ids=ids), ADA, 2)
    worker.run(connection)

    assert counts(connection, bulk) == ("done", 2, 1, 1)
    assert connection.execute("select number from suppressions").fetchall() == [(NUMBER,)]


def test_what_was_sent_again_in_bulk_gives_way_to_people(connection: psycopg.Connection) -> None:
    [text] = texts_in(connection, State.FAILED)

    bulk_actions.start(connection, BulkRequest(BulkKind.SEND_AGAIN, "why", ids=[text]), ADA, 1)
    worker.run(connection)

    assert connection.execute("select channel from texts where id > %s", [text]).fetchall() == [("batch",)]


def test_more_texts_than_were_confirmed_start_nothing(connection: psycopg.Connection) -> None:
    waiting(connection, 3)

    with pytest.raises(MoreThanConfirmed, match="more than 2 texts"):
        bulk_actions.start(connection, CANCEL, ADA, confirmed=2)

    assert bulk_actions.find(connection, 9) == []
    assert audit.find(connection, Filter(), 9) == []


def test_a_search_that_finds_nothing_starts_nothing(connection: psycopg.Connection) -> None:
    with pytest.raises(ActionRefused, match="finds no text"):
        bulk_actions.start(connection, CANCEL, ADA, confirmed=5)

    assert bulk_actions.find(connection, 9) == []


def test_a_stop_ends_it_between_two_items(connection: psycopg.Connection) -> None:
    waiting(connection, 3 * worker.ITEMS_AT_ONCE)
    bulk = bulk_actions.start(connection, CANCEL, ADA, confirmed=1000)
    worker.step(connection)

    bulk_actions.stop(connection, bulk, Actor("bo", audit.Source.CLI))

    assert not worker.step(connection)
    assert counts(connection, bulk) == ("stopped", 60, 20, 0)
    assert (bulk_of(connection, bulk).stopped_by, bulk_of(connection, bulk).left) == ("bo", 40)
    with pytest.raises(ActionRefused, match="is not running"):
        bulk_actions.stop(connection, bulk, ADA)
    assert [entry.what for entry in audit.find(connection, Filter(about=audit.bulk(bulk)), 9)] == [
        "bulk.stop",
        "bulk.start",
    ]


def test_a_stop_waits_for_the_items_in_hand(connection: psycopg.Connection, pool: ConnectionPool) -> None:
    """Whatever the stop says was done is all that was done."""
    waiting(connection, 3 * worker.ITEMS_AT_ONCE)
    bulk = bulk_actions.start(connection, CANCEL, ADA, confirmed=1000)

    with pool.connection() as other, other.transaction():
        worker.step(other)
        stopping = threading.Thread(target=bulk_actions.stop, args=(connection, bulk, ADA))
        stopping.start()
        time.sleep(0.2)
        assert stopping.is_alive()
    stopping.join(5)

    assert counts(connection, bulk) == ("stopped", 60, 20, 0)
    [stop, _] = audit.find(connection, Filter(about=audit.bulk(bulk)), 9)
    assert stop.after == {"requested": 60, "done": 20, "refused": 0}


def test_two_workers_do_each_item_once(connection: psycopg.Connection, pool: ConnectionPool, url: str) -> None:
    waiting(connection, 200)
    bulk = bulk_actions.start(connection, CANCEL, ADA, confirmed=200)

    def work() -> None:
        end = time.monotonic() + 60
        with psycopg.connect(url, autocommit=True) as own:
            while time.monotonic() < end and counts(own, bulk)[0] == "running":
                worker.step(own)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert counts(connection, bulk) == ("done", 200, 200, 0)
    assert cancels(connection) == 200
    assert connection.execute("select count(*) from history where to_state = 'cancelled'").fetchone() == (200,)


def test_a_second_worker_takes_another_bulk_action_meanwhile(
    connection: psycopg.Connection, pool: ConnectionPool
) -> None:
    waiting(connection, 30)
    first = bulk_actions.start(connection, BulkRequest(BulkKind.CANCEL, "", ids=range(1, 30)), ADA, 29)
    second = bulk_actions.start(connection, BulkRequest(BulkKind.CANCEL, "", ids=[30]), ADA, 1)

    with pool.connection() as other, other.transaction():
        worker.step(other)
        worker.run(connection)

    assert counts(connection, second) == ("done", 1, 1, 0)
    assert counts(connection, first) == ("running", 29, 20, 0)


KILLED = """
import sys, psycopg
from connector.worker import bulk_actions
with psycopg.connect(sys.argv[1], autocommit=True) as connection:
    print("ready", flush=True)
    while bulk_actions.step(connection):
        pass
"""


def test_a_worker_that_is_killed_does_nothing_twice_and_leaves_nothing_out(
    connection: psycopg.Connection, url: str
) -> None:
    """Killed (SIGKILL) at several moments; each time another goes on."""
    waiting(connection, 400)
    bulk = bulk_actions.start(connection, CANCEL, ADA, confirmed=400)
    kills = 0
    for pause in (0.05, 0.11, 0.17, 0.23):
        process = subprocess.Popen([sys.executable, "-c", KILLED, url], stdout=subprocess.PIPE)
        assert process.stdout
        process.stdout.readline()
        time.sleep(pause)
        if counts(connection, bulk)[0] == "running":
            kills += 1
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
        _, _, done, _ = counts(connection, bulk)
        assert states(connection).count("cancelled") == cancels(connection) == done

    end = time.monotonic() + 30
    while counts(connection, bulk)[0] == "running" and time.monotonic() < end:
        worker.step(connection)  # the database may take a moment to notice that the process is gone

    assert kills
    assert counts(connection, bulk) == ("done", 400, 400, 0)
    assert cancels(connection) == 400


def test_an_error_of_one_item_keeps_no_other_from_its_turn(
    connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting(connection, 3)
    cancel = actions.cancel

    def faulty(connection: psycopg.Connection, text: int, actor: Actor, **more: str) -> None:
        cancel(connection, text, actor, **more)
        if text == 2:
            connection.execute("select 1 / 0")

    monkeypatch.setattr(actions, "cancel", faulty)
    bulk = bulk_actions.start(connection, CANCEL, ADA, confirmed=3)

    worker.run(connection)

    assert counts(connection, bulk) == ("done", 3, 2, 1)
    assert states(connection) == ["cancelled", "received", "cancelled"]
    assert [refusal.why for refusal in bulk_actions.refusals(connection, bulk)] == [worker.OWN_ERROR]


def test_a_purge_erases_reasons_and_searches_for_the_number(connection: psycopg.Connection) -> None:
    [text, other] = texts_in(connection, State.SENT, State.SKIPPED)
    by_number = BulkRequest(BulkKind.WRITE_BACK, "Ada asked", f"phone:{NUMBER}", Search(number=NUMBER))
    of_text = BulkRequest(BulkKind.WRITE_BACK, "Ada asked", ids=[text])
    of_other = BulkRequest(BulkKind.WRITE_BACK, "the case was merged", ids=[other])
    bulks = [bulk_actions.start(connection, request, ADA, 9) for request in (by_number, of_text, of_other)]

    erasure.purge(connection, NUMBER)

    found = [bulk_of(connection, bulk) for bulk in bulks]
    assert [(bulk.query, bulk.why) for bulk in found] == [
        ("erased", "erased"),
        ("", "erased"),
        ("", "the case was merged"),
    ]
    worker.run(connection)
    assert counts(connection, bulks[0]) == ("done", 1, 0, 1), "the search for an erased number finds nothing"
    notes = [audit.find(connection, Filter(about=audit.bulk(bulk)), 1)[0].why for bulk in bulks]
    assert notes == ["", "", "the case was merged"]


def test_an_old_bulk_action_is_erased_once_it_has_ended(connection: psycopg.Connection) -> None:
    waiting(connection, 2)
    done = bulk_actions.start(connection, BulkRequest(BulkKind.CANCEL, "", ids=[1]), ADA, 1)
    worker.run(connection)
    running = bulk_actions.start(connection, BulkRequest(BulkKind.CANCEL, "", ids=[2]), ADA, 1)
    connection.execute("update bulk_actions set started_at = now() - interval '31 days'")
    connection.execute("update bulk_actions set ended_at = started_at where ended_at is not null")

    retention.keep(connection, 30)

    assert [bulk.id for bulk in bulk_actions.find(connection, 9)] == [running]
    assert connection.execute("select bulk from bulk_items").fetchall() == [(running,)]
    assert done != running
