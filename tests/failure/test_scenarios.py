"""What must hold while one thing is broken, at the level of processes. Each scenario breaks it in the same way again.

The witness for both remote sides is independent of the connector: see witness.py.
"""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.failure import clocks, embedded, slow
from tests.failure.conftest import Ahead, MakeStand
from tests.failure.faults import Hold, Reply
from tests.failure.org import EXPIRED, error
from tests.failure.stand import Stand
from tests.support.pipe import wait_for

# How Salesforce can refuse everybody: which kind of request, with what, and whether all tokens are void first.
REFUSALS = {
    "a field's permission is lost": ("read", error(400, "INVALID_FIELD", "No such column 'SuppliedPhone'"), False),
    "the API is disabled": ("", error(403, "API_DISABLED_FOR_ORG", "API is not enabled"), False),
    "a page instead of an answer": ("", Reply(404, "<html>Not here</html>"), False),
    "the secret was rotated": ("token", Reply(401, {"error": "invalid_client"}), True),
    "no session is good": ("read", EXPIRED, False),
}


def scenario(of: Callable[[MakeStand], None]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Begin this scenario with the module's first one."""

    def mark(test: Callable[..., None]) -> Callable[..., None]:
        test.scenario = of  # type: ignore[attr-defined]  # a mark, as pytest has them
        return test

    return mark


@pytest.mark.parametrize("way", REFUSALS)
def test_texts_wait_while_salesforce_refuses_everybody(well: Stand, ahead: Ahead, way: str) -> None:
    """Forty triggers that come while every read is refused for five seconds are all texted afterwards."""
    kind, reply, void = REFUSALS[way]
    cases = well.witness.org.make_cases(40)
    if void:
        well.witness.org.expire()
    with well.witness.faults.during(side="crm", kind=kind, reply=reply) as refusing:
        well.trigger(*cases)
        wait_for(lambda: refusing.used, "Salesforce refuses")
        time.sleep(5)

    well.await_told(cases, 60, "Sent")

    assert all(len(chats) == 1 for chats in well.witness.journal.chats().values())


def test_cases_are_found_on_every_page_of_an_answer(well: Stand) -> None:
    """Salesforce may answer a query in pages of any size; no case of a later page counts as deleted."""
    cases = well.witness.org.make_cases(30)
    planned = well.witness.org.make_cases(12, Status="Paged")
    with well.witness.faults.during(side="crm", pages=5):
        well.trigger(*cases)
        plan = well.plan(where="Status = 'Paged'")
        well.run_plan(plan)

        well.await_told([*cases, *planned], 30, "Sent")

    assert well.witness.journal.of("crm", "page")


def test_jobs_that_come_several_times_at_once_are_one_text_for_each_case(well: Stand) -> None:
    """A job runs at least once, and may meet itself within a worker: nobody gets two texts for it."""
    cases = well.witness.org.make_cases(10)
    for worker in well.workers:
        worker.freeze()
    well.trigger(*cases)
    well.database.repeat_jobs(3)
    for worker in well.workers:
        worker.thaw()

    well.await_told(cases, 30, "Sent")
    well.await_settled(30)

    chats = well.witness.journal.chats()
    assert {case: len(chats[case]) for case in cases if len(chats[case]) > 1} == {}


def test_known_answers_are_kept_while_the_database_is_read_only(well: Stand) -> None:
    """The database takes no writes for 8 seconds while calls are answered: no answer is lost, and /readyz says so."""
    cases = well.witness.org.make_cases(30)
    begin, ready = time.monotonic(), []
    with well.witness.faults.during(kind="text", late=Hold(2)):
        well.trigger(*cases)
        wait_for(lambda: len(well.witness.journal.texts(lambda one: one.received > begin)) >= 10, "calls are under way")
        with well.database.read_only():
            end = time.monotonic() + 8
            while time.monotonic() < end:
                ready.append(well.ready())
                time.sleep(0.25)

    well.await_told(cases, 60)

    assert {well.says(case) for case in cases} == {"Sent"}
    assert not any(ready[4:]), "/readyz said 200"
    wait_for(well.ready, "/readyz says 200 again")


def test_a_case_is_told_soon_after_sessions_expired_twice(well: Stand) -> None:
    """A token that is revoked while it is refreshed is no wrong setting: the case is told within seconds."""
    [case] = well.witness.org.make_cases(1)
    expired = well.witness.faults.add(kind="write", tickets=[case], reply=EXPIRED, times=2)
    well.trigger(case)
    wait_for(lambda: expired.used == 2, "the session has expired twice")

    well.await_told([case], 15, "Sent")


def test_texts_leave_soon_after_resume_although_the_platform_asked_for_an_hour(well: Stand) -> None:
    """One 429 with Retry-After: 3600 holds all texts; `connector resume` lets them go."""
    cases = well.witness.org.make_cases(20)
    slow_down = Reply(429, {"message": "Too many requests"}, {"Retry-After": "3600"})
    well.witness.faults.add(kind="text", reply=slow_down)
    well.trigger(cases[0])
    wait_for(lambda: well.run("status").stdout.count("wait until"), "texts are held")
    well.trigger(*cases[1:])

    begin = time.monotonic()
    assert well.run("resume").returncode == 0
    well.await_told(cases, 25, "Sent")

    left = [entry.received for entry in well.witness.journal.texts() if entry.request.tickets[0] in cases]
    assert max(left) < begin + 15


def test_a_worker_whose_clock_is_ahead_texts_nobody_too_early_or_twice(make_stand: MakeStand, tmp_path: Path) -> None:
    """Hours and window go by the database's clock, whatever a worker's says: an hour ahead, and 25 hours."""
    clocks.a_clock_that_is_ahead(make_stand, tmp_path)


def test_the_embedded_database_is_killed_and_served_again_or_run_ends() -> None:
    """Whoever runs `connector run` is not left with a web process that answers 503 for ever."""
    embedded.its_server_is_killed()


@scenario(slow.triggers_beside_a_backfill)
def test_no_text_of_a_batch_leaves_while_triggers_wait(ahead: Ahead) -> None:
    """Priorities hold across workers: 150 triggers leave at ten a second although a back-fill is under way."""
    ahead.result(slow.triggers_beside_a_backfill)


@scenario(slow.cut_off_while_reading)
def test_a_worker_that_was_cut_off_while_reading_cannot_move_a_text_that_another_sends(ahead: Ahead) -> None:
    """Two hosts, one without its database for half a minute: the customer gets one text, and the case says so."""
    ahead.result(slow.cut_off_while_reading)


@scenario(slow.frozen_before_its_claim_is_heard)
def test_a_worker_that_was_frozen_with_its_claim_does_not_call_any_more(ahead: Ahead) -> None:
    """Its text was settled and sent again meanwhile: the customer gets one text. So does one that nobody settled."""
    ahead.result(slow.frozen_before_its_claim_is_heard)


@scenario(slow.a_firewall_refuses_one_message)
def test_a_message_that_alone_is_refused_fails_alone(ahead: Ahead) -> None:
    """A 403 for one message in a steady stream is that message's fault: sending is not stopped for long."""
    ahead.result(slow.a_firewall_refuses_one_message)


@scenario(slow.a_rule_refuses_for_a_while)
def test_a_case_is_told_after_a_validation_rule_has_refused_for_a_while(ahead: Ahead) -> None:
    """A refusal of one write is tried again later, and holds up no other."""
    ahead.result(slow.a_rule_refuses_for_a_while)


@scenario(slow.asked_to_stop_without_a_database)
def test_a_worker_stops_in_time_although_the_database_is_away(ahead: Ahead) -> None:
    """SIGTERM ends it within the 40 seconds that `connector run` waits."""
    ahead.result(slow.asked_to_stop_without_a_database)
