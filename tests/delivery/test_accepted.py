"""A text that was accepted keeps its rule: what changes on its ticket until it is decided again, and by whom.

Each text is accepted, and put off because the platform does not answer. Then its ticket changes, and it is decided
again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import pytest
from psycopg_pool import ConnectionPool

from connector import transitions
from connector.errors import RefusalScope, Refused, Unavailable
from connector.mapping.reasons import same_value
from connector.model import Channel, Chat, Decision, OutboundSms, Skip, TextRequest, Ticket, TicketEvent
from connector.store import events, outcomes, text_views, texts
from connector.store.outcomes import WriteResult
from tests.delivery.test_final_truth import TICKET, Told
from tests.support.remote import Remote, Tickets
from tests.unit.test_mapping_rules import TICKET_ID, VALUES, mapping

AT_ANY_HOUR = replace(mapping(), without=frozenset({"hours", "window"}))
ASKS = {
    Channel.TRIGGER: None,
    Channel.AGENT: TextRequest(rule="requested"),
    Channel.BATCH: TextRequest(rule="requested"),
}
DELETED: Mapping[str, Any] = {}
SENT, TOLD, QUIET = ("sent", True), ("skipped", True), ("skipped", False)


@dataclass(frozen=True)
class Change:
    """What became of the ticket meanwhile, and what becomes of the text then: its state, and whether the ticket hears.

    `wrote`: what the connector itself has written to the ticket, for another text of it.
    """

    what: str
    values: Mapping[str, Any]
    trigger: tuple[str, bool]
    agent: tuple[str, bool]
    batch: tuple[str, bool]
    wrote: Mapping[str, Any] = field(default_factory=dict)


CHANGES = [
    Change("nothing", VALUES, SENT, SENT, SENT),
    Change("our own write-back", VALUES | {"status": "Failed"}, SENT, SENT, SENT, {"status": "Failed"}),
    Change(
        "our own write-back, in the CRM's spelling",
        VALUES | {"status": "failed "},
        SENT,
        SENT,
        SENT,
        {"status": "Failed"},
    ),
    Change("a person took the request back", VALUES | {"status": None}, TOLD, SENT, SENT),
    Change(
        "a person took it back after our own write", VALUES | {"status": None}, TOLD, SENT, SENT, {"status": "Failed"}
    ),
    Change(
        "a person said something of their own", VALUES | {"status": "Cancelled"}, TOLD, SENT, SENT, {"status": "Failed"}
    ),
    Change("a person closed the ticket", VALUES | {"closed": True}, TOLD, TOLD, TOLD),
    Change(
        "closed, after our own write-back",
        VALUES | {"status": "Sent", "closed": True},
        TOLD,
        TOLD,
        TOLD,
        {"status": "Sent"},
    ),
    Change("the number was taken away", VALUES | {"mobile": None, "web": None}, TOLD, TOLD, TOLD),
    Change("the ticket was deleted", DELETED, QUIET, QUIET, QUIET),
]


class Changing(Tickets):
    """A CRM with one ticket, which may be gone."""

    def read(self, ids: Sequence[str]) -> dict[str, Ticket]:
        return super().read(ids) if self.values else {}


@pytest.mark.parametrize("channel", ASKS)
@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.what)
def test_a_text_that_is_decided_again(pool: ConnectionPool, channel: Channel, change: Change) -> None:
    tickets, request = Changing(VALUES), ASKS[channel]
    text = asked_for(pool, "a", channel, request)
    Away(pool).deliver(text, mapping=AT_ANY_HOUR, tickets=tickets)
    assert row(pool, text)["state"] == "queued"
    if change.wrote:
        other_told(pool, change.wrote)

    tickets.values = dict(change.values)
    with pool.connection() as connection:
        connection.execute("update texts set not_before = null where id = %s", [text])
        connection.execute("update sending_state set paused_until = null, paused_why = null")
    remote = Remote(pool)
    remote.deliver(text, mapping=AT_ANY_HOUR, tickets=tickets)

    after = row(pool, text)
    expected = getattr(change, channel.value)
    assert (after["state"], after["outcome"] > 0) == expected, after["why"]
    assert len(remote.sent) == (expected == SENT)


class Away(Remote):
    """The platform cannot be reached."""

    async def send(self, sms: OutboundSms, before_send: Any) -> Chat:
        raise Unavailable("no connection")


def asked_for(pool: ConnectionPool, name: str, channel: Channel, request: TextRequest | None = None) -> int:
    with pool.connection() as connection:
        event = TicketEvent("salesforce", name, TICKET_ID, channel=channel, request=request)
        [one] = events.save(connection, [event])
    return one.text or 0


def other_told(pool: ConnectionPool, wrote: Mapping[str, Any]) -> None:
    """Another text of the ticket has an outcome, and the ticket was told."""
    other = asked_for(pool, "other", Channel.AGENT)
    with pool.connection() as connection:
        texts.move(connection, [transitions.failed(other, "refused")])
        outcomes.begin_write(connection, {other: wrote})
        outcomes.record(connection, [WriteResult(other, 1)])


def row(pool: ConnectionPool, text: int) -> dict[str, Any]:
    with pool.connection() as connection:
        found = text_views.story(connection, text)
    assert found
    return asdict(found)


def same_as(pool: ConnectionPool, *ids: int) -> list[int | None]:
    """For which text each of these was skipped."""
    with pool.connection() as connection:
        rows = connection.execute("select same_as from texts where id = any(%s) order by id", [list(ids)]).fetchall()
    return [text for (text,) in rows]


def test_what_is_held_for_the_customers_night_keeps_its_rule(pool: ConnectionPool) -> None:
    """It has never been sent, so that nothing but the acceptance is known of it."""
    text, tickets = asked_for(pool, "a", Channel.TRIGGER), Tickets(VALUES)
    with pool.connection() as connection:
        accepted = AT_ANY_HOUR.decide(Ticket("salesforce", TICKET_ID, VALUES))
        assert isinstance(accepted, Decision)
        texts.move(connection, [transitions.held(text, "it is night", 0, [], accepted=accepted.accepted)])
    other_told(pool, {"status": "Failed"})
    tickets.values |= {"status": "Failed"}

    remote = Remote(pool)
    remote.deliver(text, mapping=AT_ANY_HOUR, tickets=tickets)

    assert (row(pool, text)["state"], len(remote.sent)) == ("sent", 1)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (None, "", True),
        ("Sent", "sent", True),
        (" Sent", "Sent", True),
        (True, "true", True),
        (5, "5", True),
        ("2026-03-01T10:00:00.000+0000", "2026-03-01T10:00:00Z", True),
        ("2026-03-01T10:00:00Z", "2026-03-01T11:00:00Z", False),
        ("Sent", "Failed", False),
        (None, "Sent", False),
        (False, None, False),
        ("2026-03-01", None, False),
    ],
)
def test_values_are_compared_as_a_crm_writes_them(one: object, other: object, same: bool) -> None:
    assert same_value(one, other) is same_value(other, one) is same


# ---- what the ticket shows while a text of it waits


@pytest.fixture
def told(pool: ConnectionPool) -> Told:
    return Told(pool)


NOT_SENT = {
    "failed": lambda text: transitions.failed(text, "refused"),
    "skipped": lambda text: transitions.skipped(text, Skip("opted out")),
    "cancelled": lambda text: transitions.cancelled(text, "by an agent"),
}


@pytest.mark.parametrize("outcome", NOT_SENT.values(), ids=NOT_SENT)
@pytest.mark.parametrize("waiting_first", [True, False])
def test_a_click_that_sends_nothing_leaves_the_ticket_to_the_text_that_waits(
    told: Told, waiting_first: bool, outcome: Any
) -> None:
    """The agent has seen on the page what came of it; the ticket still says `Requested`."""
    texts_ = [told.new(name) for name in "ab"]
    waiting, clicked = texts_ if waiting_first else reversed(texts_)
    told.move(transitions.held(waiting, "it is night", 3600, []))
    told.move(outcome(clicked))
    told.write_back(clicked)
    assert told.org.says() == (None, None), "nothing is written over the request"

    told.sent(waiting, 114)
    assert {text for text, _ in told.due()} >= {waiting, clicked}
    told.until_told(waiting, clicked)

    assert told.org.says() == ("Sent", "114"), "what became known last"


def test_a_click_that_sent_is_told_at_once(told: Told) -> None:
    waiting, clicked = told.new("a"), told.new("b")
    told.move(transitions.held(waiting, "it is night", 3600, []))
    told.sent(clicked, 115)
    told.write_back(clicked)
    assert told.org.says() == ("Sent", "115")

    told.move(transitions.skipped(waiting, Skip("text 2 went to this number")))
    told.until_told(waiting, clicked)

    assert told.org.says()[0] == "Skipped"


def test_nothing_is_written_over_a_request_that_is_about_to_be_decided(told: Told) -> None:
    """An earlier text's `Sent` comes when the ticket has been set to `Requested` again: that is decided first."""
    first, again = told.new("a"), told.new("b")
    told.sent(first, 114)
    told.write_back(first)
    assert told.org.says() == (None, None)

    told.move(transitions.held(again, "it is night", 3600, []))
    told.write_back(first)

    assert told.org.says() == ("Sent", "114")


