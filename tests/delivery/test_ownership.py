"""Who may take a text's next step, when workers are slow, stopped, cut off, or read something that is no longer so.

Two workers on one database, and a platform that notes what it was asked for. Each step of theirs is a statement: what
happens between two statements is laid down here.
"""

import itertools
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import psycopg
import pytest
from psycopg_pool import ConnectionPool

from connector import transitions
from connector.backfill import plans
from connector.crms import Query
from connector.errors import RefusalScope, Refused
from connector.http.exchange import BeforeSend
from connector.model import Channel, Chat, Decision, OutboundSms, Skip, Text, TextRequest, Ticket, TicketEvent
from connector.store import (
    agent_requests,
    erasure,
    outcomes,
    postgres,
    recipients,
    retention,
    sending_claims,
    text_views,
    texts,
)
from connector.store import events as event_store
from connector.store.agent_requests import SendRequest
from connector.store.outcomes import WriteResult
from connector.store.sending_claims import Attempt
from tests.support.remote import Remote, Tickets, died, queued, started
from tests.unit.test_mapping_rules import TICKET_ID, VALUES, mapping

NUMBER = "+14155550100"
SMS = OutboundSms(NUMBER, "+16285550199", "Hi", "500000000000001AAA")
REFUSED = Refused("end_user_number is invalid", RefusalScope.TICKET)
CHAT = Chat(id=114, status="selecting")


def decide(ticket: Ticket) -> Decision:
    return Decision("requested", "one reason", SMS)


@pytest.fixture
def text(pool: ConnectionPool) -> int:
    return new(pool, "a")


def new(pool: ConnectionPool, name: str, channel: Channel = Channel.TRIGGER, ticket: str = SMS.ticket_id) -> int:
    with pool.connection() as connection:
        [one] = event_store.save(connection, [TicketEvent("salesforce", name, ticket, channel=channel)])
    return one.text or 0


def read(pool: ConnectionPool, text: int) -> Text:
    """What a worker knows that has just read it."""
    with pool.connection() as connection:
        return texts.load(connection, [text])[text]


def move(pool: ConnectionPool, *moves: transitions.Transition) -> set[int]:
    with pool.connection() as connection:
        return texts.move(connection, moves)


def row(pool: ConnectionPool, text: int) -> dict[str, Any]:
    with pool.connection() as connection:
        found = text_views.story(connection, text)
    assert found
    return asdict(found)


def holders(pool: ConnectionPool) -> list[int]:
    with pool.connection() as connection:
        return [one for (one,) in connection.execute("select text from reasons union all select text from recipients")]


def sending(pool: ConnectionPool, text: int) -> int:
    """Another worker has begun its call: the claim's number."""
    with pool.connection() as connection:
        queued(connection, {text: decide(Ticket("salesforce", SMS.ticket_id, {}))})
        return started(connection, text)[text]


@pytest.mark.parametrize(
    "step",
    [
        lambda text: transitions.failed(text.id, "the ticket could not be read", text.revision),
        lambda text: transitions.put_off(text.id, text.revision, "the ticket could not be read", 5),
        lambda text: transitions.skipped(text.id, Skip("no"), revision=text.revision),
        lambda text: transitions.held(text.id, "at night", 5, [], text.revision),
        lambda text: transitions.skipped_as(text.id, 1, revision=text.revision),
    ],
    ids=["failed", "put off", "skipped", "held", "skipped as another"],
)
def test_a_worker_that_did_not_claim_a_text_cannot_move_it_once_another_has(
    pool: ConnectionPool, text: int, step: Callable[[Text], transitions.Transition]
) -> None:
    """A reads the ticket and is cut off; B takes over and calls; A comes back with what it made of its reading."""
    before = read(pool, text)
    claim = sending(pool, text)

    assert move(pool, step(before)) == set()

    assert row(pool, text)["state"] == "sending"
    assert set(holders(pool)) == {text}, "its reason and its number are still its own"
    assert move(pool, transitions.sent(text, claim, CHAT)) == {text}


