"""The daily budget of an outbound number is exact, whoever sends at the same moment and whatever fails."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from psycopg_pool import ConnectionPool

from connector import phone, transitions
from connector.model import Channel, Chat, Decision, OutboundSms, State, TicketEvent
from connector.policy.daily_budget import Budget, Use
from connector.store import circuit_breaker, daily_budget, events, retention, sending_claims, texts
from connector.store.circuit_breaker import SendingPaused
from connector.store.daily_budget import OverBudget, Share
from connector.store.sending_claims import Answer, Attempt
from tests.support.remote import died, queued

NUMBER, OTHER = "+16285550199", "+16285550100"
# 23:00 in New York.
LATE = datetime(2026, 6, 3, 3, 0, tzinfo=UTC)
FIVE = Budget(5, "texts", "America/New_York", 0.8)
CHAT = Chat(id=114, status="selecting")


def attempts(
    pool: ConnectionPool, count: int, budget: Budget = FIVE, batch: bool = False, size: int = 1, number: str = NUMBER
) -> list[Attempt]:
    """Queue new texts; the attempts of a worker that has just read them."""
    channel = Channel.BATCH if batch else Channel.TRIGGER
    with pool.connection() as connection:
        [(before,)] = connection.execute("select count(*) from texts").fetchall()
        new = [
            TicketEvent("salesforce", f"e{at}", f"{at:018d}", channel=channel) for at in range(before, before + count)
        ]
        ids = [one.text for one in events.save(connection, new) if one.text]
        sms = OutboundSms("+14155550100", number, "Hi", "1")
        queued(connection, {text: Decision("requested", str(text), sms) for text in ids})
        loaded = texts.load(connection, ids)
    share = Share(number, budget, size, batch)
    return [Attempt(text, loaded[text].revision, text, share) for text in ids]


def start(pool: ConnectionPool, tries: list[Attempt], now: datetime = LATE) -> dict[int, Answer]:
    with pool.connection() as connection:
        return sending_claims.start_sending(connection, tries, 60, now)


def claimed(answers: dict[int, Answer]) -> dict[int, int]:
    return {text: claim for text, claim in answers.items() if isinstance(claim, int)}


def used(pool: ConnectionPool, now: datetime = LATE, budget: Budget = FIVE) -> Use:
    with pool.connection() as connection:
        return daily_budget.used(connection, {NUMBER: budget}, now)[NUMBER]


def move(pool: ConnectionPool, *moves: transitions.Transition) -> None:
    with pool.connection() as connection:
        assert texts.move(connection, moves)


def test_workers_at_once_never_exceed_the_budget_and_use_all_of_it(pool: ConnectionPool) -> None:
    budget = replace(FIVE, limit=25)
    tries, barrier = attempts(pool, 60, budget), threading.Barrier(4)

    def work(worker: int) -> dict[int, Answer]:
        mine, answers = tries[worker::4], dict[int, Answer]()
        barrier.wait()
        for at in range(0, len(mine), 2):
            answers |= start(pool, mine[at : at + 2])
        return answers

    with ThreadPoolExecutor(4) as threads:
        answers = [answer for part in threads.map(work, range(4)) for answer in part.values()]

    assert sum(isinstance(answer, int) for answer in answers) == 25
    assert sum(isinstance(answer, OverBudget) for answer in answers) == 35
    assert used(pool, budget=budget) == Use(25, 25)


def test_what_does_not_fit_stays_queued(pool: ConnectionPool) -> None:
    tries = attempts(pool, 6)

    answers = start(pool, tries)

    assert len(claimed(answers)) == 5
    [over] = answers.keys() - claimed(answers).keys()
    assert phone.mask(NUMBER) in str(answers[over])
    assert NUMBER not in str(answers[over])
    with pool.connection() as connection:
        assert texts.load(connection, [over])[over].state is State.QUEUED


def test_segments_are_counted_and_a_shorter_text_uses_what_is_left(pool: ConnectionPool) -> None:
    budget = replace(FIVE, unit="segments")
    long, longer, short = (attempts(pool, 1, budget, size=size)[0] for size in (3, 3, 2))

    answers = claimed(start(pool, [long, longer, short]))

    assert set(answers) == {long.text, short.text}
    assert used(pool) == Use(2, 5)


def test_batches_stop_at_their_share_and_others_use_the_rest(pool: ConnectionPool) -> None:
    batches, triggers = attempts(pool, 6, batch=True), attempts(pool, 3)

    assert len(claimed(start(pool, batches))) == 4
    assert len(claimed(start(pool, triggers))) == 1


def test_triggers_go_before_batches_that_are_claimed_with_them(pool: ConnectionPool) -> None:
    batches, triggers = attempts(pool, 4, batch=True), attempts(pool, 3)

    answers = claimed(start(pool, batches + triggers))

    assert {one.text for one in triggers} <= set(answers)
    assert len(answers) == 4


@pytest.mark.parametrize("to", ["queued", "failed"])
def test_a_text_that_certainly_was_not_sent_gives_its_share_back(pool: ConnectionPool, to: str) -> None:
    tries = attempts(pool, 6)
    [(text, claim), *_] = claimed(start(pool, tries)).items()
    [last] = [one for one in tries if isinstance(start(pool, [one]).get(one.text), OverBudget)]

    made = {"queued": transitions.again(text, claim, "busy", 60), "failed": transitions.refused(text, claim, "no")}
    move(pool, made[to])

    assert used(pool) == Use(4, 4)
    assert claimed(start(pool, [last]))
    assert used(pool) == Use(5, 5)


def test_a_claim_that_is_undone_gives_its_share_back_once(pool: ConnectionPool) -> None:
    [one] = attempts(pool, 1)
    start(pool, [one])

    with pool.connection() as connection:
        sending_claims.undo_sending(connection, [one])
        sending_claims.undo_sending(connection, [one])

    assert used(pool) == Use(0, 0)


def test_an_unknown_text_keeps_its_share_and_its_second_try_takes_no_other(pool: ConnectionPool) -> None:
    tries = attempts(pool, 5)
    [(text, claim), *_] = claimed(start(pool, tries)).items()
    move(pool, transitions.unknown(text, claim, "cut", after=0))
    assert used(pool) == Use(5, 5)
    with pool.connection() as connection:
        revision = texts.load(connection, [text])[text].revision

    second = claimed(start(pool, [Attempt(text, revision, 99, tries[0].share)]))

    assert second
    assert used(pool) == Use(5, 5)
    move(pool, transitions.sent(text, second[99], CHAT))
    assert used(pool) == Use(5, 5)


def test_a_text_whose_worker_died_keeps_its_share(pool: ConnectionPool) -> None:
    start(pool, attempts(pool, 2))

    died(pool)

    assert used(pool) == Use(2, 2)


def test_a_text_settled_as_not_sent_is_counted_again_if_it_was_sent_after_all(pool: ConnectionPool) -> None:
    [one] = attempts(pool, 1)
    [claim] = claimed(start(pool, [one])).values()
    move(pool, transitions.unknown(one.text, claim, "cut"))
    move(pool, transitions.not_sent(one.text, "the customer says so"))
    assert used(pool) == Use(0, 0)

    move(pool, transitions.sent(one.text, claim, CHAT))

    assert used(pool) == Use(1, 1)


def test_a_new_day_begins_at_midnight_in_the_zone(pool: ConnectionPool) -> None:
    tries = attempts(pool, 11)
    just_before, midnight = LATE + timedelta(minutes=59, seconds=59), LATE + timedelta(hours=1)

    assert len(claimed(start(pool, tries, just_before))) == 5
    waiting = [one for one in tries if isinstance(start(pool, [one], just_before).get(one.text), OverBudget)]

    assert len(claimed(start(pool, waiting, midnight))) == 5
    assert (used(pool, just_before), used(pool, midnight)) == (Use(5, 5), Use(5, 5))


def test_each_number_has_a_budget_of_its_own(pool: ConnectionPool) -> None:
    mine, others = attempts(pool, 6), attempts(pool, 6, number=OTHER)

    assert len(claimed(start(pool, mine + others))) == 10


def test_a_claim_that_is_not_made_leaves_its_room_to_the_others(pool: ConnectionPool) -> None:
    """Three texts of six were cancelled since they were read, and there is room for five."""
    tries = attempts(pool, 8)
    move(pool, *(transitions.cancelled(one.text, "no longer") for one in tries[:3]))

    assert len(claimed(start(pool, tries))) == 5


def test_while_sending_is_paused_nothing_is_counted(pool: ConnectionPool) -> None:
    tries = attempts(pool, 2)
    with pool.connection() as connection:
        circuit_breaker.trip(connection, circuit_breaker.PLATFORM, "a setting")

    answers = start(pool, tries)

    assert all(isinstance(answer, SendingPaused) for answer in answers.values())
    assert used(pool) == Use(0, 0)


def test_claims_and_results_of_the_same_texts_at_once_do_not_deadlock(pool: ConnectionPool) -> None:
    """Workers claim, give up and try again the same texts, so that each text is wanted by two at a time."""
    budget = replace(FIVE, limit=1000)
    tries = attempts(pool, 4, budget)
    failures, barrier = list[psycopg.Error](), threading.Barrier(4)

    def work(worker: int) -> None:
        barrier.wait()
        for turn in range(15):
            try:
                with pool.connection() as connection:
                    known = texts.load(connection, [one.text for one in tries])
                    mine = [
                        replace(one, revision=known[one.text].revision, token=worker * 1000 + turn * 10 + at)
                        for at, one in enumerate(tries)
                    ]
                    answers = claimed(sending_claims.start_sending(connection, mine, 60, LATE))
                    by_token = {one.token: one.text for one in mine}
                    moves = [
                        transitions.again(by_token[token], claim, "busy", 0)
                        for token, claim in sorted(answers.items(), reverse=bool(turn % 2))
                    ]
                    texts.move(connection, moves)
            except psycopg.Error as error:
                failures.append(error)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(work, range(4)))

    assert failures == []
    assert used(pool, budget=budget) == Use(0, 0)


def test_counts_of_past_days_are_deleted(pool: ConnectionPool) -> None:
    tries = attempts(pool, 2)
    long_ago = datetime.now(UTC) - timedelta(days=retention.BUDGET_DAYS + 3)
    [(text, claim), _] = claimed(start(pool, tries, long_ago)).items()
    move(pool, transitions.refused(text, claim, "no"))

    with pool.connection() as connection:
        erased = retention.keep(connection, 0)

    assert (erased.budgets, erased.budget_corrections) == (1, 1)
