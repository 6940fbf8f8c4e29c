"""Tickets that cannot be read: whose fault it is, and what becomes of the texts that wait for them."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import pytest
from psycopg_pool import ConnectionPool

from connector.delivery import isolation
from connector.errors import CallFailed, RefusalScope, Refused, Unavailable
from connector.model import Channel, Decision, OutboundSms, Ticket, TicketEvent
from connector.store import circuit_breaker, text_views
from connector.store import events as event_store
from tests.support.remote import Remote, Tickets, as_crm

FIELD = Refused("Salesforce: INVALID_FIELD: no such column", RefusalScope.SETTINGS)
LOGIN = Refused("Salesforce: invalid_client: invalid client credentials", RefusalScope.SETTINGS)
PAGE = Refused("Salesforce: HTTP 404: ", RefusalScope.SETTINGS)
ODD_ID = Refused("Salesforce: INVALID_QUERY_FILTER_OPERATOR: invalid ID field", RefusalScope.TICKET)
AWAY = Unavailable("no answer from Salesforce (ReadTimeout)")
LIMIT = Unavailable("Salesforce: REQUEST_LIMIT_EXCEEDED", 900)


class Crm(Tickets):
    """`broken`: everybody meets it; `odd` are ids that no call may hold, and what it meets then."""

    def __init__(self) -> None:
        super().__init__()
        self.broken: CallFailed | None = None
        self.odd: dict[str, CallFailed] = {}
        self.calls = 0

    def probe(self) -> None:
        if self.broken:
            raise self.broken

    def read(self, ids: Sequence[str]) -> dict[str, Ticket]:
        self.calls += 1
        self.probe()
        for identifier in ids:
            if error := self.odd.get(identifier):
                raise error
        return super().read(ids)


def taken(pool: ConnectionPool, count: int, channel: Channel = Channel.TRIGGER) -> dict[str, int]:
    tickets = [f"{number:018d}" for number in range(count)]
    with pool.connection() as connection:
        events = [TicketEvent("salesforce", f"{channel}-{ticket}", ticket, channel=channel) for ticket in tickets]
        return dict(zip(tickets, [one.text or 0 for one in event_store.save(connection, events)], strict=True))


def decide(ticket: Ticket) -> Decision:
    return Decision("requested", ticket.id, OutboundSms("+14155550100", "+16285550199", "Hi", ticket.id))


def row(pool: ConnectionPool, text: int) -> dict[str, Any]:
    with pool.connection() as connection:
        found = text_views.story(connection, text)
    assert found
    return asdict(found)


@pytest.mark.parametrize("error", [FIELD, LOGIN, PAGE, ODD_ID, AWAY, LIMIT], ids=str)
@pytest.mark.parametrize("channel", [Channel.TRIGGER, Channel.BATCH])
def test_what_every_ticket_would_meet_holds_the_texts_and_burns_none(
    pool: ConnectionPool, error: CallFailed, channel: Channel
) -> None:
    many, crm, remote = taken(pool, 20, channel), Crm(), Remote(pool)
    crm.broken = error
    for _ in range(30):  # an outage of hours
        assert remote.deliver(*many.values(), decide=decide, tickets=crm) == circuit_breaker.PAUSE_POLL_SECONDS
        with pool.connection() as connection:
            pause = circuit_breaker.current_pause(connection, "salesforce")
            connection.execute("update sending_state set paused_until = null, tripped_at = null, tripped_why = null")
        assert pause
        assert pause.until_resumed is isinstance(error, Refused)
    states = {(row(pool, text)["state"], len(row(pool, text)["history"])) for text in many.values()}
    assert states == {("received", 0)}
    crm.broken = None
    assert remote.deliver(*many.values(), decide=decide, tickets=crm) is None
    assert len(remote.sent) == 20


def test_while_the_crm_is_closed_nobody_asks_it(pool: ConnectionPool) -> None:
    many, crm = taken(pool, 3), Crm()
    with pool.connection() as connection:
        circuit_breaker.trip(connection, "salesforce", "API_DISABLED_FOR_ORG")
    assert Remote(pool).deliver(*many.values(), decide=decide, tickets=crm) == circuit_breaker.PAUSE_POLL_SECONDS
    assert crm.calls == 0


@pytest.mark.parametrize(("error", "state"), [(LOGIN, "failed"), (AWAY, "received")])
def test_an_agent_is_told_at_once_what_a_person_has_to_put_right(
    pool: ConnectionPool, error: CallFailed, state: str
) -> None:
    [text] = taken(pool, 1, Channel.AGENT).values()
    crm = Crm()
    crm.broken = error
    Remote(pool).deliver(text, decide=decide, tickets=crm)
    after = row(pool, text)
    assert after["state"] == state
    if state == "failed":
        assert str(error) in after["why"]


@pytest.mark.parametrize("error", [ODD_ID, FIELD, AWAY], ids=str)
@pytest.mark.parametrize("odd", [[0], [39], [3, 17, 18]], ids=str)
def test_a_value_that_alone_is_refused_is_found_and_the_others_are_sent(
    pool: ConnectionPool, error: CallFailed, odd: list[int]
) -> None:
    many, crm, remote = taken(pool, 40), Crm(), Remote(pool)
    bad = [f"{number:018d}" for number in odd]
    crm.odd = dict.fromkeys(bad, error)
    assert remote.deliver(*many.values(), decide=decide, tickets=crm) is None
    assert sorted(sms.ticket_id for sms in remote.sent) == sorted(many.keys() - set(bad))
    assert crm.calls < 40
    for ticket in bad:
        after = row(pool, many[ticket])
        assert after["why"] == str(error)
        assert after["state"] == ("failed" if error is ODD_ID else "queued")
    with pool.connection() as connection:
        assert circuit_breaker.current_pause(connection, "salesforce") is None


@pytest.mark.parametrize(("error", "tries"), [(FIELD, 3), (AWAY, 13)], ids=["refused", "away"])
def test_a_ticket_that_alone_cannot_be_read_again_and_again_fails_alone(
    pool: ConnectionPool, error: CallFailed, tries: int
) -> None:
    [text] = taken(pool, 1).values()
    crm = Crm()
    crm.odd = {f"{0:018d}": error}
    count = 0
    while row(pool, text)["state"] in ("received", "queued"):
        with pool.connection() as connection:
            connection.execute("update texts set not_before = null")
        Remote(pool).deliver(text, decide=decide, tickets=crm)
        count += 1
    assert (row(pool, text)["state"], row(pool, text)["why"], count) == ("failed", str(error), tries)


def test_where_more_than_a_few_are_odd_it_is_everybodys(pool: ConnectionPool) -> None:
    """A group costs a bounded number of calls, whatever is wrong with it."""
    many, crm = taken(pool, 200), Crm()
    crm.odd = dict.fromkeys(many, AWAY)
    with pytest.raises(Unavailable):
        isolation.read(as_crm(crm), list(many))
    assert crm.calls <= isolation.MAX_IN_VAIN + 1
    crm.calls, crm.odd = 0, dict.fromkeys(list(many)[::9], AWAY)
    with pytest.raises(Unavailable):
        isolation.read(as_crm(crm), list(many))
    assert crm.calls <= isolation.MAX_CALLS + 1


def test_the_probe_says_what_everybody_would_meet() -> None:
    crm = Crm()
    crm.odd = {"a": AWAY}
    crm.broken = LOGIN
    with pytest.raises(Refused, match="invalid_client"):
        isolation.read(as_crm(crm), ["a", "b"])
    assert isolation.read(as_crm(crm), []) == {}
