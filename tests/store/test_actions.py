"""What people do to one text or number: what each action changes, records, and refuses."""

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool

from connector import transitions
from connector.errors import ActionRefused
from connector.model import Channel, Chat, Decision, OutboundSms, Skip, State, TextRequest, TicketEvent
from connector.policy.opt_outs import Source
from connector.store import actions, agent_requests, audit, events, outcomes, retention, suppressions, text_views, texts
from connector.store.agent_requests import SendRequest
from connector.store.audit import Actor, Filter
from connector.store.outcomes import WriteResult
from tests.support.remote import LENIENT, Remote, queued, started

NUMBER = "+14155550132"
ADA = Actor("ada", audit.Source.CLI, "host")
WHY = "the number was corrected"


@pytest.fixture
def connection(pool: ConnectionPool) -> Iterator[psycopg.Connection]:
    with pool.connection() as connection:
        yield connection


def sms(text: int) -> OutboundSms:
    return OutboundSms(NUMBER, "+16285550199", "Hi Ada", f"case{text}")


def texts_in(connection: psycopg.Connection, *states: State, request: TextRequest | None = None) -> list[int]:
    """A text in each of these states, each of a ticket of its own."""
    channel = Channel.AGENT if request else Channel.TRIGGER
    made = events.save(
        connection,
        [
            TicketEvent("salesforce", f"e{n}", f"case{n}", channel=channel, request=request)
            for n, _ in enumerate(states, 1)
        ],
    )
    ids = [receipt.text or 0 for receipt in made]
    for text, state in zip(ids, states, strict=True):
        _bring(connection, text, state)
    return ids


def _bring(connection: psycopg.Connection, text: int, state: State) -> None:
    if state is State.SKIPPED:
        texts.move(connection, [transitions.skipped(text, Skip("no phone"))])
    if state in (State.RECEIVED, State.SKIPPED):
        return
    queued(connection, {text: Decision("requested", f"r{text}", sms(text))})
    if state is State.QUEUED:
        return
    claim = started(connection, text)[text]
    ends = {
        State.SENT: lambda: transitions.sent(text, claim, Chat(id=text)),
        State.FAILED: lambda: transitions.refused(text, claim, "invalid"),
        State.UNKNOWN: lambda: transitions.unknown(text, claim, "no answer"),
    }
    texts.move(connection, [ends[state]()])


def row(connection: psycopg.Connection, text: int) -> dict[str, Any]:
    with connection.cursor(row_factory=dict_row) as cursor:
        [found] = cursor.execute("select * from texts where id = %s", [text]).fetchall()
        return found


def entries(connection: psycopg.Connection, about: str) -> list[tuple[str, str, str]]:
    return [(entry.what, entry.who, entry.why) for entry in audit.find(connection, Filter(about=about), 10)]


def jobs(connection: psycopg.Connection) -> list[tuple[str, str]]:
    return connection.execute(
        "select entrypoint, convert_from(payload, 'utf8') from pgqueuer where execute_after <= now() order by id"
    ).fetchall()


def refused(act: Callable[[], object]) -> str:
    with pytest.raises(ActionRefused) as error:
        act()
    return error.value.why


def test_a_waiting_text_is_cancelled_and_recorded(connection: psycopg.Connection) -> None:
    [text] = texts_in(connection, State.QUEUED)

    actions.cancel(connection, text, ADA, why="asked by phone")

    assert (row(connection, text)["state"], row(connection, text)["why"]) == ("cancelled", "cancelled by an operator")
    assert entries(connection, audit.text(text)) == [("text.cancel", "ada", "asked by phone")]


def test_a_text_that_ended_is_not_cancelled_and_nothing_is_recorded(connection: psycopg.Connection) -> None:
    [sent, unknown] = texts_in(connection, State.SENT, State.UNKNOWN)

    assert "was sent already" in refused(lambda: actions.cancel(connection, sent, ADA))
    assert "may have been sent" in refused(lambda: actions.cancel(connection, unknown, ADA))
    assert refused(lambda: actions.cancel(connection, 99, ADA)) == "does not exist"
    assert entries(connection, audit.text(sent)) == []


