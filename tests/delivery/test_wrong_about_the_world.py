"""What a process may be wrong about: which database this is, what time it is, which mapping is used, who has a job."""

import asyncio
import importlib.metadata
import inspect
import logging
import time
import traceback
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, tzinfo
from pathlib import Path

import httpx
import psycopg
import pytest
from pgqueuer.models import Job
from pgqueuer.queries import Queries
from psycopg_pool import ConnectionPool

from connector import logs, transitions
from connector.batcher import Batcher
from connector.model import Channel, Decision, OutboundSms, Skip, TextRequest, TicketEvent
from connector.store import circuit_breaker, events, installation, mapping_version, postgres, texts
from connector.worker import pgqueuer_overrides
from connector.worker.consumer import Consumer
from tests.support.pipe import Pipe, wait_for
from tests.support.remote import Remote, Tickets
from tests.support.tls import TLS
from tests.unit.test_mapping_rules import VALUES, mapping

TICKET = "500000000000001AAA"


def waiting(connection: psycopg.Connection) -> int:
    [one] = events.save(connection, [TicketEvent("salesforce", uuid.uuid4().hex, TICKET)])
    return one.text or 0


def stopped(connection: psycopg.Connection) -> str | None:
    found = circuit_breaker.current_pause(connection)
    return str(found) if found else None


# ---- which database


def test_a_database_that_is_used_for_the_first_time_or_again_is_nothing_special(pool: ConnectionPool, url: str) -> None:
    with pool.connection() as connection:
        waiting(connection)
        for _ in range(2):
            installation.check(url)
        assert stopped(connection) is None


def test_a_database_that_was_restored_waits_for_a_person(pool: ConnectionPool, url: str) -> None:
    """It was made elsewhere: another server, another line of history, or another database of the same server."""
    with pool.connection() as connection:
        installation.check(url)
        connection.execute("update installation set identity = 'another'")
        text = waiting(connection)

        installation.check(url)

        assert "was restored, copied or failed over" in (stopped(connection) or "")
        remote = Remote(pool)
        remote.deliver(text, decide=lambda _: Skip("never"))
        assert not circuit_breaker.probe_due(connection, circuit_breaker.PLATFORM), "no probe can know what was sent"
        installation.check(url)
        assert stopped(connection), "another worker's look changes nothing"
        assert circuit_breaker.resume(connection) == [circuit_breaker.PLATFORM]
        installation.check(url)
        assert stopped(connection) is None


def test_a_restored_database_in_which_nothing_waits_may_go_on(pool: ConnectionPool, url: str) -> None:
    with pool.connection() as connection:
        installation.check(url)
        connection.execute("update installation set identity = 'another'")
        installation.check(url)
        assert stopped(connection) is None


@pytest.mark.parametrize(("hours", "stops"), [(23, False), (25, True)])
def test_a_database_that_nobody_has_used_for_a_day_waits_for_a_person(
    pool: ConnectionPool, url: str, hours: int, stops: bool
) -> None:
    with pool.connection() as connection:
        waiting(connection)
        ago = timedelta(hours=hours)
        connection.execute("insert into leases (name, next_at) values ('alive', now() - %s::interval)", [ago])
        installation.check(url)
        assert bool(stopped(connection)) is stops


# ---- what time it is


def test_hours_and_windows_go_by_the_databases_clock(pool: ConnectionPool, monkeypatch: pytest.MonkeyPatch) -> None:
    with pool.connection() as connection:
        theirs = postgres.now(connection)
        [(now,)] = connection.execute("select now()").fetchall()
        assert abs((theirs - now).total_seconds()) < 60
        assert postgres.clock_ahead(connection) == 0.0
        far = theirs + timedelta(hours=25)

        class Ahead(datetime):
            @classmethod
            def now(cls, tz: tzinfo | None = None) -> "Ahead":
                return cls.fromtimestamp(far.timestamp(), tz)

        monkeypatch.setattr(postgres, "datetime", Ahead)
        assert postgres.clock_ahead(connection) == pytest.approx(90_000, abs=60)
        assert abs((postgres.now(connection) - theirs).total_seconds()) < 60, "it is not asked what this machine thinks"


# ---- which mapping


