"""What the reason page shows: everything that asked for the same text, and what another one would take."""

from collections.abc import Iterator, Sequence

import psycopg
import pytest
from psycopg.types.json import Jsonb
from psycopg_pool import ConnectionPool

from connector import transitions
from connector.model import Channel, Chat, Decision, OutboundSms, State, TextRequest, TicketEvent
from connector.store import agent_requests, erasure, events, reason_view, text_views, texts
from connector.store.agent_requests import SendRequest
from connector.store.reason_view import Another
from connector.store.text_views import WriteBackState
from tests.support.remote import queued, started

NUMBER = "+14155550132"
ADA = TextRequest(agent_name="Ada Agent")


@pytest.fixture
def connection(pool: ConnectionPool) -> Iterator[psycopg.Connection]:
    with pool.connection() as connection:
        yield connection


def saved(connection: psycopg.Connection, name: str, ticket: str = "case1", channel: Channel = Channel.TRIGGER) -> int:
    event = TicketEvent("salesforce", name, ticket, channel=channel, changed_by="0051" if ticket == "case1" else None)
    [receipt] = events.save(connection, [event])
    assert receipt.text
    return receipt.text


def decision(reason: str = "the reason") -> Decision:
    return Decision("requested", reason, OutboundSms(NUMBER, "+16285550199", "Hi Ada", "case1"))


def holder(connection: psycopg.Connection, name: str = "first") -> int:
    text = saved(connection, name)
    queued(connection, {text: decision()})
    return text


def follower(connection: psycopg.Connection, of: int, name: str, ticket: str = "case1") -> int:
    text = saved(connection, name, ticket)
    texts.move(connection, [transitions.skipped_as(text, of)])
    return text


def send(connection: psycopg.Connection, text: int, chat: int = 114) -> None:
    claim = started(connection, text)[text]
    texts.move(connection, [transitions.sent(text, claim, Chat(id=chat))])


def view(connection: psycopg.Connection, text: int) -> reason_view.ReasonView:
    found = reason_view.of(connection, text)
    assert found
    return found


def ids(requests: Sequence[reason_view.Request]) -> list[int]:
    return [one.id for one in requests]


def test_all_that_asked_for_the_same_text_are_found_from_each_of_them(connection: psycopg.Connection) -> None:
    """Across tickets; a text with a reason of its own is not among them."""
    first = holder(connection)
    again, elsewhere = follower(connection, first, "again"), follower(connection, first, "elsewhere", "case2")
    other = saved(connection, "other")
    queued(connection, {other: decision("another reason")})

    for text in (first, again, elsewhere):
        found = view(connection, text)
        assert (found.holder, found.rule, ids(found.requests)) == (first, "requested", [first, again, elsewhere])
    assert ids(view(connection, other).requests) == [other]


def test_each_request_says_what_its_ticket_was_told(connection: psycopg.Connection) -> None:
    first = holder(connection)
    again = follower(connection, first, "again", "case2")
    send(connection, first)
    connection.execute("update texts set written = outcome where id = %s", [first])

    of_first, of_again = view(connection, again).requests

    assert (of_first.reported.state, of_first.reported.chat, of_first.reported.write_back) == (
        State.SENT,
        114,
        WriteBackState.WRITTEN,
    )
    assert (of_again.reported.state, of_again.reported.chat, of_again.reported.write_back) == (
        State.SENT,
        114,
        WriteBackState.PENDING,
    )
    assert (of_again.same_as, of_again.claimed, of_first.claimed, of_first.event_id) == (first, False, True, "first")


def test_a_text_that_gave_the_reason_back_is_still_shown(connection: psycopg.Connection) -> None:
    before = holder(connection, "before")
    text_views.cancel(connection, before, "an operator")
    assert view(connection, before).another is Another.FREE

    now = holder(connection, "now")

    found = view(connection, before)
    assert (found.holder, ids(found.requests), found.another) == (now, [before, now], Another.CANCEL)