def test_a_pending_write_back_is_due_at_once_and_stays_the_same_outcome(connection: psycopg.Connection) -> None:
    [text] = texts_in(connection, State.SENT)
    connection.execute("delete from pgqueuer")
    outcomes.retry_later(connection, {text: (1800, "validation rule")})

    actions.repeat_write_back(connection, text, ADA, WHY)

    assert jobs(connection) == [("write_back", str(text))]
    assert (row(connection, text)["outcome"], row(connection, text)["write_refused"]) == (1, "validation rule")
    assert entries(connection, audit.text(text)) == [("text.write_back", "ada", WHY)]


@pytest.mark.parametrize("given_up", [True, False])
def test_a_write_back_that_ended_is_made_again(connection: psycopg.Connection, given_up: bool) -> None:
    [text] = texts_in(connection, State.SENT)
    if given_up:
        actions.give_up_write_back(connection, text, ADA, "the case was merged")
    else:
        outcomes.record(connection, [WriteResult(text, 1)])
    assert outcomes.pending(connection, [text]).outcomes == []

    actions.repeat_write_back(connection, text, ADA)

    assert [outcome.version for outcome in outcomes.pending(connection, [text]).outcomes] == [2]
    assert row(connection, text)["write_refused"] is None


def test_what_has_no_outcome_is_not_written_back(connection: psycopg.Connection) -> None:
    [waiting, quiet] = texts_in(connection, State.QUEUED, State.RECEIVED)
    texts.move(connection, [transitions.skipped(quiet, Skip("no rule", notify=False))])

    assert refused(lambda: actions.repeat_write_back(connection, waiting, ADA)) == "has no outcome yet"
    assert "nothing to write back" in refused(lambda: actions.repeat_write_back(connection, quiet, ADA))
    assert refused(lambda: actions.repeat_write_back(connection, 99, ADA)) == "does not exist"


def test_a_failed_text_is_asked_for_again_with_its_own_words(connection: psycopg.Connection) -> None:
    request = TextRequest(message="Hi Ada", override="she called", overrides=("window:1",), agent_id=7, agent_name="Bo")
    [text] = texts_in(connection, State.FAILED, request=request)

    new = actions.send_again(connection, text, ADA, WHY)

    asked = texts.load(connection, [new])[new]
    assert (asked.channel, asked.ticket_id) == (Channel.AGENT, "case1")
    assert asked.request == TextRequest(
        rule="requested", message="Hi Ada", override=WHY, overrides=(), agent_id=7, agent_name="Bo"
    ), "the agent's reason for other findings is not a reason for these"
    assert entries(connection, audit.text(text)) == [("text.send_again", "ada", WHY)]


def test_a_failed_text_is_asked_for_once_whoever_asks(connection: psycopg.Connection) -> None:
    [text, seen_by_agent] = texts_in(connection, State.FAILED, State.FAILED)
    actions.send_again(connection, text, ADA, WHY)
    agent = SendRequest("salesforce", "case2", TextRequest(message="Hi"), "key:crm", "k1", after=seen_by_agent)
    agent_requests.take_in(connection, agent)

    bo = Actor("bo", audit.Source.CLI)
    assert "was followed by another request" in refused(lambda: actions.send_again(connection, text, ADA, WHY))
    assert "was followed" in refused(lambda: actions.send_again(connection, text, ADA, "another reason"))
    assert "was followed" in refused(lambda: actions.send_again(connection, text, bo, WHY))
    assert "was followed" in refused(lambda: actions.send_again(connection, seen_by_agent, ADA, WHY))
    assert connection.execute("select count(*) from texts").fetchone() == (4,)


