"""Chats are followed through the platform's list: nothing is lost between pages, runs and outages."""

import time
from collections.abc import Iterator
from datetime import timedelta

import httpx
import psycopg
import pytest
from psycopg_pool import ConnectionPool

from connector.ccaip import chats
from connector.errors import Unavailable
from connector.sandbox import Sandbox
from connector.sandbox.ccaip import conversation
from connector.store import leases, text_views
from connector.store.chats import LEASE
from connector.worker import chat_follower, chat_list
from tests.delivery.test_maintenance import account
from tests.store.test_chats import hear, told

SMS = {"chat_type": "Messaging (SMS)", "outbound_number": "+16285550199", "message": "Hi"}


@pytest.fixture
def connection(pool: ConnectionPool) -> Iterator[psycopg.Connection]:
    with pool.connection() as connection:
        leases.take(connection, LEASE, 30)
        yield connection


@pytest.fixture
def box() -> Iterator[Sandbox]:
    with Sandbox(port=0, requests_per_second=0).running() as box:
        yield box


@pytest.fixture
def short_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of three, without waiting between them."""
    monkeypatch.setattr(chats, "PER_PAGE", 3)
    monkeypatch.setattr(chats, "OVERLAP", timedelta())
    monkeypatch.setattr(chat_list, "turn", lambda _: None)


def new_chats(box: Sandbox, count: int) -> list[int]:
    """Chats of the tenant, of which each changed at a time of its own."""
    made = []
    for number in range(count):
        made.append(box.ccaip.send({**SMS, "end_user_number": f"+1415555{1000 + number}"})["id"])
        time.sleep(0.002)
    return made


def follow(box: Sandbox, connection: psycopg.Connection) -> None:
    chat_follower.follower(account(box), 30).do(connection)


def lists(box: Sandbox) -> list[int | None]:
    return [call.status for call in box.ccaip.requests if call.route == "list_chats"]


def status(connection: psycopg.Connection, text: int) -> str:
    found = text_views.seen(connection, text)
    assert found
    assert found.chat
    return str(found.chat["status"])


def test_without_a_chat_to_follow_no_call_is_made(box: Sandbox, connection: psycopg.Connection) -> None:
    new_chats(box, 1)
    follow(box, connection)
    assert lists(box) == []


def test_a_chat_is_followed_until_it_ends(box: Sandbox, connection: psycopg.Connection) -> None:
    [chat] = new_chats(box, 1)
    text = told(connection, chat=chat)
    seen = []
    for act in (lambda: None, lambda: conversation.join(box.ccaip, chat), lambda: conversation.end(box.ccaip, chat)):
        act()
        follow(box, connection)
        seen.append(status(connection, text))
    assert seen == ["selecting", "assigned", "finished"]
    calls = len(lists(box))
    follow(box, connection)
    assert len(lists(box)) == calls, "it has ended"


@pytest.mark.usefixtures("short_pages")
def test_a_list_that_changes_while_it_is_read_loses_nothing(box: Sandbox) -> None:
    """A chat that changes moves to the list's end, and all behind it move up by one."""
    made = new_chats(box, 10)
    seen = list[int]()
    for page in chats.pages(account(box), box.ccaip.chats[made[0]].created_at, lambda: None):
        seen += [chat.id for chat in page]
        if made[0] in seen and len(seen) == 3:
            for chat in made[:2]:
                conversation.join(box.ccaip, chat)
    assert set(seen) == set(made)
    assert seen[-1] in made[:2]


@pytest.mark.usefixtures("short_pages")
def test_a_page_of_chats_that_changed_at_once_is_not_the_last(box: Sandbox) -> None:
    made = new_chats(box, 8)
    moment = box.ccaip.chats[made[0]].updated_at
    for chat in made:
        box.ccaip.chats[chat].updated_at = moment
    pages = list(chats.pages(account(box), moment - timedelta(seconds=1), lambda: None))
    assert {chat.id for page in pages for chat in page} == set(made)


@pytest.mark.usefixtures("short_pages")
def test_a_run_that_ends_early_goes_on_where_it_was(
    box: Sandbox, connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chats, "MAX_PAGES", 2)
    made = new_chats(box, 12)
    for age, chat in enumerate(reversed(made[1:])):  # long ago, so that no overlap brings the run back
        box.ccaip.chats[chat].updated_at -= timedelta(hours=1, minutes=age)
    text = told(connection, chat=made[0])
    connection.execute("update chats set list_from = now() - interval '2 hours'")
    conversation.join(box.ccaip, made[0])
    runs = 0
    while status(connection, text) != "assigned":
        follow(box, connection)
        runs += 1
        assert runs < 12
    assert runs > 1


def test_a_platform_that_is_away_loses_nothing(box: Sandbox, connection: psycopg.Connection) -> None:
    [chat] = new_chats(box, 1)
    text = told(connection, chat=chat)
    follow(box, connection)
    conversation.join(box.ccaip, chat)
    conversation.end(box.ccaip, chat)
    for fault in ("drop_before", "malformed", "status"):
        box.faults.add(fault, side="ccaip", route="list_chats")
        with pytest.raises(Unavailable):
            follow(box, connection)
    assert status(connection, text) == "selecting"

    follow(box, connection)

    assert status(connection, text) == "finished"


def test_a_list_that_asks_to_wait_is_left_alone_for_as_long(box: Sandbox, connection: psycopg.Connection) -> None:
    [chat] = new_chats(box, 1)
    told(connection, chat=chat)
    box.faults.add("status", side="ccaip", route="list_chats", status=429, headers={"Retry-After": "120"})
    with pytest.raises(Unavailable):
        follow(box, connection)
    row = connection.execute("select extract(epoch from next_at - now()) from leases where name = %s", ["follow chats"])
    [(seconds,)] = row.fetchall()
    assert 110 < seconds <= 120


def test_all_workers_together_make_one_request_a_second(pool: ConnectionPool, connection: psycopg.Connection) -> None:
    began = time.monotonic()
    with pool.connection() as other:
        chat_list.turn(connection)
        chat_list.turn(other)
    assert time.monotonic() - began >= 1


def test_the_list_is_read_rarely_while_webhooks_arrive(box: Sandbox, connection: psycopg.Connection) -> None:
    [chat] = new_chats(box, 1)
    told(connection, chat=chat)
    hear(connection, "queued", chat=chat, source="webhook")
    follow(box, connection)
    row = connection.execute("select next_at > now() + interval '9 minutes' from leases where name = 'follow chats'")
    assert row.fetchall() == [(True,)]
    assert lists(box) == [httpx.codes.OK]


@pytest.mark.parametrize(("ended", "says"), [(False, "selecting"), (True, "ended")])
def test_an_entry_without_a_status_does_not_empty_the_field(
    box: Sandbox, connection: psycopg.Connection, ended: bool, says: str
) -> None:
    [chat] = new_chats(box, 1)
    text = told(connection, chat=chat)
    if ended:
        conversation.end(box.ccaip, chat)
    box.ccaip.chats[chat].status = ""
    follow(box, connection)
    assert status(connection, text) == says