@pytest.mark.parametrize(
    ("state", "another"),
    [
        (State.QUEUED, Another.CANCEL),
        (State.SENDING, Another.WAIT),
        (State.UNKNOWN, Another.SETTLE),
        (State.SENT, Another.OVERRIDE),
        (State.FAILED, Another.FREE),
    ],
)
def test_what_another_text_takes_follows_from_the_holders_state(
    connection: psycopg.Connection, state: State, another: Another
) -> None:
    text = holder(connection)
    if state is not State.QUEUED:
        claim = started(connection, text)[text]
        move = {
            State.UNKNOWN: transitions.unknown(text, claim, "cut off"),
            State.SENT: transitions.sent(text, claim, Chat(id=114)),
            State.FAILED: transitions.refused(text, claim, "no"),
        }.get(state)
        texts.move(connection, [move] if move else [])

    assert view(connection, text).another is another


def test_an_override_that_repeats_the_reason_is_shown_with_it(connection: psycopg.Connection) -> None:
    """It has a reason of its own, and names the text that it repeats. So does a text that was blocked for it."""
    first = holder(connection)
    send(connection, first)
    anyway, blocked = saved(connection, "anyway", channel=Channel.AGENT), saved(connection, "blocked")
    queued(connection, {anyway: decision(f"the reason:{anyway}")})
    finding = {"check": "reason", "why": "…", "about": f"{first}:sent"}
    for text, said in ((anyway, "overridden"), (blocked, "stop")):
        connection.execute("update texts set trace = %s where id = %s", [Jsonb([finding | {"said": said}]), text])
    connection.execute("update texts set request = %s where id = %s", [Jsonb({"override": "she asked"}), anyway])
    send(connection, anyway, 115)

    assert view(connection, anyway).repeats == first
    found = {one.id: one for one in view(connection, first).requests}
    assert list(found) == [first, anyway, blocked]
    assert (found[anyway].sent_anyway, found[anyway].override, found[blocked].sent_anyway) == (True, "she asked", False)


def test_clicks_that_became_one_text_are_counted(connection: psycopg.Connection) -> None:
    """Two agents who saw the same ticket."""
    asked = SendRequest("salesforce", "case1", ADA, "key:ada", "1", after=0)
    text = agent_requests.take_in(connection, asked).text
    agent_requests.take_in(connection, SendRequest("salesforce", "case1", ADA, "key:bob", "1", after=0))
    queued(connection, {text: decision()})

    found = view(connection, text)

    assert [(click.text, click.caller) for click in found.clicks] == [(text, "key:ada"), (text, "key:bob")]
    assert (found.requests[0].agent, found.requests[0].channel) == ("Ada Agent", Channel.AGENT)


def test_rows_of_back_fills_are_shown_texted_or_left_out(connection: psycopg.Connection) -> None:
    text = holder(connection)
    for plan, rule in (("spring", "requested"), ("other", "closed")):
        connection.execute(
            "insert into plans (id, crm, query, request, state) values (%s, 'salesforce', '{}', %s, 'done')",
            [plan, Jsonb({"rule": rule})],
        )
        connection.execute(
            "insert into plan_cases (plan, position, ticket_id, skip) values (%s, 1, 'case1', 'texted before')", [plan]
        )
    connection.execute(
        "insert into plans (id, crm, query, request, state) values ('now', 'salesforce', '{}', '{}', 'running')"
    )
    connection.execute(
        "insert into plan_cases (plan, position, ticket_id, text) values ('now', 7, 'case1', %s)", [text]
    )

    rows = view(connection, text).plan_rows

    assert [(row.plan, row.position, row.text, row.skip) for row in rows] == [
        ("now", 7, text, None),
        ("spring", 1, None, "texted before"),
    ]


def test_a_text_without_a_reason_says_so(connection: psycopg.Connection) -> None:
    text = saved(connection, "received")

    assert view(connection, text).another is Another.UNDECIDED
    assert reason_view.of(connection, text + 1) is None


def test_nothing_is_shown_of_a_person_who_was_erased(connection: psycopg.Connection) -> None:
    first = holder(connection)
    follower(connection, first, "again")
    send(connection, first)

    erasure.purge(connection, NUMBER)

    assert view(connection, first) == reason_view.ReasonView(first, "salesforce", None, "", None, None, [], [], [])
