"""A text that was decided by delivery itself, decided again as it would be today; with a real database."""

from collections.abc import Mapping as Values
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg_pool import ConnectionPool

from connector.dry_run.decide_again import Comparison, decide_again
from connector.dry_run.verdicts import Result
from connector.errors import NotThere, RefusalScope, Refused
from connector.mapping import daily_budgets
from connector.mapping.rules import Mapping
from connector.model import Channel, State, TextRequest, Ticket, TicketEvent
from connector.store import erasure, events, outcomes, retention, suppressions
from tests.support.remote import Remote, Tickets, as_crm
from tests.unit.test_mapping_rules import TICKET_ID, VALUES, mapping

NUMBER = "+14155552671"
NOON = datetime(2026, 3, 4, 18, tzinfo=UTC)  # 10:00 in California
NIGHT = NOON + timedelta(hours=12)
OTHER_TICKET = "5006x00000YYyyyYYY"
# The tables that deciding again may not touch.
TABLES = ("events", "texts", "history", "reasons", "recipients", "suppressions", "daily_budgets", "audit", "pgqueuer")


def asked(pool: ConnectionPool, ticket: str = TICKET_ID, **more: Any) -> int:
    """A text that is asked for; its id."""
    with pool.connection() as connection:
        count = connection.execute("select count(*) from events").fetchone()
        [receipt] = events.save(connection, [TicketEvent("salesforce", f"e{count}", ticket, **more)])
    assert receipt.text
    return receipt.text


def delivered(
    pool: ConnectionPool,
    rules: Mapping | None = None,
    at: datetime = NOON,
    values: Values[str, Any] = VALUES,
    ticket: str = TICKET_ID,
    **more: Any,
) -> int:
    """A text that delivery has decided, and sent where nothing is against it; its id."""
    text = asked(pool, ticket, **more)
    tickets = Tickets({**VALUES, "id": ticket, **values})
    Remote(pool).deliver(text, mapping=rules or mapping(), clock=lambda _: at, tickets=tickets)
    return text


def again(
    pool: ConnectionPool,
    text: int,
    rules: Mapping | None = None,
    at: datetime = NOON + timedelta(days=7),
    tickets: Tickets | None = None,
    **values: Any,
) -> Comparison:
    crm = as_crm(tickets or Tickets(VALUES | values))
    return decide_again(pool.connection, crm, rules or mapping(), text, clock=lambda _: at)


def parts(found: Comparison) -> list[str]:
    return [one.part for one in found.differences]


def test_a_text_that_was_sent_does_not_count_against_itself(pool: ConnectionPool) -> None:
    """Its own reason, its number's window and its share of the day's budget are its own."""
    rules = limited(1)
    text = delivered(pool, rules, at=datetime.now(UTC))

    found = again(pool, text, rules, at=datetime.now(UTC))

    assert (found.then.result, found.now.result) == (Result.SEND, Result.SEND)
    assert found.differences == []
    assert (found.state, found.ticket_id, found.channel) == (State.SENT, TICKET_ID, Channel.TRIGGER)
    assert found.decided_at


def limited(limit: int) -> Mapping:
    """A mapping with a daily budget of so many texts, at any hour. The sender counts by the database's clock."""
    rules = mapping(policy={"daily_budget": {"texts": limit, "zone": "America/Los_Angeles", "batch_share": 1}})
    return replace(rules, without=frozenset({"hours"}), budgets=daily_budgets.of({"a.toml": rules}))


def test_the_budget_that_others_have_used_counts(pool: ConnectionPool) -> None:
    text = delivered(pool, limited(2), at=datetime.now(UTC))
    delivered(pool, limited(2), at=datetime.now(UTC), values={"mobile": "(415) 555-0123"}, ticket=OTHER_TICKET)

    found = again(pool, text, limited(1), at=datetime.now(UTC))

    assert found.now.result is Result.WAIT
    assert found.now.check == "budget"


def test_the_connectors_own_write_back_is_no_change_of_the_ticket(pool: ConnectionPool) -> None:
    text = delivered(pool)
    with pool.connection() as connection:
        outcomes.begin_write(connection, {text: {"status": "Sent"}})

    assert again(pool, text, status="Sent").differences == []
    changed = again(pool, text, status="Closed")

    assert parts(changed) == ["result"]
    assert changed.now.check == "changed"


def test_a_text_that_was_skipped_for_the_policy_may_be_sent_today(pool: ConnectionPool) -> None:
    """It keeps how it was accepted, because its ticket says Skipped since."""
    delivered(pool, values={"asked_at": "2026-03-01T09:00:00Z"})
    text = delivered(pool)
    with pool.connection() as connection:
        outcomes.begin_write(connection, {text: {"status": "Skipped"}})

    found = again(pool, text, status="Skipped")

    assert (found.then.result, found.then.check, found.now.result) == (Result.SKIP, "window", Result.SEND)
    assert parts(found) == ["result", "window"]
    assert found.differences[1].before.startswith("stop: text 1 went to this number at 2026-03-04 18:00 UTC")


def test_a_text_that_was_skipped_by_the_mapping_may_be_sent_today(pool: ConnectionPool) -> None:
    text = delivered(pool, values={"mobile": None, "web": None})
    with pool.connection() as connection:
        outcomes.begin_write(connection, {text: {"status": "Skipped"}})

    found = again(pool, text, status="Skipped")

    assert found.then.why == "no usable phone: there is no phone number on the ticket"
    assert [(one.part, one.after) for one in found.differences] == [("result", "send")]


