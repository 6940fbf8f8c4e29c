"""Scenarios that mostly wait, each on a stand of its own, so that several can wait at the same time."""

import time
from itertools import pairwise
from threading import Event, Thread

from tests.failure.conftest import MakeStand
from tests.failure.faults import Hold, Reply
from tests.failure.org import CHAT, STATUS
from tests.failure.proxy import FROM
from tests.failure.stand import GIVEN_UP, Stand
from tests.failure.truth import story
from tests.support.pipe import wait_for

# Seconds in which what was about to leave may still leave before triggers that have just come.
SETTLING = 3.0


def one_text_and_its_chat(stand: Stand, case: str) -> None:
    """The customer got one text, and the case says which."""
    chats, told = stand.witness.journal.chats().get(case, []), stand.witness.org.case(case)
    assert len(chats) == 1, f"{len(chats)} texts\n{story(stand, case)}"
    assert (told[STATUS], told[CHAT]) == ("Sent", str(chats[0])), story(stand, case)


def cut_off_while_reading(make_stand: MakeStand) -> None:
    """A worker reads a case and loses the database; another takes over and calls; the first one's read fails then."""
    with make_stand(write_back_hold_seconds="0") as stand:
        reading = Hold()
        [case] = stand.witness.org.make_cases(1)
        stand.witness.faults.add(kind="read", tickets=[case], hold=reading, reply=Reply(503, "<html>away</html>"))
        stand.witness.faults.add(kind="text", tickets=[case], late=Hold(8))
        stand.trigger(case)
        [read] = wait_for(lambda: stand.witness.journal.of("crm", "read", case), "the case is read")
        [reader] = [worker for worker in stand.workers if worker.name == read.request.via]
        with stand.disturbances.during("database cut", reader.name):
            reader.ways["database"].cut()
            wait_for(lambda: stand.witness.journal.of("sms", "text", case), "the other worker calls", GIVEN_UP)
        reader.ways["database"].mend()
        reading.release()

        stand.await_told([case], 60)
        stand.await_settled(60)

        one_text_and_its_chat(stand, case)


def frozen_before_its_claim_is_heard(make_stand: MakeStand) -> None:
    """A worker is frozen with the answer to two claims in its socket. One text is settled as not sent, and sent again.

    Of the other the worker knows, when it goes on, that it has not left.
    """
    with make_stand() as stand:
        org, journal = stand.witness.org, stand.witness.journal
        [case, left_alone, later] = org.make_cases(3)
        with stand.database.held_claims() as claims:
            [text, _] = stand.trigger(case, left_alone)
            wait_for(claims.any_waits, "the texts are claimed")
            [read] = journal.of("crm", "read", case)
            [claimer] = [worker for worker in stand.workers if worker.name == read.request.via]
            [other] = [worker for worker in stand.workers if worker is not claimer]
            claimer.ways["database"].stall(FROM)
            claims.let_go()
            claimed = "select 1 from texts where id = %s and state = 'sending'"
            wait_for(lambda: stand.database.query(claimed, text), "the claim is committed")
        claimer.freeze()
        claimer.ways["database"].flow()
        stand.await_told([case, left_alone], GIVEN_UP, "Unknown")
        assert stand.run("texts", "resolve", str(text), "--not-sent").returncode == 0
        stand.await_told([case], 20, "Failed")
        org.change(case, **{STATUS: "Requested"})
        stand.trigger(case)
        stand.await_told([case], 20, "Sent")

        claimer.thaw()
        other.freeze()
        stand.trigger(later)
        stand.await_told([later], GIVEN_UP)
        other.thaw()
        stand.await_told([left_alone], 60, "Sent")
        stand.await_settled(60)

        one_text_and_its_chat(stand, case)
        one_text_and_its_chat(stand, left_alone)


