"""Notes of holds and outcomes of one ticket: in every order, the outcome is written last."""

import psycopg
import pytest
from psycopg_pool import ConnectionPool

from connector import transitions
from connector.model import Channel, Chat, Decision, OutboundSms, TextRequest, TicketEvent
from connector.outcome import HeldNote, Hold
from connector.store import events, held_notes, outcomes, texts
from tests.support.remote import queued, started

PAUSED = Hold("sending is paused")


def saved(connection: psycopg.Connection, name: str = "a", ticket: str = "t", is_trigger: bool = False) -> int:
    """A text that is queued."""
    channel, request = (Channel.TRIGGER, None) if is_trigger else (Channel.BATCH, TextRequest(rule="requested"))
    [receipt] = events.save(connection, [TicketEvent("salesforce", name, ticket, channel=channel, request=request)])
    text = receipt.text or 0
    sms = OutboundSms(f"+1415555{text:04d}", "+16285550199", "Hi", ticket)
    queued(connection, {text: Decision("requested", name, sms)})
    return text


def noted(connection: psycopg.Connection, text: int, hold: Hold = PAUSED) -> list[HeldNote]:
    held_notes.pause(connection, {text: hold})
    return held_notes.pending(connection, [text])


def send(connection: psycopg.Connection, text: int) -> None:
    claim = started(connection, text)[text]
    assert isinstance(claim, int)
    texts.move(connection, [transitions.sent(text, claim, Chat(id=text, status="selecting"))])


def test_a_hold_is_noted_once_and_again_when_it_changes(pool: ConnectionPool) -> None:
    with pool.connection() as connection:
        text = saved(connection)
        [note] = noted(connection, text)
        assert (note.version, note.hold) == (1, PAUSED)
        assert held_notes.begin(connection, {note: {}}) == {text}
        held_notes.end(connection, [note])
        assert noted(connection, text) == [], "the same hold"
        [again] = noted(connection, text, Hold("sending is paused", "2026-11-30 08:00, UTC"))
        assert again.version == 2


def test_an_outcome_waits_for_a_note_that_has_begun_and_no_note_begins_after_it(pool: ConnectionPool) -> None:
    with pool.connection() as connection:
        text = saved(connection)
        [note] = noted(connection, text)
        assert held_notes.begin(connection, {note: {}}) == {text}
        assert held_notes.begin(connection, {note: {}}) == set(), "the same job in another worker"

        send(connection, text)

        waiting = outcomes.pending(connection, [text])
        assert (waiting.outcomes, waiting.soon) == ([], [text])
        held_notes.end(connection, [note])
        assert [one.text for one in outcomes.pending(connection, [text]).outcomes] == [text]
        assert held_notes.pending(connection, [text]) == []
        assert held_notes.begin(connection, {note: {}}) == set()


def test_an_outcome_does_not_wait_for_a_worker_that_died_in_the_middle_of_a_note(pool: ConnectionPool) -> None:
    with pool.connection() as connection:
        text = saved(connection)
        [note] = noted(connection, text)
        held_notes.begin(connection, {note: {}})
        connection.execute("update texts set held_begun = now() - interval '3 minutes'")
        assert held_notes.begin(connection, {note: {}}) == {text}, "another worker writes it"
        connection.execute("update texts set held_begun = now() - interval '3 minutes'")
        send(connection, text)
        [outcome] = outcomes.pending(connection, [text]).outcomes
        outcomes.record(connection, [outcomes.WriteResult(text, outcome.version)])

        held_notes.end(connection, [note])  # the worker was only stopped, and its note came last

        assert [one.text for one in outcomes.pending(connection, [text]).outcomes] == [text], "it is written again"


@pytest.mark.parametrize("settled", ["sent", "unknown", "sending"])
def test_no_note_hides_another_text_of_the_ticket(pool: ConnectionPool, settled: str) -> None:
    with pool.connection() as connection:
        first, second = saved(connection, "a"), saved(connection, "b")
        [note] = noted(connection, second)
        if settled == "sent":
            send(connection, first)
        else:
            claim = started(connection, first)[first]
            assert isinstance(claim, int)
            if settled == "unknown":
                texts.move(connection, [transitions.unknown(first, claim, "no answer")])
        assert held_notes.begin(connection, {note: {}}) == set()


def test_a_trigger_that_no_rule_has_accepted_is_not_noted(pool: ConnectionPool) -> None:
    """The note may change the field that its rule looks at."""
    with pool.connection() as connection:
        assert noted(connection, saved(connection, is_trigger=True)) == []


def test_a_text_that_is_taken_back_after_a_note_has_an_outcome(pool: ConnectionPool) -> None:
    with pool.connection() as connection:
        text, quiet = saved(connection, "a", "t"), saved(connection, "b", "u")
        noted(connection, text)
        texts.move(connection, [transitions.taken_back(one, "an operator") for one in (text, quiet)])
        assert [one.text for one in outcomes.pending(connection, [text, quiet]).outcomes] == [text]


def test_the_notes_own_write_counts_as_the_connectors(pool: ConnectionPool) -> None:
    with pool.connection() as connection:
        text = saved(connection)
        [note] = noted(connection, text)
        held_notes.begin(connection, {note: {"sms_status": "Waiting"}})
        assert outcomes.own_writes(connection, [text]) == {text: [{"sms_status": "Waiting"}]}


def test_no_note_begins_while_another_text_of_the_ticket_is_being_settled(pool: ConnectionPool) -> None:
    """The other's outcome is not committed yet: this connection cannot see it, but that the row is locked."""
    with pool.connection() as connection, pool.connection() as other:
        first, second = saved(connection, "a"), saved(connection, "b")
        [note] = noted(connection, second)
        with other.transaction():
            other.execute("update texts set outcome = 1 where id = %s", [first])
            assert held_notes.begin(connection, {note: {}}) == set()
        assert held_notes.begin(connection, {note: {}}) == set(), "its outcome comes first"
        connection.execute("update texts set written = 1 where id = %s", [first])
        assert held_notes.begin(connection, {note: {}}) == {second}