def test_quiet_hours_are_named_with_the_time_at_which_they_end(pool: ConnectionPool) -> None:
    text = delivered(pool)

    found = again(pool, text, at=NIGHT)

    assert parts(found) == ["result", "hours"]
    hours = found.differences[1]
    assert hours.name == "Quiet hours"
    assert hours.before == "ok: it is 10:00 in America/Los_Angeles, by the number"
    assert hours.after.startswith("waits until 2026-03-05 08:00 (America/Los_Angeles): it is 22:00")


def test_a_text_that_waits_and_still_would_differs_in_nothing(pool: ConnectionPool) -> None:
    text = delivered(pool, at=NIGHT)

    found = again(pool, text, at=NIGHT + timedelta(hours=1))

    assert (found.then.result, found.now.result) == (Result.WAIT, Result.WAIT)
    assert found.differences == []


def test_another_phone_and_another_wording_are_named(pool: ConnectionPool) -> None:
    text = delivered(pool)

    found = again(pool, text, mapping({"message": "Dear {{ first_name }}"}), mobile="(415) 555-0123")

    assert parts(found) == ["phone", "message"]
    assert [(one.before, one.after) for one in found.differences] == [
        (NUMBER, "+14155550123"),
        ("Hi Ada", "Dear Ada"),
    ]
    assert found.differences[0].shown == ("••••••••••71", "••••••••••23")
    assert "Ada" not in " ".join(found.differences[1].shown)


def test_a_skipped_text_is_known_to_have_been_for_another_number(pool: ConnectionPool) -> None:
    """Only the number's pseudonym is kept of it."""
    delivered(pool, values={"asked_at": "2026-03-01T09:00:00Z"})
    text = delivered(pool)

    found = again(pool, text, mobile="(415) 555-0123")

    assert [one.shown for one in found.differences if one.part == "phone"] == [("another number", "••••••••••23")]


def test_an_opt_out_since_is_named(pool: ConnectionPool) -> None:
    text = delivered(pool)
    with pool.connection() as connection:
        suppressions.suppress(connection, NUMBER, "asked by phone", "an operator")

    found = again(pool, text)

    assert parts(found) == ["result", "opt_out"]
    assert found.differences[1].after.startswith("stop: the customer's number has been on the suppression list")


def test_a_text_to_the_same_number_before_it_decides_about_the_first_words(pool: ConnectionPool) -> None:
    """The brand goes before the first text to a number, and the text before this one was it."""
    rules = mapping(policy={"brand": "ACME:", "window_hours": 1})
    first = delivered(pool, rules, at=NOON - timedelta(days=1), values={"asked_at": "2026-03-01T09:00:00Z"})
    second = delivered(pool, rules)

    assert again(pool, second, rules).differences == []
    found = again(pool, first, rules, asked_at="2026-03-01T09:00:00Z")

    assert [(one.part, one.before, one.after) for one in found.differences] == [("message", "ACME: Hi Ada", "Hi Ada")]


def test_an_agents_request_is_decided_with_its_own_words(pool: ConnectionPool) -> None:
    text = delivered(pool, channel=Channel.AGENT, request=TextRequest(message="Call us"), values={"status": "New"})

    assert again(pool, text, status="New").differences == []
    found = again(pool, text, at=NIGHT, status="New")

    assert found.now.check == "hours"
    assert found.now.result is Result.SKIP, "an agent is told at once, and does not wait"


def test_a_text_that_was_never_decided_is_decided_now(pool: ConnectionPool) -> None:
    found = again(pool, asked(pool))

    assert (found.then.result, found.now.result) == (Result.NONE, Result.SEND)
    assert found.decided_at is None
    assert found.differences == []


def test_an_erased_text_is_not_decided_again(pool: ConnectionPool) -> None:
    """Without its request, it would be another text."""
    sent, skipped = delivered(pool), delivered(pool)
    with pool.connection() as connection:
        connection.execute("update texts set written = outcome, changed_at = now() - interval '9 days'")
        retention.keep(connection, 1)

    for text in (sent, skipped):
        with pytest.raises(NotThere, match="erased"):
            again(pool, text)
    with pytest.raises(NotThere, match="there is no text 99"):
        again(pool, 99)


def test_an_erased_person_is_not_decided_about(pool: ConnectionPool) -> None:
    text = delivered(pool)
    with pool.connection() as connection:
        connection.execute("update texts set written = outcome")
        erasure.purge(connection, NUMBER)

    with pytest.raises(NotThere, match="erased"):
        again(pool, text)


class Locked(Tickets):
    """A CRM that refuses this one ticket."""

    def read(self, ids: Sequence[str]) -> dict[str, Ticket]:
        raise Refused("the record is locked", RefusalScope.TICKET)


def test_a_ticket_that_cannot_be_read_is_an_error(pool: ConnectionPool) -> None:
    text = delivered(pool)

    with pytest.raises(Refused, match="locked"):
        again(pool, text, tickets=Locked())


def test_nothing_is_changed(pool: ConnectionPool) -> None:
    text = delivered(pool)
    with pool.connection() as connection:
        before = everything(connection)

    again(pool, text, at=NIGHT, mobile="(415) 555-0123")

    with pool.connection() as connection:
        assert everything(connection) == before


def everything(connection: psycopg.Connection) -> list[object]:
    return [connection.execute(f"select * from {table} order by 1").fetchall() for table in TABLES]  # noqa: S608
