"""Ten thousand chat webhooks in any order, with duplicates, forged and stale ones, while workers are killed."""

import http.client
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import psycopg
import pytest

from connector import supervisor
from connector.cli import demo
from connector.sandbox import Sandbox
from tests.conftest import created
from tests.e2e.test_crashes import Mortal
from tests.support import chat_webhooks
from tests.support.pipe import Pipe, free_port, wait_for
from webhooks.ccaip.chat_events import PATH

SEED = 20261126
CHATS, POSTS = 1000, 10_000
SENDERS = 6
# Seconds in which the events that are left must be processed.
PATIENCE = 120.0
SECRET = "sandbox-webhook-secret"
BEGIN = datetime(2026, 11, 26, 8, 0, tzinfo=UTC)


class Post(NamedTuple):
    """A webhook to post, and the status that it must get."""

    body: bytes
    headers: dict[str, str]
    status: int


class Story(NamedTuple):
    """A chat, its events, and what they have to lead to."""

    chat_id: int
    events: list[bytes]
    opted_out: bool
    status: str

    @property
    def number(self) -> str:
        return f"+1415{5_000_000 + self.chat_id}"


def story(chat_id: int, chance: random.Random) -> Story:
    """A conversation: people and machines write, and only the customer can opt out."""
    opts_out, ends = chance.random() < 0.3, chance.random() < 0.7

    def at(minute: int) -> datetime:
        return BEGIN + timedelta(minutes=minute)

    spelling = chance.choice([chat_id, str(chat_id), float(chat_id)])
    events = [
        chat_webhooks.event("chat_created", spelling, at(0)),
        chat_webhooks.message(spelling, "Your order is ready.", "api", at(1)),
        chat_webhooks.event("participant_joined", spelling, at(2), type="agent"),
        chat_webhooks.message(spelling, "Which order?", "end_user", at(3)),
        chat_webhooks.message(spelling, "STOP", "agent", at(4)),
        chat_webhooks.message(spelling, "STOP", "virtual_agent", at(5)),
    ]
    if opts_out:
        events.append(chat_webhooks.message(spelling, chance.choice(["STOP", "stop", " Quit "]), "end_user", at(6)))
    if ends:
        events.append(chat_webhooks.event("chat_ended", spelling, at(7)))
    return Story(chat_id, events, opts_out, "ended" if ends else "assigned")


def posts(stories: list[Story], chance: random.Random) -> list[Post]:
    """All events, some several times, with forged and stale ones among them, in random order."""
    now = datetime.now(UTC)

    def post(body: bytes) -> Post:
        return Post(body, chat_webhooks.headers(body, now.isoformat(), SECRET), 200)

    real = [post(body) for story in stories for body in story.events]
    stops = [chat_webhooks.message(story.chat_id, "STOP") for story in stories if not story.opted_out]
    old = (now - timedelta(minutes=10)).isoformat()
    forged = [Post(body, chat_webhooks.headers(body, secret="forged"), 401) for body in stops[:250]]
    stale = [Post(body, chat_webhooks.headers(body, old, SECRET), 401) for body in stops[250:500]]
    all_posts = real + forged + stale
    all_posts += chance.choices(real, k=POSTS - len(all_posts))
    chance.shuffle(all_posts)
    return all_posts


def send(web: str, waiting: Iterator[Post], lock: threading.Lock, wrong: Counter[int]) -> None:
    """Post over one connection until nothing waits."""
    connection = http.client.HTTPConnection(urlsplit(web).netloc, timeout=60)
    while True:
        with lock:
            post = next(waiting, None)
        if post is None:
            connection.close()
            return
        connection.request("POST", PATH, post.body, post.headers)
        answer = connection.getresponse()
        answer.read()
        if answer.status != post.status:
            wrong[answer.status] += 1


def add_texts(connection: psycopg.Connection, stories: list[Story], cases: Sequence[str]) -> None:
    """A text for each chat, which was sent. Its case has the outcome and follows the chat. `cases`: from chat 1 on."""
    with connection.cursor() as cursor:
        cursor.executemany(
            """with e as (insert into events (crm, event_id, channel, ticket_id)
                          values ('salesforce', %(chat)s, 'trigger', %(case)s) returning id),
               c as (insert into chats (chat_id, status, at, source)
                     values (%(chat)s, 'selecting', %(begin)s, 'response')),
               t as (insert into texts (event, crm, ticket_id, channel, state, outcome, written, notified, sms, chat)
               select id, 'salesforce', %(case)s, 'trigger', 'sent', 1, 1, 1,
                      jsonb_build_object('end_user_number', %(number)s::text, 'outbound_number', '+16285550199'),
                      jsonb_build_object('id', %(chat)s::bigint, 'status', 'selecting') from e returning id)
               insert into chat_updates (text, chat) select id, %(chat)s from t""",
            [
                {
                    "chat": str(story.chat_id),
                    "number": story.number,
                    "case": cases[story.chat_id - 1],
                    "begin": BEGIN - timedelta(minutes=1),
                }
                for story in stories
            ],
        )