def test_a_step_before_the_call_is_not_taken_by_who_read_an_older_revision(pool: ConnectionPool, text: int) -> None:
    """Also while the other one has only queued it, with its reason: a hold would give the reason back beneath it."""
    before = read(pool, text)
    with pool.connection() as connection:
        queued(connection, {text: decide(Ticket("salesforce", SMS.ticket_id, {}))})

    assert move(pool, transitions.held(text, "at night", 5, [], before.revision)) == set()

    assert set(holders(pool)) == {text}


def test_an_answer_of_another_claim_does_not_move_a_text_out_of_its_call(pool: ConnectionPool, text: int) -> None:
    claim = sending(pool, text)
    for answer in (
        transitions.refused(text, claim - 1, "no"),
        transitions.again(text, claim + 1, "later", 5),
        transitions.unknown(text, 0, "?"),
    ):
        assert move(pool, answer) == set()
    assert row(pool, text)["state"] == "sending"


def test_a_worker_that_was_held_up_with_the_claims_answer_in_its_socket_does_not_call(pool: ConnectionPool) -> None:
    """It is stopped for 33 s after it asked for the claim. The clock runs from before it asked, also in a sleep."""
    first = new(pool, "a")
    remote, clock = Remote(pool), itertools.count()
    # The first look at the clock is before the claim is asked for, the second is just before the first byte.
    remote.clock = lambda: next(clock) * 33.0

    remote.deliver(first, decide=decide)

    assert remote.sent == []
    after = row(pool, first)
    assert (after["state"], after["why"]) == ("queued", "the connector was held up before it could send")
    assert after["history"][-1]["from_state"] == "sending", "it is certain that nothing was sent"


def test_the_clock_that_claims_go_by_also_runs_while_the_machine_sleeps() -> None:
    from connector.delivery import sender

    assert getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC) == sender.CLOCK


def test_a_claim_is_good_for_the_longest_call_and_not_for_longer_whether_or_not_there_is_a_job(
    pool: ConnectionPool, text: int
) -> None:
    with pool.connection() as connection:
        queued(connection, {text: decide(Ticket("salesforce", SMS.ticket_id, {}))})
        started(connection, text, good_for=3600)
        assert texts.give_up_overdue(connection, "too late") == set()
        connection.execute("delete from pgqueuer")
    assert died(pool) == {text}
    assert row(pool, text)["state"] == "unknown"


def test_a_claim_that_may_have_been_made_when_the_database_was_lost_is_undone_by_who_asked_for_it_alone(
    pool: ConnectionPool, text: int
) -> None:
    """Whether the commit got through cannot be known; that nothing was sent, can."""
    with pool.connection() as connection:
        queued(connection, {text: decide(Ticket("salesforce", SMS.ticket_id, {}))})
        mine = Attempt(text, texts.load(connection, [text])[text].revision, 1)
        theirs = Attempt(text, mine.revision, 2)
        sending_claims.start_sending(connection, [theirs], 60)
        sending_claims.undo_sending(connection, [mine])
        assert row(pool, text)["state"] == "sending"
        sending_claims.undo_sending(connection, [theirs])
    assert row(pool, text)["state"] == "queued"
    remote = Remote(pool)
    remote.deliver(text, decide=decide)
    assert (row(pool, text)["state"], len(remote.sent)) == ("sent", 1)


def test_of_several_tries_for_one_text_in_one_statement_one_gets_it(pool: ConnectionPool, text: int) -> None:
    """A job came twice, and both runs claim at the same moment."""
    with pool.connection() as connection:
        queued(connection, {text: decide(Ticket("salesforce", SMS.ticket_id, {}))})
        revision = texts.load(connection, [text])[text].revision
        answers = sending_claims.start_sending(
            connection, [Attempt(text, revision, token) for token in (11, 12, 13)], 60
        )
    assert len(answers) == 1
    assert answers.keys() <= {11, 12, 13}


def test_a_job_that_comes_several_times_at_once_sends_once(pool: ConnectionPool, text: int) -> None:
    remote = Remote(pool)
    remote.deliver(*[text] * 40, decide=decide)
    assert len(remote.sent) == 1


