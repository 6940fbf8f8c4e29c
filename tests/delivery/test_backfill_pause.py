"""Back-fills that are halted at every moment of their texts: what has not left goes back to the plan."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from psycopg_pool import ConnectionPool

from connector import transitions
from connector.backfill import plans
from connector.backfill.feeder import Feeder
from connector.backfill.plans import PlanState
from connector.crms import Query
from connector.errors import RefusalScope, Refused, Unavailable
from connector.model import Channel, Chat, Decision, OutboundSms, TextRequest, Ticket, TicketEvent
from connector.store import erasure, events, pseudonyms, sending_claims, text_search, texts
from connector.store.sending_claims import Attempt
from connector.store.text_search import Search
from tests.support.remote import Remote, Tickets, as_crm, died, queued, started

MANY = 30
HALTED = (PlanState.PAUSED, PlanState.STOPPED, PlanState.CANCELLED)


def number(ticket: str) -> str:
    return f"+1415555{int(ticket):04d}"


def decide(ticket: Ticket) -> Decision:
    return Decision("requested", ticket.id, OutboundSms(number(ticket.id), "+16285550199", "Hi", ticket.id))


class BackFill:
    """A plan of so many cases that runs, and a worker's feeder."""

    def __init__(self, pool: ConnectionPool, cases: int = MANY) -> None:
        self.pool, self.tickets = pool, [f"{at:018d}" for at in range(cases)]
        with pool.connection() as connection:
            self.plan = plans.make(connection, "salesforce", Query(), TextRequest(rule="requested"))
            hashed = {ticket: pseudonyms.of_number(connection, number(ticket)) for ticket in self.tickets}
            plans.add(connection, self.plan, 0, [plans.Row(ticket, None, one) for ticket, one in hashed.items()])
            plans.planned(connection, self.plan, {})
        self.run()

    def run(self) -> None:
        with self.pool.connection() as connection:
            assert plans.start(connection, self.plan, 0, 1, 0, None)

    def feed(self) -> list[int]:
        """One step of the feeder; the texts that are under way."""
        with self.pool.connection() as connection:
            Feeder({"salesforce": as_crm(Tickets())}, 0).feed(connection)
            waiting = connection.execute("select id from texts where state in ('received', 'queued') order by id")
            return [text for (text,) in waiting]

    def halt(self, to: PlanState = PlanState.PAUSED) -> int | None:
        with self.pool.connection() as connection:
            return plans.halt(connection, self.plan, to, "by an operator")

    def tally(self) -> dict[str, int]:
        with self.pool.connection() as connection:
            return plans.tally(connection, self.plan)

    def report(self) -> list[dict[str, Any]]:
        with self.pool.connection() as connection:
            return list(plans.outcomes(connection, self.plan))

    def states(self) -> dict[str, int]:
        """What `connector texts list` counts."""
        with self.pool.connection() as connection:
            return Counter(row.state for row in text_search.find(connection, Search(), 1000))

    def rows(self, table: str) -> int:
        with self.pool.connection() as connection:
            [row] = connection.execute(f"select count(*) from {table}").fetchall()  # noqa: S608 - the test's own words
        return int(row[0])

    def finish(self, remote: Remote) -> None:
        """Go on to the end: each case is texted, once."""
        self.run()
        remote.deliver(*self.feed(), decide=decide)
        assert sorted(sms.ticket_id for sms in remote.sent) == self.tickets
        assert (self.tally(), self.states()) == ({"sent": len(self.tickets)}, {"sent": len(self.tickets)})


@pytest.fixture
def fill(pool: ConnectionPool) -> BackFill:
    return BackFill(pool)


def test_texts_that_had_not_left_go_back_to_the_plan_without_a_cancelled_one(fill: BackFill) -> None:
    remote = Remote(fill.pool)
    remote.deliver(*fill.feed()[:10], decide=decide)

    assert fill.halt() == MANY - 10

    assert fill.states() == {"sent": 10}
    assert fill.tally() == {"sent": 10, "waiting": MANY - 10}
    assert (fill.rows("events"), fill.rows("reasons"), fill.rows("recipients")) == (10, 10, 10)
    assert fill.rows("history where text not in (select id from texts)") == 0
    fill.finish(remote)


@pytest.mark.parametrize("times", [1, 5])
def test_it_can_be_paused_again_and_again(fill: BackFill, times: int) -> None:
    remote = Remote(fill.pool)
    for _ in range(times):
        remote.deliver(*fill.feed()[:3], decide=decide)
        fill.halt()
        fill.run()
    fill.halt()
    fill.finish(remote)