def a_firewall_refuses_one_message(make_stand: MakeStand) -> None:
    """A firewall answers 403 for one message in a steady stream of others."""
    with (
        make_stand(workers=1) as stand,
        stand.witness.faults.during(
            kind="text", word="Hi Drop", reply=Reply(403, "<html>Forbidden</html>")
        ) as firewall,
    ):
        stream, bad = Stream(stand), stand.witness.org.make_cases(1, **{"Contact.FirstName": "Drop"})[0]
        with stream:
            wait_for(lambda: len(stand.witness.journal.texts()) >= 5, "the others are sent")
            begin = time.monotonic()
            stand.trigger(bad)
            wait_for(lambda: firewall.used, "the message is refused")
            stand.await_told([bad], 120, "Failed")
            wait_for(lambda: time.monotonic() > begin + 60, "a minute in all", 70)
        end = time.monotonic()

        stand.await_told(stream.cases, 60, "Sent")

        assert stopped(stand, begin, end) < (end - begin) / 3


class Stream:
    """Triggers that come steadily, three a second, while the block lasts."""

    def __init__(self, stand: Stand) -> None:
        self._stand, self._done = stand, Event()
        self._thread = Thread(target=self._work)
        self.cases: list[str] = []

    def __enter__(self) -> "Stream":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _work(self) -> None:
        while not self._done.wait(0.33):
            self.cases += self._stand.witness.org.make_cases(1)
            self._stand.trigger(self.cases[-1])


def stopped(stand: Stand, begin: float, end: float) -> float:
    """For how many seconds of this time nothing left, counted from three seconds without any text on.

    Within three seconds a machine that has a lot to do may read, decide and send a few together.
    """
    left = [begin, *(entry.received for entry in stand.witness.journal.texts() if begin < entry.received < end), end]
    return sum(max(after - before - 3.0, 0.0) for before, after in pairwise(left))


def a_rule_refuses_for_a_while(make_stand: MakeStand) -> None:
    """A validation rule refuses to let one case be told, for 20 seconds."""
    with make_stand(workers=1) as stand:
        [refused, other] = stand.witness.org.make_cases(2)
        rule = ("FIELD_CUSTOM_VALIDATION_EXCEPTION", "Closed cases must have a reason")
        with stand.witness.faults.during(kind="write", tickets=[refused], refuse=rule) as fault:
            stand.trigger(refused, other)
            wait_for(lambda: fault.used, "the rule refuses")
            stand.await_told([other], 15, "Sent")
            time.sleep(20)

        stand.await_told([refused], 60, "Sent")

        one_text_and_its_chat(stand, refused)


def asked_to_stop_without_a_database(make_stand: MakeStand) -> None:
    """A worker has calls under way, loses the database, and is asked to stop."""
    with make_stand(workers=1) as stand:
        [worker], cases = stand.workers, stand.witness.org.make_cases(5)
        calling = Hold()
        stand.witness.faults.add(kind="text", late=calling, times=0)
        stand.trigger(*cases)
        wait_for(lambda: len(stand.witness.journal.texts()) == 5, "all are called")
        with stand.disturbances.during("database cut", worker.name):
            worker.ways["database"].cut()
            calling.release()
            begin = time.monotonic()
            worker.stop()
            took = time.monotonic() - begin
        assert took < 40, f"it took {took:.0f} s"

        worker.ways["database"].mend()
        worker.start()
        stand.await_told(cases, GIVEN_UP, "Sent", "Unknown")

        assert all(len(chats) == 1 for chats in stand.witness.journal.chats().values())


def triggers_beside_a_backfill(make_stand: MakeStand) -> None:
    """A back-fill of 200 is sent at ten a second by two workers, and 150 triggers arrive."""
    with make_stand(ccaip_requests_per_second="10") as stand:
        batch, people = stand.witness.org.make_cases(200), stand.witness.org.make_cases(150)
        journal = stand.witness.journal
        stand.run_plan(stand.plan(*batch))
        wait_for(lambda: len(journal.texts()) >= 20, "the back-fill is under way")
        stand.trigger(*people)
        begin = time.monotonic()
        wait_for(lambda: sum(case in journal.chats() for case in people) == 150, "all triggers are texted", 120)
        left = {entry.request.tickets[0]: entry.received for entry in journal.texts()}
        end = max(left[case] for case in people)

        beside = [case for case in batch if begin + SETTLING < left.get(case, 0) < end]

        assert len(beside) < 10, f"{len(beside)} texts of the batch left while triggers waited {end - begin:.0f} s"