def test_the_newest_mapping_is_that_of_the_process_that_started_last(pool: ConnectionPool, tmp_path: Path) -> None:
    (tmp_path / "salesforce.toml").write_text("older")
    older = mapping_version.fingerprints(tmp_path, ["salesforce"])
    (tmp_path / "salesforce.toml").write_text("newer")
    newer = mapping_version.fingerprints(tmp_path, ["salesforce"])
    with pool.connection() as connection:
        mapping_version.register(connection, older)
        assert mapping_version.outdated(connection, older) == set()
        mapping_version.register(connection, newer)
        assert mapping_version.outdated(connection, older) == {"salesforce"}
        assert mapping_version.outdated(connection, newer) == set()
        connection.execute("update mapping_versions set since = now() - interval '61 minutes'")
        assert mapping_version.outdated(connection, older) == set(), "nobody waits for a newer one for ever"


@pytest.mark.parametrize(
    "text_request", [None, TextRequest(rule="a rule of the newer mapping"), TextRequest(template="a template of it")]
)
def test_a_worker_with_an_older_mapping_leaves_what_a_newer_one_may_know(
    pool: ConnectionPool, text_request: TextRequest | None
) -> None:
    with pool.connection() as connection:
        channel = Channel.AGENT if text_request else Channel.TRIGGER
        [one] = events.save(connection, [TicketEvent("salesforce", "a", TICKET, channel=channel, request=text_request)])
    text = one.text or 0
    remote = Remote(pool)
    remote.outdated = ["salesforce"]
    waits = remote.deliver(text, mapping=mapping(), tickets=Tickets(VALUES | {"status": "Sent"}))
    assert waits == circuit_breaker.PAUSE_POLL_SECONDS
    with pool.connection() as connection:
        assert texts.load(connection, [text])[text].state == "received"
    remote.outdated = []
    assert remote.deliver(text, mapping=mapping(), tickets=Tickets(VALUES | {"status": "Sent"})) is None
    with pool.connection() as connection:
        assert texts.load(connection, [text])[text].state == "skipped"


def test_a_worker_with_an_older_mapping_still_sends_what_it_knows(pool: ConnectionPool) -> None:
    with pool.connection() as connection:
        text = waiting(connection)
    remote = Remote(pool)
    remote.outdated = ["salesforce"]
    sms = OutboundSms("+14155550100", "+16285550199", "Hi", TICKET)
    assert remote.deliver(text, decide=lambda _: Decision("requested", "r", sms)) is None
    assert len(remote.sent) == 1


# ---- who has a job


def test_a_manager_that_was_taken_for_dead_has_no_say_in_jobs_that_are_anothers(pool: ConnectionPool, url: str) -> None:
    """It cannot end them, put them back, or keep them alive."""
    with pool.connection() as connection:
        waiting(connection)
        connection.execute(
            "update pgqueuer set status = 'picked', heartbeat = '2026-01-01', queue_manager_id = %s", [uuid.uuid4()]
        )
        row = connection.execute("select * from pgqueuer")
        names = [column.name for column in row.description or ()]
        job = Job.model_validate(dict(zip(names, row.fetchone() or (), strict=True)))

        async def meddle() -> None:
            async with await postgres.connect(url) as listening, await postgres.connect(url) as asking:
                queries = Consumer(listening, asking, lambda _, __: True, 10)._manager.queries
                await queries.log_jobs([(job, "successful", None)])
                await queries.log_jobs([(job, "failed", None)])
                await queries.retry_job(job, timedelta(0), None)
                await queries.update_heartbeat([job.id])

        asyncio.run(meddle())
        found = connection.execute("select status, heartbeat::date::text, attempts from pgqueuer").fetchall()
    assert found == [("picked", "2026-01-01", 0)]


def test_a_manager_ends_puts_back_and_keeps_alive_its_own(pool: ConnectionPool, url: str) -> None:
    with pool.connection() as connection:
        for _ in range(3):
            waiting(connection)

        async def work() -> None:
            async with await postgres.connect(url) as listening, await postgres.connect(url) as asking:
                manager = Consumer(listening, asking, lambda _, __: True, 1000)._manager
                connection.execute(
                    "update pgqueuer set status = 'picked', heartbeat = '2026-01-01', queue_manager_id = %s",
                    [manager.queue_manager_id],
                )
                rows = await manager.queries.driver.fetch("select * from pgqueuer order by id")
                first, second, third = (Job.model_validate(row) for row in rows)
                await manager.queries.log_jobs([(first, "successful", None)])
                await manager.queries.retry_job(second, timedelta(seconds=60), None)
                await manager.queries.update_heartbeat([third.id])

        asyncio.run(work())
        found = connection.execute(
            "select status, attempts, heartbeat > now() - interval '1 minute' from pgqueuer order by id"
        ).fetchall()
        logged = connection.execute("select status from pgqueuer_log order by id").fetchall()
    assert found == [("queued", 1, False), ("picked", 0, True)]
    assert [status for (status,) in logged][-2:] == ["successful", "queued"]