def test_a_text_that_waits_after_its_ticket_was_told_keeps_its_rule(pool: ConnectionPool) -> None:
    """It was told Unknown; then the call turns out never to have been made: our own words must not end it."""
    values, at_any_hour = VALUES | {"status": "Unknown"}, replace(mapping(), without=frozenset({"hours", "window"}))
    text = new(pool, "a", ticket=TICKET_ID)
    Remote(pool).deliver(text, mapping=at_any_hour, tickets=Tickets(VALUES))
    with pool.connection() as connection:
        connection.execute(
            "update texts set state = 'queued', outcome = 1, not_before = null,"
            """ wrote = '{"status": "Unknown"}' where id = %s""",
            [text],
        )
        connection.execute("delete from recipients")
    remote = Remote(pool)
    remote.deliver(text, mapping=at_any_hour, tickets=Tickets(values))
    assert (row(pool, text)["state"], len(remote.sent)) == ("sent", 1)


def test_before_the_first_byte_an_error_of_whatever_kind_is_certain(pool: ConnectionPool, text: int) -> None:
    """The database is lost while the text waits for another slot."""

    class Lost(Remote):
        async def send(self, sms: OutboundSms, before_send: BeforeSend) -> Chat:
            raise psycopg.OperationalError("the server closed the connection unexpectedly")

    Lost(pool).deliver(text, decide=decide)

    after = row(pool, text)
    assert after["state"] == "queued"
    assert "nothing was sent" in after["why"]


# ---- answers that come late


@pytest.mark.parametrize("channel", [Channel.TRIGGER, Channel.BATCH])
def test_a_clear_refusal_corrects_a_text_that_was_given_up(pool: ConnectionPool, channel: Channel) -> None:
    text = new(pool, "a", channel)
    claim = sending(pool, text)
    died(pool)

    assert move(pool, transitions.refused(text, claim, "end_user_number is invalid")) == {text}

    after = row(pool, text)
    assert (after["state"], after["why"], after["outcome"]) == ("failed", "end_user_number is invalid", 2)
    assert holders(pool) == [], "it may be texted again"


def test_a_refusal_that_all_would_meet_lets_a_text_that_was_given_up_wait_after_all(
    pool: ConnectionPool, text: int
) -> None:
    claim = sending(pool, text)
    died(pool)

    assert move(pool, transitions.again(text, claim, "SMS is not enabled", 0)) == {text}

    assert row(pool, text)["state"] == "queued"
    assert set(holders(pool)) == {text}


def test_a_chat_contradicts_a_person_who_settled_the_text_as_not_sent(pool: ConnectionPool, text: int) -> None:
    claim = sending(pool, text)
    died(pool)
    with pool.connection() as connection:
        assert text_views.resolve(connection, text, None)
    assert holders(pool) == []

    assert move(pool, transitions.sent(text, claim, CHAT)) == {text}

    after = row(pool, text)
    assert (after["state"], after["chat"]["id"], after["outcome"]) == ("sent", 114, 3)
    assert "it had been settled as not sent" in after["contradicted"]
    assert set(holders(pool)) == {text}, "nobody texts for the same reason again"


def test_a_chat_contradicts_a_person_who_settled_the_text_as_another_chat(pool: ConnectionPool, text: int) -> None:
    claim = sending(pool, text)
    died(pool)
    with pool.connection() as connection:
        assert text_views.resolve(connection, text, 999)

    move(pool, transitions.sent(text, claim, CHAT))

    after = row(pool, text)
    assert (after["state"], after["chat"]["id"]) == ("sent", 114)
    assert "it had been settled as chat 999" in after["contradicted"]


def test_a_chat_that_a_person_has_found_already_is_nothing_new(pool: ConnectionPool, text: int) -> None:
    claim = sending(pool, text)
    died(pool)
    with pool.connection() as connection:
        assert text_views.resolve(connection, text, 114)

    assert move(pool, transitions.sent(text, claim, CHAT)) == set()

    assert (row(pool, text)["contradicted"], row(pool, text)["outcome"]) == (None, 2)


