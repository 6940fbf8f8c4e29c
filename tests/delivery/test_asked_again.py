"""A request that was withdrawn and made again a day later: the ticket has a new time, so a new reason, and one text."""

import psycopg
import pytest
from psycopg_pool import ConnectionPool

from connector.model import Decision, OutboundSms, TicketEvent
from connector.policy.checks import Policy
from connector.policy.config import PolicyKeys
from connector.store import events
from tests.support.remote import Remote, queued

ANY_HOUR = Policy(PolicyKeys(), frozenset({"hours"}))


def decision(requested_at: str) -> Decision:
    return Decision("requested", requested_at, OutboundSms("+14155550132", "+16285550199", "Hi", "case"))


def saved(connection: psycopg.Connection, name: str) -> int:
    [receipt] = events.save(connection, [TicketEvent("salesforce", name, "case")])
    assert receipt.text
    return receipt.text


@pytest.mark.parametrize("decided", [False, True], ids=["received", "queued for the first time"])
@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["the first one first", "the second one first"])
def test_a_request_that_was_late_and_the_one_made_again_are_one_text(
    pool: ConnectionPool, decided: bool, order: tuple[int, int]
) -> None:
    with pool.connection() as connection:
        asked = [saved(connection, "first")]
        if decided:
            queued(connection, {asked[0]: decision("monday")})
            connection.execute("update recipients set at = at - interval '25 hours'")
        asked.append(saved(connection, "again"))
    remote = Remote(pool)

    for number in order:
        remote.deliver(asked[number], decide=lambda _: decision("tuesday"), policy=ANY_HOUR)

    assert len(remote.sent) == 1