def test_the_queue_is_the_version_that_its_ownership_was_written_for() -> None:
    """PgQueuer's own statements do not look at a job's owner; ours replace them."""
    assert pgqueuer_overrides.PGQUEUER == "1.6"
    signatures = {
        "log_jobs": ["self", "job_status"],
        "retry_job": ["self", "job", "delay", "traceback_record"],
        "update_heartbeat": ["self", "job_ids"],
    }
    for name, parameters in signatures.items():
        assert list(inspect.signature(getattr(Queries, name)).parameters) == parameters
    assert importlib.metadata.version("pgqueuer").startswith(f"{pgqueuer_overrides.PGQUEUER}.")


def test_a_worker_that_is_stopped_in_the_middle_of_a_transaction_keeps_its_locks_for_seconds(
    pool: ConnectionPool,
) -> None:
    """Its text, reason and number are what others wait for; the server alone would keep them for hours."""
    with pool.connection() as connection:
        text = waiting(connection)
    with pool.connection() as stopped_in_it, pytest.raises(psycopg.Error), stopped_in_it.transaction():  # noqa: PT012
        stopped_in_it.execute("select id from texts where id = %s for update", [text])
        begin = time.monotonic()
        with pool.connection() as other:
            assert texts.move(other, [transitions.failed(text, "no")]) == {text}
        assert 8 < time.monotonic() - begin < 15
        stopped_in_it.execute("select 1")


# ---- what is said of all this


def test_what_libraries_say_again_and_again_is_said_once_and_in_one_line() -> None:
    sparing, lines = logs.Sparing(), logs.Lines(people=False)

    def said(message: str, error: Exception) -> str | None:
        try:
            raise error
        except type(error) as caught:
            information = (type(caught), caught, caught.__traceback__)
            record = logging.LogRecord("pgqueuer", logging.ERROR, "", 0, message, (), information)
        return lines.format(record) if sparing.filter(record) else None

    first = said("Flush failed", psycopg.OperationalError("gone"))
    assert first
    assert "\n" not in first
    assert "trace" not in first
    assert '"why": "OperationalError"' in first
    assert said("Flush failed", psycopg.OperationalError("gone")) is None
    other = said("Something else", ZeroDivisionError())
    assert other
    assert "\n" not in other
    assert "raise error" in other


def test_one_error_for_many_waiting_does_not_grow() -> None:
    """Each of them raises it again: its trace is the same for all."""

    def fail(_: object) -> list[None]:
        raise psycopg.OperationalError("gone")

    async def run() -> list[int]:
        with ThreadPoolExecutor(1) as threads:
            group: Batcher[int, None] = Batcher(fail, threads, 500)

            async def ask(number: int) -> int:
                try:
                    await group([number])
                except psycopg.OperationalError as error:
                    return len(traceback.format_tb(error.__traceback__))
                raise AssertionError

            return await asyncio.gather(*(ask(number) for number in range(300)))

    assert max(asyncio.run(run())) < 15


def test_ready_means_that_what_comes_in_can_be_kept(pipe: Pipe) -> None:
    name = psycopg.conninfo.conninfo_to_dict(pipe.url)["dbname"]
    address = f"{pipe.web}/readyz"

    def read_only(value: str) -> None:
        with psycopg.connect(pipe.url, autocommit=True) as connection:
            connection.execute("set default_transaction_read_only = off")
            connection.execute(f'alter database "{name}" set default_transaction_read_only = {value}')
            connection.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s and pid <> pg_backend_pid()",
                [name],
            )

    assert httpx.get(address, verify=TLS, trust_env=False).status_code == 200
    read_only("on")
    try:
        for _ in range(20):
            answer = httpx.get(address, verify=TLS, trust_env=False)
            if "cannot be written" in answer.text:
                break
        assert (answer.status_code, answer.json()["status"]) == (
            503,
            "the database cannot be written: ReadOnlySqlTransaction",
        )
    finally:
        read_only("off")
        # The pipe is shared: others find it with connections that answer, those for events and those for the API.
        wait_for(lambda: all(answers(pipe) for _ in range(20)), "the web process has replaced its connections")


def answers(pipe: Pipe) -> bool:
    """Whether a connection of each kind answered."""
    ready = httpx.get(f"{pipe.web}/readyz", verify=TLS, trust_env=False).status_code == 200
    return ready and pipe.api("GET", "/texts/1").status_code != 503