def test_a_refusal_contradicts_a_person_who_settled_the_text_as_sent(pool: ConnectionPool, text: int) -> None:
    claim = sending(pool, text)
    died(pool)
    with pool.connection() as connection:
        assert text_views.resolve(connection, text, 999)

    move(pool, transitions.refused(text, claim, "end_user_number is invalid"))

    after = row(pool, text)
    assert (after["state"], after["outcome"]) == ("sent", 3)
    assert "refused (end_user_number is invalid); it had been settled as chat 999" in after["contradicted"]


def second_try(pool: ConnectionPool, text: int) -> tuple[int, int]:
    """The first call is unclear, the one more try is under way: the numbers of both claims."""
    first = sending(pool, text)
    move(pool, transitions.unknown(text, first, "no answer", after=0))
    with pool.connection() as connection:
        connection.execute("update texts set not_before = now() - interval '1 second'")
        second = started(connection, text)[text]
    return first, second


def test_while_the_second_call_is_under_way_the_first_ones_refusal_makes_it_certain(
    pool: ConnectionPool, text: int
) -> None:
    first, second = second_try(pool, text)

    assert move(pool, transitions.refused(text, first, "no")) == set()
    assert row(pool, text)["state"] == "sending", "it is the second one's"
    assert move(pool, transitions.refused(text, second, "no")) == {text}

    assert row(pool, text)["state"] == "failed", "neither of them has sent it"


def test_while_the_second_call_is_under_way_the_first_ones_chat_is_kept(pool: ConnectionPool, text: int) -> None:
    first, second = second_try(pool, text)

    assert move(pool, transitions.sent(text, first, CHAT)) == set()
    assert move(pool, transitions.refused(text, second, "in a session", "probably sent")) == {text}

    after = row(pool, text)
    assert (after["state"], after["chat"]["id"], after["contradicted"]) == ("sent", 114, None)


def test_two_chats_of_one_text_are_said_loudly(pool: ConnectionPool, text: int) -> None:
    first, second = second_try(pool, text)
    move(pool, transitions.sent(text, first, CHAT))
    move(pool, transitions.sent(text, second, Chat(id=115)))
    after = row(pool, text)
    assert (after["state"], after["chat"]["id"]) == ("sent", 115)
    assert "the customer may have two texts" in after["contradicted"]


def test_a_late_refusal_of_the_first_call_says_nothing_while_the_second_is_unclear(
    pool: ConnectionPool, text: int
) -> None:
    first, second = second_try(pool, text)
    move(pool, transitions.unknown(text, second, "no answer again"))
    assert move(pool, transitions.refused(text, first, "no")) == set()
    assert row(pool, text)["state"] == "unknown"
    assert move(pool, transitions.refused(text, second, "no")) == {text}
    assert row(pool, text)["state"] == "failed", "now both are known"


# ---- ways out of `received` and `queued` while another worker is deciding


def cancel_by_a_person(pool: ConnectionPool, text: int) -> None:
    with pool.connection() as connection:
        assert text_views.cancel(connection, text, "somebody")


def pause(pool: ConnectionPool, text: int) -> None:
    assert move(pool, transitions.taken_back(text, "paused")) == {text}


def purge(pool: ConnectionPool, text: int) -> None:
    with pool.connection() as connection:
        erasure.purge(connection, NUMBER)


def skip(pool: ConnectionPool, text: int) -> None:
    assert move(pool, transitions.skipped(text, Skip("deleted"), revision=read(pool, text).revision)) == {text}


def fail(pool: ConnectionPool, text: int) -> None:
    assert move(pool, transitions.failed(text, "cannot be read", read(pool, text).revision)) == {text}


WAYS_OUT = [cancel_by_a_person, pause, skip, fail]


