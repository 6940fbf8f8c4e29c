"""The promises that the database keeps, whoever asks and however often."""

import threading
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from psycopg_pool import ConnectionPool

from connector import transitions
from connector.delivery.retry_policy import DIED
from connector.model import Chat, Decision, OutboundSms, Skip, State, TicketEvent
from connector.store import circuit_breaker, events, jobs, migrations, outcomes, sending_claims, text_views, texts
from connector.store.events import EventReceipt
from connector.store.outcomes import PendingOutcomes, WriteResult
from connector.store.sending_claims import Attempt
from tests.support.remote import Remote, died, queued, started, try_to_start

CASE = "500000000000001AAA"
CHAT = Chat(id=114, status="selecting")


def event(name: str, ticket: str | None = CASE) -> TicketEvent:
    return TicketEvent("salesforce", name, ticket, body={"Id": ticket})


def decision(reason: str) -> Decision:
    return Decision("requested", reason, OutboundSms("+14155550100", "+16285550199", "Hi", CASE))


def taken(pool: ConnectionPool, *names: str) -> list[int]:
    with pool.connection() as connection:
        return [one.text for one in events.save(connection, [event(name) for name in names]) if one.text]


def queued_jobs(pool: ConnectionPool) -> list[tuple[str, int]]:
    with pool.connection() as connection:
        rows = connection.execute("select entrypoint, payload from pgqueuer order by id").fetchall()
    return [(kind, int(text)) for kind, payload in rows for text in payload.split(b",")]


def state(pool: ConnectionPool, text: int) -> State:
    with pool.connection() as connection:
        return texts.load(connection, [text])[text].state


def test_an_event_and_its_job_are_one_commit(pool: ConnectionPool) -> None:
    class Boom(Exception): ...

    with pool.connection() as connection, pytest.raises(Boom), connection.transaction():  # noqa: PT012
        events.save(connection, [event("a")])
        raise Boom
    assert queued_jobs(pool) == []
    [text] = taken(pool, "a")
    assert queued_jobs(pool) == [("deliver_trigger", text)]


def test_the_same_event_is_one_text_however_often_and_at_once(pool: ConnectionPool) -> None:
    barrier = threading.Barrier(6)

    def take(_: int) -> list[EventReceipt]:
        with pool.connection() as connection:
            barrier.wait()
            return events.save(connection, [event("b"), event("a"), event("b")])

    with ThreadPoolExecutor(6) as threads:
        answers = list(threads.map(take, range(6)))
    assert len({tuple(one.text for one in answer) for answer in answers}) == 1
    assert sum(not answer[0].duplicate for answer in answers) == 1
    assert len(queued_jobs(pool)) == 2


def test_an_event_without_a_ticket_is_kept_and_has_no_text(pool: ConnectionPool) -> None:
    with pool.connection() as connection:
        assert events.save(connection, [event("a", None)]) == [EventReceipt("a", None, False)]
        assert events.save(connection, [event("a", None)]) == [EventReceipt("a", None, True)]
    assert queued_jobs(pool) == []


def test_one_reason_is_held_by_one_text_and_given_back_when_nothing_was_sent(pool: ConnectionPool) -> None:
    first, second, third = taken(pool, "a", "b", "c")
    with pool.connection() as connection:
        assert queued(connection, {first: decision("r"), second: decision("r")}) == {first: first, second: first}
        texts.move(connection, [transitions.skipped_as(second, first), transitions.failed(first, "no")])
        assert queued(connection, {third: decision("r")}) == {third: third}
        claims = started(connection, third)
        texts.move(connection, [transitions.unknown(third, claims[third], "gone")])
        [fourth] = [one.text or 0 for one in events.save(connection, [event("d")])]
        assert queued(connection, {fourth: decision("r")}) == {fourth: third}


@pytest.mark.parametrize("together", [True, False])
def test_two_texts_to_a_number_that_fail_leave_it_free(pool: ConnectionPool, together: bool) -> None:
    first, second = taken(pool, "a", "b")
    with pool.connection() as connection:
        for text in (first, second):
            queued(connection, {text: decision(str(text))})
        claims = started(connection, first, second)
        moves = [transitions.refused(text, claims[text], "no") for text in (first, second)]
        for batch in [moves] if together else [[move] for move in moves]:
            assert texts.move(connection, batch)
        assert connection.execute("select text, before_text from recipients").fetchall() == []


def test_a_text_is_claimed_once(pool: ConnectionPool) -> None:
    [text] = taken(pool, "a")
    with pool.connection() as connection:
        assert started(connection, text) == {}
        queued(connection, {text: decision("r")})
        tries = [Attempt(text, texts.load(connection, [text])[text].revision, 1)]
    with ThreadPoolExecutor(4) as threads:

        def claim(_: int) -> dict[int, sending_claims.Answer]:
            with pool.connection() as connection:
                return sending_claims.start_sending(connection, tries, 60)

        claimed = list(threads.map(claim, range(4)))
    assert sorted(map(len, claimed)) == [0, 0, 0, 1]