@pytest.fixture
def url(server: str, template: str) -> Iterator[str]:
    with created(server, "connector_test_chat_webhooks", template) as url:
        yield url


def test_none_is_lost_and_each_takes_effect(url: str, tmp_path: Path) -> None:
    chance = random.Random(SEED)  # noqa: S311 - no secret
    stories = [story(chat_id, chance) for chat_id in range(1, CHATS + 1)]
    early, late = stories[: CHATS * 9 // 10], stories[CHATS * 9 // 10 :]
    port = free_port()
    web = f"http://127.0.0.1:{port}"
    with (
        Sandbox(port=0).running() as box,
        psycopg.connect(url, autocommit=True) as connection,
        supervisor.children(["serve"], demo.environment(box, url, port, "t" * 30), tmp_path),
    ):
        cases = box.salesforce.make_cases(CHATS)
        add_texts(connection, early, cases)
        wait_for(lambda: supervisor.answers("127.0.0.1", port), "the web process is ready")
        environment = demo.environment(box, url, port, "t" * 30) | {"CONNECTOR_CHAT_WRITE_SECONDS": "1"}
        workers = [Mortal("worker", environment, tmp_path / f"worker{number}.log") for number in range(2)]
        try:
            waiting, lock, wrong = iter(posts(stories, chance)), threading.Lock(), Counter[int]()
            senders = [threading.Thread(target=send, args=(web, waiting, lock, wrong)) for _ in range(SENDERS)]
            for sender in senders:
                sender.start()
            while any(sender.is_alive() for sender in senders):
                time.sleep(chance.uniform(2, 4))
                chance.choice(workers).kill()
            assert wrong == Counter()

            add_texts(connection, late, cases)  # the responses that name these chats were late
            connection.execute("update chat_events set next_at = now() where processed_at is null")
            wait_for(
                lambda: (
                    connection.execute("select from chat_events where processed_at is null limit 1").fetchone() is None
                ),
                "every event is processed",
                PATIENCE,
            )
            wait_for(
                lambda: (
                    connection.execute("select from chat_updates where due_at is not null limit 1").fetchone() is None
                ),
                "every ticket has its chat's status",
                PATIENCE,
            )
        finally:
            statuses = [worker.stop() for worker in workers]
        check(connection, stories)
        shown = [box.salesforce.case(case)["CCAIP_Chat_Status__c"] for case in cases]
        assert shown == [story.status for story in stories], "each chat's final status is on its ticket"
        assert sum(worker.deaths for worker in workers) >= 2
        # One that is asked to stop while it still starts ends by the signal.
        assert set(statuses) <= {0, -signal.SIGTERM}


def check(connection: psycopg.Connection, stories: list[Story]) -> None:
    """Every event was kept once, and every chat and number is in the right state."""
    kept = connection.execute("select count(*), count(problem) from chat_events").fetchone()
    assert kept == (sum(len(story.events) for story in stories), 0)
    listed = {number for (number,) in connection.execute("select number from suppressions")}
    assert listed == {story.number for story in stories if story.opted_out}
    statuses: dict[str, str] = dict(connection.execute("select chat_id, status from chats").fetchall())
    assert statuses == {str(story.chat_id): story.status for story in stories}


@pytest.fixture
def told(pipe: Pipe) -> Iterator[Sandbox]:
    """The shared pipe's sandbox, which tells its chats by webhook during the test."""
    with chat_webhooks.told(pipe) as box:
        yield box


def test_a_stop_on_the_phone_stops_all_texts_to_it(pipe: Pipe, told: Sandbox, case: str) -> None:
    pipe.send(case)
    [text] = pipe.told(case)
    number = text["sms"]["end_user_number"]
    told.ccaip.agent_writes(text["chat"]["id"], "Write STOP to opt out")
    told.ccaip.reply(number, "stop")

    wait_for(lambda: pipe.query("select from suppressions where number = %s", number), "the opt-out was heard")
    wait_for(
        lambda: pipe.query("select from chats where chat_id = %s and ended", str(text["chat"]["id"])), "it has ended"
    )
    told.salesforce.request_text(case)
    assert pipe.told(case, 2)[-1]["state"] == "skipped"
    assert len([one for one in told.ccaip.texts if one.number == number]) == 1