def test_what_waited_for_a_text_that_ends_quietly_is_told(told: Told) -> None:
    waiting, clicked = told.new("a"), told.new("b")
    told.move(transitions.failed(clicked, "refused"))
    told.write_back(clicked)
    assert told.org.says() == (None, None)

    told.move(transitions.skipped(waiting, Skip("no rule asks for a text", notify=False)))
    told.until_told(clicked)

    assert told.org.says()[0] == "Failed"


def test_an_old_text_that_is_settled_as_not_sent_does_not_hide_a_later_one(told: Told) -> None:
    first, second = told.new("a"), told.new("b")
    claim = told.calling(first)
    told.move(transitions.unknown(first, claim, "no answer"))
    told.sent(second, 115)
    told.until_told(first, second)

    told.move(transitions.not_sent(first, "a person says so"))
    told.until_told(first, second)
    assert told.org.says() == ("Sent", "115")


def test_a_customer_with_a_text_is_no_failure_whatever_was_said_meanwhile(told: Told) -> None:
    first, second = told.new("a"), told.new("b")
    claim = told.calling(first)
    told.move(transitions.unknown(first, claim, "no answer"))
    told.move(transitions.failed(second, "refused"))
    told.until_told(first, second)
    assert told.org.says()[0] == "Failed"

    told.move(transitions.sent(first, claim, Chat(id=114)))
    told.until_told(first, second)
    assert told.org.says() == ("Sent", "114")