def test_a_text_that_is_not_claimed_hears_why_however_soon_the_lane_opens_again(pool: ConnectionPool) -> None:
    """Not even once in a hundred turns may it look like somebody else's: nobody would come back to it."""
    ids = taken(pool, *map(str, range(100)))
    over = threading.Event()

    def open_and_close() -> None:
        with pool.connection() as connection:
            while not over.is_set():
                circuit_breaker.trip(connection, circuit_breaker.PLATFORM, "a setting")
                circuit_breaker.resume(connection)
                circuit_breaker.pause(connection, circuit_breaker.PLATFORM, "busy", 0.0001)

    answers = list[dict[int, sending_claims.Answer]]()
    with ThreadPoolExecutor(1) as threads, pool.connection() as connection:
        queued(connection, {text: decision(str(text)) for text in ids})
        closing = threads.submit(open_and_close)
        try:
            for text in ids:
                while not answers or not isinstance(answers[-1].get(text), int):
                    answers.append(try_to_start(connection, text))
                    assert text in answers[-1]
        finally:
            over.set()
        closing.result()
    assert len(answers) > len(ids), "sending was paused now and then"


def test_a_text_that_was_taken_back_does_not_wait_for_a_closed_lane(pool: ConnectionPool) -> None:
    back, waits = taken(pool, "a", "b")
    with pool.connection() as connection:
        queued(connection, {text: decision(str(text)) for text in (back, waits)})
        texts.move(connection, [transitions.failed(back, "taken back")])
        circuit_breaker.pause(connection, circuit_breaker.PLATFORM, "slow down", 500)
        answers = try_to_start(connection, back, waits)
    assert answers.keys() == {waits}
    assert isinstance(pause := answers[waits], circuit_breaker.SendingPaused)
    assert (pause.until_resumed, pause.retry_after) == (False, circuit_breaker.PAUSE_POLL_SECONDS), (
        "the pause is not the text's: it can be lifted"
    )


def test_a_certain_answer_counts_after_the_text_was_given_up_and_nothing_else_does(pool: ConnectionPool) -> None:
    [text] = taken(pool, "a")
    with pool.connection() as connection:
        queued(connection, {text: decision("r")})
        claim = started(connection, text)[text]
        assert texts.move(connection, [transitions.unknown(text, claim, DIED)]) == {text}
        assert texts.move(connection, [transitions.failed(text, "late")]) == set()
        assert texts.move(connection, [transitions.sent(text, claim, CHAT)]) == {text}
        assert texts.move(connection, [transitions.unknown(text, claim, DIED)]) == set()
        story = text_views.story(connection, text)
    assert story is not None
    assert [step.to_state for step in story.history] == ["queued", "sending", "unknown", "sent"]
    assert queued_jobs(pool)[1:] == [("write_back", text)] * 2


def test_a_skip_that_nobody_asked_for_tells_nobody(pool: ConnectionPool) -> None:
    quiet, told = taken(pool, "a", "b")
    with pool.connection() as connection:
        texts.move(
            connection,
            [transitions.skipped(quiet, Skip("no rule", notify=False)), transitions.skipped(told, Skip("no"))],
        )
    assert queued_jobs(pool)[2:] == [("write_back", told)]


def test_a_newer_text_of_the_ticket_is_not_overwritten_by_an_older_one(pool: ConnectionPool) -> None:
    old, new = taken(pool, "a", "b")
    with pool.connection() as connection:
        texts.move(connection, [transitions.skipped(old, Skip("old")), transitions.skipped(new, Skip("new"))])
        to_notify = outcomes.pending(connection, [old, new])
        assert ([one.text for one in to_notify.outcomes], to_notify.overtaken) == ([new, old], {}), "the newest first"
        outcomes.record(connection, [WriteResult(new, 1)])
        assert outcomes.pending(connection, [old, new]) == PendingOutcomes([], {old: 1}, [])


def test_a_text_found_in_sending_was_left_by_a_dead_worker_and_is_unknown(pool: ConnectionPool) -> None:
    [text] = taken(pool, "a")
    remote = Remote(pool)

    with pool.connection() as connection:
        queued(connection, {text: decision("r")})
        started(connection, text)
    remote.deliver(text)
    assert state(pool, text) is State.SENDING, "its worker may be alive"
    assert died(pool) == {text}
    assert state(pool, text) is State.UNKNOWN
    assert remote.sent == []


def test_migrations_can_be_run_again_and_by_several_at_once(server: str, url: str) -> None:
    with ThreadPoolExecutor(3) as threads:
        assert list(threads.map(migrations.migrate, [url] * 3)) == [[], [], []]
    with psycopg.connect(url, autocommit=True) as connection:
        assert migrations.current(connection)
        connection.execute("delete from migrations")
        assert not migrations.current(connection)


def test_a_person_comes_first() -> None:
    order = sorted(jobs.PRIORITY, key=jobs.PRIORITY.__getitem__, reverse=True)
    assert [f"{kind} for {channel}" for kind, channel in order] == [
        "write_back for agent",
        "deliver_agent for agent",
        "write_back for trigger",
        "deliver_trigger for trigger",
        "write_back for batch",
        "deliver_batch for batch",
    ]


@pytest.mark.parametrize("odd", ["a\0b", "a\ud83db", "\\u0000", "\\\0"])
def test_an_odd_character_holds_up_nobody(pool: ConnectionPool, odd: str) -> None:
    fine, text = taken(pool, "a", "b")
    with pool.connection() as connection:
        assert texts.move(connection, [transitions.failed(text, odd), transitions.skipped(fine, Skip("no"))]) == {
            fine,
            text,
        }
        story = text_views.story(connection, text)
    assert story is not None
    assert story.why == odd.replace("\0", "�").replace("\ud83d", "?")