@pytest.mark.parametrize("to", HALTED)
def test_halted_while_its_texts_are_decided_nothing_leaves(fill: BackFill, to: PlanState) -> None:
    halts = list[int | None]()

    def halted_meanwhile(ticket: Ticket) -> Decision:
        if not halts:
            halts.append(fill.halt(to))
        return decide(ticket)

    remote = Remote(fill.pool)
    remote.deliver(*fill.feed(), decide=halted_meanwhile)

    assert (halts, remote.sent, fill.states()) == ([MANY], [], {})
    if to is not PlanState.CANCELLED:
        fill.finish(remote)


def test_paused_between_decision_and_claim_nothing_leaves(fill: BackFill) -> None:
    [first, *_] = fill.feed()
    with fill.pool.connection() as connection:
        queued(connection, {first: decide(Ticket("salesforce", fill.tickets[0], {}))})
        tries = [Attempt(first, texts.load(connection, [first])[first].revision, 1)]

    fill.halt()

    with fill.pool.connection() as connection:
        assert texts.to_be_sent(connection, [first]) == set()
        assert sending_claims.start_sending(connection, tries, 60) == {}
    fill.finish(Remote(fill.pool))


def test_what_is_being_sent_while_it_is_paused_has_its_outcome(fill: BackFill) -> None:
    halts = list[int | None]()

    def halted_meanwhile(sms: OutboundSms) -> Chat:
        halts.append(fill.halt())
        return Chat(id=114, status="selecting")

    remote = Remote(fill.pool, halted_meanwhile)
    remote.deliver(fill.feed()[0], decide=decide)

    assert halts == [MANY - 1]
    assert fill.tally() == {"sent": 1, "waiting": MANY - 1}
    remote.answer = lambda _: Chat(id=115, status="selecting")
    fill.finish(remote)


@pytest.mark.parametrize("to", HALTED)
def test_a_call_that_sent_nothing_after_the_halt_is_not_repeated_by_it(fill: BackFill, to: PlanState) -> None:
    def halted_meanwhile(sms: OutboundSms) -> Chat:
        fill.halt(to)
        raise Unavailable("the platform is busy", retry_after=1)

    remote = Remote(fill.pool, halted_meanwhile)
    remote.deliver(fill.feed()[0], decide=decide)
    assert fill.states() == {"queued": 1}

    assert fill.feed() == []

    assert fill.states() == {}
    assert set(fill.tally()) == {"cancelled" if to is PlanState.CANCELLED else "waiting"}


def test_a_lost_claim_that_is_undone_after_the_pause_goes_back_too(fill: BackFill) -> None:
    [first, *_] = fill.feed()
    with fill.pool.connection() as connection:
        queued(connection, {first: decide(Ticket("salesforce", fill.tickets[0], {}))})
        started(connection, first)
    fill.halt()
    with fill.pool.connection() as connection:
        sending_claims.undo_sending(connection, [Attempt(first, 1, first)])

    assert fill.feed() == []

    fill.finish(Remote(fill.pool))


def test_an_unknown_text_is_the_plans_own_and_no_second_one_is_made(fill: BackFill) -> None:
    [first, *_] = fill.feed()
    with fill.pool.connection() as connection:
        queued(connection, {first: decide(Ticket("salesforce", fill.tickets[0], {}))})
        started(connection, first)
    fill.halt()
    assert died(fill.pool) == {first}

    fill.run()
    remote = Remote(fill.pool)
    remote.deliver(*fill.feed(), decide=decide)

    assert fill.tally() == {"unknown": 1, "sent": MANY - 1}
    assert fill.tickets[0] not in {sms.ticket_id for sms in remote.sent}


def test_a_text_whose_ticket_was_told_something_is_kept_as_cancelled(fill: BackFill) -> None:
    """It may have been sent, as its ticket was told; a late answer says that it was not: the end is told as well."""
    [first, *_] = fill.feed()
    with fill.pool.connection() as connection:
        queued(connection, {first: decide(Ticket("salesforce", fill.tickets[0], {}))})
        claim = started(connection, first)[first]
    assert isinstance(claim, int)
    died(fill.pool)
    with fill.pool.connection() as connection:
        texts.move(connection, [transitions.again(first, claim, "busy", 60)])

    assert fill.halt() == MANY

    assert fill.states() == {"cancelled": 1}
    assert fill.tally() == {"waiting": MANY}