@pytest.mark.parametrize("channel", Channel)
def test_a_click_that_sends_nothing_does_not_hide_that_a_text_is_unknown(told: Told, channel: Channel) -> None:
    """The agent has seen what came of the click. A trigger was asked for by the ticket: it has its answer there."""
    first = told.new("a")
    claim = told.calling(first)
    told.move(transitions.unknown(first, claim, "no answer"))
    told.until_told(first)
    with told.pool.connection() as connection:
        [one] = events.save(connection, [TicketEvent("salesforce", "b", TICKET, channel=channel)])
    second = one.text or 0
    told.move(transitions.failed(second, "refused"))
    told.write_back(second)
    assert told.org.says()[0] == ("Failed" if channel is Channel.TRIGGER else "Unknown")

    told.move(transitions.not_sent(first, "a person says so"))
    told.until_told(first, second)
    assert told.org.says()[0] == "Failed"


def test_the_pause_after_a_refusal_does_not_grow_by_what_fails_for_a_moment(told: Told) -> None:
    text = told.new("a")
    told.move(transitions.failed(text, "refused"))
    told.org.refuse = lambda _, __: Unavailable("UNABLE_TO_LOCK_ROW")
    for _ in range(6):
        told.write_back(text)
    told.org.refuse = lambda _, __: Refused("a rule says no", RefusalScope.TICKET)
    told.write_back(text)
    assert told.due()[-1][1] < 40
    told.write_back(text)
    assert told.due()[-1][1] < 80
    assert told.row(text)["ticket_id"] == TICKET


# ---- a request that looks like an old one


@pytest.mark.parametrize("asked_at", [None, "", "2026-03-01T10:00:00Z"])
def test_a_second_request_with_an_empty_field_in_once_per_is_told_why_nothing_leaves(
    pool: ConnectionPool, asked_at: str | None
) -> None:
    """With a value there, the second one is the same request, and tells what became of it."""
    keyed = replace(AT_ANY_HOUR, file=mapping({"once_per": ["id", "asked_at"]}).file)
    tickets, remote = Tickets(VALUES | {"asked_at": asked_at}), Remote(pool)
    first = asked_for(pool, "a", Channel.TRIGGER)
    remote.deliver(first, mapping=keyed, tickets=tickets)
    with pool.connection() as connection:
        outcomes.record(connection, [WriteResult(first, 1)])

    second = asked_for(pool, "b", Channel.TRIGGER)
    remote.deliver(second, mapping=keyed, tickets=tickets)

    after = row(pool, second)
    assert (after["state"], after["outcome"], len(remote.sent)) == ("skipped", 1, 1)
    assert same_as(pool, second) == ([None] if not asked_at else [first])
    if not asked_at:
        assert "asked_at is empty on the ticket" in after["why"]


def test_a_message_that_comes_twice_is_the_same_text_also_without_a_value(pool: ConnectionPool) -> None:
    keyed = replace(AT_ANY_HOUR, file=mapping({"once_per": ["id", "asked_at"]}).file)
    tickets, remote = Tickets(VALUES | {"asked_at": None}), Remote(pool)
    pair = [asked_for(pool, name, Channel.TRIGGER) for name in "ab"]
    remote.deliver(*pair, mapping=keyed, tickets=tickets)
    assert len(remote.sent) == 1
    assert same_as(pool, *pair) == [None, pair[0]]