@pytest.mark.parametrize(
    ("way_out", "decided"),
    # Of a text that was not decided yet, nobody knows whose it is: there is nothing to purge.
    [*itertools.product(WAYS_OUT, [False, True]), (purge, True)],
)
def test_a_text_that_ends_while_a_worker_decides_claims_nothing_and_the_next_one_is_sent(
    pool: ConnectionPool, way_out: Callable[[ConnectionPool, int], None], decided: bool
) -> None:
    """The CRM takes three seconds to answer, and meanwhile somebody takes the text back."""
    text = new(pool, "a")
    if decided:
        with pool.connection() as connection:
            queued(connection, {text: decide(Ticket("salesforce", SMS.ticket_id, {}))})

    def while_reading(ticket: Ticket) -> Decision:
        way_out(pool, text)
        return decide(ticket)

    remote = Remote(pool)
    remote.deliver(text, decide=while_reading)
    assert remote.sent == []
    assert row(pool, text)["state"] in ("cancelled", "skipped", "failed")
    assert holders(pool) == []

    again = new(pool, "again")
    remote.deliver(again, decide=decide)
    assert (row(pool, again)["state"], len(remote.sent)) == ("sent", 1)


@pytest.mark.parametrize("way_out", [cancel_by_a_person, pause, purge])
def test_a_text_that_was_taken_back_after_it_was_decided_is_not_called(
    pool: ConnectionPool, text: int, way_out: Callable[[ConnectionPool, int], None]
) -> None:
    with pool.connection() as connection:
        queued(connection, {text: decide(Ticket("salesforce", SMS.ticket_id, {}))})
        mine = Attempt(text, texts.load(connection, [text])[text].revision, 1)
    way_out(pool, text)
    with pool.connection() as connection:
        assert sending_claims.start_sending(connection, [mine], 60) == {}


def test_an_agent_who_takes_a_text_back_while_its_ticket_is_read_can_ask_again(pool: ConnectionPool) -> None:
    def asked(key: str) -> int:
        with pool.connection() as connection:
            return agent_requests.take_in(
                connection, SendRequest("salesforce", SMS.ticket_id, TextRequest(), "maya", key)
            ).text

    first = asked("one")
    remote = Remote(pool)

    def cancelled_meanwhile(ticket: Ticket) -> Decision:
        cancel_by_a_person(pool, first)
        return decide(ticket)

    remote.deliver(first, decide=cancelled_meanwhile)
    second = asked("two")
    remote.deliver(second, decide=decide)
    assert (row(pool, second)["state"], len(remote.sent)) == ("sent", 1)


def test_a_back_fill_that_is_paused_while_its_tickets_are_read_is_sent_whole_after_that(pool: ConnectionPool) -> None:
    tickets = [f"{number:018d}" for number in range(30)]
    with pool.connection() as connection:
        plan = plans.make(connection, "salesforce", Query(), TextRequest(rule="requested"))
        plans.add(connection, plan, 0, [plans.Row(ticket) for ticket in tickets])
        plans.planned(connection, plan, {})
        plans.start(connection, plan, 0, 0, 0, None)

    def feed() -> list[int]:
        with pool.connection() as connection:
            rows = connection.execute(plans.SQL["next_cases"], {"plan": plan, "most": 30}).fetchall()
            events = [
                TicketEvent("salesforce", f"{ticket}:{tries}", ticket, channel=Channel.BATCH)
                for _, ticket, _, tries in rows
            ]
            taken = [one.text or 0 for one in event_store.save(connection, events)]
            became = [{"position": position, "text": text} for (position, *_), text in zip(rows, taken, strict=True)]
            connection.execute(plans.SQL["took_in"], {"plan": plan, "taken": psycopg.types.json.Jsonb(became)})
        return taken

    def each(ticket: Ticket) -> Decision:
        return Decision("requested", ticket.id, OutboundSms(NUMBER, "+16285550199", "Hi", ticket.id))

    paused = list[object]()

    def paused_meanwhile(ticket: Ticket) -> Decision:
        if not paused:
            with pool.connection() as connection:
                paused.append(plans.halt(connection, plan, plans.PlanState.PAUSED, "paused"))
        return each(ticket)

    remote = Remote(pool)
    remote.deliver(*feed(), decide=paused_meanwhile)
    assert (paused, remote.sent) == ([30], [])
    with pool.connection() as connection:
        plans.start(connection, plan, 0, 0, 0, None)
    remote.deliver(*feed(), decide=each)
    assert sorted(sms.ticket_id for sms in remote.sent) == tickets