@pytest.mark.parametrize("state", [State.QUEUED, State.SENT, State.SKIPPED, State.UNKNOWN])
def test_only_a_failed_text_is_sent_again(connection: psycopg.Connection, state: State) -> None:
    [text] = texts_in(connection, state)

    assert f"is {state}, not failed" in refused(lambda: actions.send_again(connection, text, ADA, WHY))


def test_a_text_whose_words_were_erased_is_not_sent_again(connection: psycopg.Connection) -> None:
    [text] = texts_in(connection, State.FAILED, request=TextRequest(message="Hi"))
    connection.execute("update texts set changed_at = now() - interval '31 days', written = outcome")
    retention.keep(connection, 30)

    assert "was erased" in refused(lambda: actions.send_again(connection, text, ADA, WHY))


def test_a_text_that_no_rule_asked_for_is_not_sent_again(connection: psycopg.Connection) -> None:
    """A trigger whose case could not be read: nobody knows whether its customer was to be texted."""
    [text] = texts_in(connection, State.FAILED)
    connection.execute("update texts set rule = null")

    assert "before a rule asked for it" in refused(lambda: actions.send_again(connection, text, ADA, WHY))
    assert connection.execute("select count(*) from texts").fetchone() == (1,)


@pytest.mark.parametrize("channel", [Channel.AGENT, Channel.BATCH])
def test_the_policy_decides_about_a_text_that_is_sent_again(
    connection: psycopg.Connection, pool: ConnectionPool, channel: Channel
) -> None:
    """One for a number that opted out meanwhile is not sent; another is."""
    [stopped, good] = texts_in(connection, State.FAILED, State.FAILED)
    suppressions.suppress(connection, "+14155550133", "asked", "ada")
    again = [actions.send_again(connection, text, ADA, WHY, channel) for text in (stopped, good)]
    numbers = {"case1": "+14155550133", "case2": NUMBER}
    remote = Remote(pool)

    remote.deliver(
        *again,
        decide=lambda ticket: Decision(
            "requested", ticket.id, OutboundSms(numbers[ticket.id], "+16285550199", "Hi", ticket.id)
        ),
        policy=LENIENT,
    )

    assert [row(connection, text)["state"] for text in again] == ["skipped", "sent"]
    assert [sms.end_user_number for sms in remote.sent] == [NUMBER]


def test_the_number_of_a_text_is_suppressed_without_being_seen(connection: psycopg.Connection) -> None:
    [text, undecided] = texts_in(connection, State.SENT, State.RECEIVED)

    actions.suppress_number_of(connection, text, ADA, "asked by phone")

    assert suppressions.sources(connection, NUMBER) == [Source.PERSON]
    assert entries(connection, audit.number(connection, NUMBER)) == [("number.suppress", "ada", "asked by phone")]
    assert "on the suppression list already" in refused(lambda: actions.suppress_number_of(connection, text, ADA, ""))
    assert "has no number" in refused(lambda: actions.suppress_number_of(connection, undecided, ADA, ""))


def test_a_person_lifts_only_what_a_person_has_entered(connection: psycopg.Connection) -> None:
    suppressions.suppress(connection, NUMBER, "", "the customer", Source.WORD)
    assert "no entry by a person" in refused(lambda: actions.lift(connection, NUMBER, ADA, WHY))
    actions.suppress(connection, NUMBER, ADA, "asked")

    actions.lift(connection, NUMBER, ADA, WHY)

    assert suppressions.sources(connection, NUMBER) == [Source.WORD]
    [lifted, _] = audit.find(connection, Filter(about=audit.number(connection, NUMBER)), 10)
    assert (lifted.what, lifted.after) == ("number.lift", {"still_listed_by": "word"})


def test_a_text_is_shown_with_the_reason_that_it_was_sent_again_for(connection: psycopg.Connection) -> None:
    [text] = texts_in(connection, State.FAILED)

    story = text_views.story(connection, actions.send_again(connection, text, ADA, WHY))

    assert story
    assert (story.override, story.agent) == (WHY, "ada")