def test_a_trigger_that_was_to_be_skipped_for_a_text_that_went_back_is_decided_anew(fill: BackFill) -> None:
    [first, *_] = fill.feed()
    with fill.pool.connection() as connection:
        queued(connection, {first: decide(Ticket("salesforce", fill.tickets[0], {}))})
        event = TicketEvent("salesforce", "trigger", fill.tickets[0], channel=Channel.TRIGGER)
        [taken] = events.save(connection, [event])
    trigger = taken.text or 0
    fill.halt()

    with fill.pool.connection() as connection:  # what a worker had found before the pause
        assert texts.move(connection, [transitions.skipped_as(trigger, first, revision=0)]) == {trigger}

    remote = Remote(fill.pool)
    remote.deliver(trigger, decide=decide)
    assert fill.states() == {"sent": 1}
    fill.run()
    remote.deliver(*fill.feed(), decide=decide)
    assert Counter(sms.ticket_id for sms in remote.sent) == Counter(fill.tickets), "one reason, one text"


def test_a_text_that_waited_for_another_one_of_the_same_reason_is_not_sent_while_its_plan_is_paused(
    fill: BackFill,
) -> None:
    [first, *_] = fill.feed()
    with fill.pool.connection() as connection:
        [taken] = events.save(connection, [TicketEvent("salesforce", "trigger", fill.tickets[0])])
        queued(connection, {taken.text or 0: decide(Ticket("salesforce", fill.tickets[0], {}))})
    remote = Remote(fill.pool)
    remote.deliver(first, decide=decide)
    assert fill.states()["skipped"] == 1
    fill.halt()
    with fill.pool.connection() as connection:
        texts.move(connection, [transitions.taken_back(taken.text or 0, "an operator")])

    assert fill.feed() == []

    assert (remote.sent, fill.tally()) == ([], {"waiting": MANY})


def test_whom_it_texts_is_erased_while_it_is_paused(fill: BackFill) -> None:
    fill.feed()
    fill.halt()
    with fill.pool.connection() as connection:
        erasure.purge(connection, number(fill.tickets[3]))
    fill.run()
    remote = Remote(fill.pool)
    remote.deliver(*fill.feed(), decide=decide)

    assert {sms.ticket_id for sms in remote.sent} == {*fill.tickets} - {fill.tickets[3]}
    assert fill.tally() == {"sent": MANY - 1}


def test_cases_of_a_cancelled_plan_are_reported_as_cancelled(fill: BackFill) -> None:
    Remote(fill.pool).deliver(*fill.feed()[:10], decide=decide)
    assert fill.halt(PlanState.CANCELLED) == MANY - 10

    assert fill.states() == {"sent": 10}
    assert fill.tally() == {"sent": 10, "cancelled": MANY - 10}
    whys = Counter((row["state"], row["why"]) for row in fill.report())
    assert whys == {("sent", ""): 10, ("cancelled", "the back-fill was cancelled"): MANY - 10}


@pytest.mark.parametrize(
    ("state", "to", "may"),
    [
        (PlanState.PLANNED, PlanState.PAUSED, False),
        (PlanState.PLANNED, PlanState.CANCELLED, True),
        (PlanState.PAUSED, PlanState.PAUSED, False),
        (PlanState.STOPPED, PlanState.PAUSED, False),
        (PlanState.STOPPED, PlanState.CANCELLED, True),
        (PlanState.DONE, PlanState.PAUSED, False),
        (PlanState.DONE, PlanState.CANCELLED, False),
        (PlanState.CANCELLED, PlanState.PAUSED, False),
    ],
)
def test_only_a_plan_that_goes_on_is_paused(fill: BackFill, state: PlanState, to: PlanState, may: bool) -> None:
    with fill.pool.connection() as connection:
        connection.execute("update plans set state = %s", [state.value])
    assert (fill.halt(to) is not None) is may


def test_a_plan_whose_query_fails_keeps_no_other_from_being_fed(fill: BackFill) -> None:
    """The older one asks for a field that the CRM does not have any more."""

    class Org(Tickets):
        def fitting(self, query: Query, ids: Sequence[str]) -> set[str]:
            if query.where:
                raise Refused("INVALID_FIELD", RefusalScope.SETTINGS)
            return set(ids)

    with fill.pool.connection() as connection:
        older = plans.make(connection, "salesforce", Query(where="Gone__c = true"), TextRequest(rule="requested"))
        plans.add(connection, older, 0, [plans.Row("older")])
        plans.planned(connection, older, {})
        assert plans.start(connection, older, 0, 1, 0, None)
        connection.execute("update plans set made_at = made_at - interval '1 day' where id = %s", [older])

        with pytest.raises(Refused):
            Feeder({"salesforce": as_crm(Org())}, 0).feed(connection)

        assert plans.tally(connection, older) == {"waiting": 1}
        assert plans.found(connection, older).why == "it cannot go on at present: INVALID_FIELD"
        assert fill.tally() == {"received": MANY}

        Feeder({"salesforce": as_crm(Tickets())}, 0).feed(connection)
        assert plans.found(connection, older).why == "", "the field is there again"