def test_what_was_skipped_for_a_text_that_is_taken_back_is_decided_anew(pool: ConnectionPool) -> None:
    """A trigger met a back-fill's text for the same reason; then the back-fill is paused: the trigger is not lost."""
    batch, trigger = new(pool, "a", Channel.BATCH), new(pool, "b")
    with pool.connection() as connection:
        queued(connection, {batch: decide(Ticket("salesforce", SMS.ticket_id, {}))})
    remote = Remote(pool)
    remote.deliver(trigger, decide=decide)
    assert row(pool, trigger)["state"] == "skipped"

    pause(pool, batch)

    assert row(pool, trigger)["state"] == "received"
    remote.deliver(trigger, decide=decide)
    assert (row(pool, trigger)["state"], len(remote.sent)) == ("sent", 1)


def test_reasons_and_numbers_of_texts_that_are_over_are_given_back_by_maintenance(pool: ConnectionPool) -> None:
    """Such as earlier versions have left behind."""
    text = new(pool, "a")
    with pool.connection() as connection:
        queued(connection, {text: decide(Ticket("salesforce", SMS.ticket_id, {}))})
        connection.execute("update texts set state = 'cancelled', changed_at = now() - interval '2 days'")
        retention.requeue(connection)
        assert holders(pool) == [text, text], "the quick look is at those of the last hours"
        retention.free(connection)
    assert holders(pool) == []


def test_texts_and_outcomes_without_a_job_get_one(pool: ConnectionPool) -> None:
    waiting, untold, told = (new(pool, name, ticket=f"50000000000000{name}AAA") for name in "abc")
    move(pool, transitions.failed(untold, "no"), transitions.failed(told, "no"))
    with pool.connection() as connection:
        outcomes.record(connection, [WriteResult(told, 1)])
        connection.execute("delete from pgqueuer")
        retention.requeue(connection)
        assert connection.execute("select count(*) from pgqueuer").fetchone() == (0,), "not those of this moment"
        connection.execute("update texts set changed_at = now() - interval '2 minutes'")
        for _ in range(2):
            retention.requeue(connection)
        jobs = connection.execute("select entrypoint, payload from pgqueuer order by id").fetchall()
    assert [(kind, int(payload)) for kind, payload in jobs] == [("deliver_trigger", waiting), ("write_back", untold)]


def test_a_clock_that_was_set_back_leaves_nothing_standing_for_so_long(pool: ConnectionPool) -> None:
    """Everything was put off while the database's clock was an hour ahead."""
    waiting, held, called = (new(pool, name) for name in "abc")
    sending(pool, called)
    move(pool, transitions.held(held, "at night", 60, [], read(pool, held).revision))
    with pool.connection() as connection:
        for later in (
            "update pgqueuer set created = created + interval '1 hour'",
            "update pgqueuer set execute_after = execute_after + interval '1 hour'",
            "update pgqueuer set status = 'picked', heartbeat = now() + interval '1 hour' where id = 1",
            "update texts set changed_at = changed_at + interval '1 hour'",
            "update texts set claim_until = claim_until + interval '1 hour'",
            "update texts set not_before = not_before + interval '1 hour' where not_before is not null",
        ):
            connection.execute(later)

        retention.requeue(connection)

        late = "status = 'queued' and execute_after > now() + interval '61 seconds' or heartbeat > now()"
        assert connection.execute(f"select count(*) from pgqueuer where {late}").fetchone() == (0,)  # noqa: S608
        [soon] = connection.execute("select extract(epoch from not_before - now()) from texts where id = %s", [held])
        assert 0 < soon[0] <= 60
        assert texts.give_up_overdue(connection, "who knows for how long") == {called}
    assert waiting


def test_a_text_that_was_sent_for_a_number_after_all_has_its_window(pool: ConnectionPool, text: int) -> None:
    claim = sending(pool, text)
    died(pool)
    with pool.connection() as connection:
        text_views.resolve(connection, text, None)
    move(pool, transitions.sent(text, claim, CHAT))
    with pool.connection() as connection:
        decision = Decision("another", "another reason", SMS)
        known = recipients.known(connection, [(0, "salesforce", decision, None)])[0]
        assert known.texted_by == text
        assert known.texted_at
        assert abs((postgres.now(connection) - known.texted_at).total_seconds()) < 60
