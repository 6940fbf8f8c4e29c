"""What a newer version has stored, read by this one: during an upgrade both run beside each other."""

from collections.abc import Iterator

import psycopg
import pytest

from connector.model import Decision, OutboundSms, TicketEvent
from connector.policy.opt_outs import Source
from connector.store import events, recipients, suppressions, text_search, text_views
from connector.store.text_search import Search

NUMBER = "+14155550132"


@pytest.fixture
def connection(url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


def test_a_text_with_an_unknown_refusal_code_is_shown_with_its_words(connection: psycopg.Connection) -> None:
    [receipt] = events.save(connection, [TicketEvent("salesforce", "an event", "a ticket")])
    assert receipt.text
    connection.execute("update texts set state = 'failed', why = 'on the moon', code = 'on_the_moon'")

    [seen] = text_views.seen_of_ticket(connection, "salesforce", "a ticket", 9)
    [found] = text_search.find(connection, Search(), 9)

    assert (seen.why, seen.code) == ("on the moon", None)
    assert (found.why, found.code) == ("on the moon", None)


def test_a_number_on_the_list_by_an_unknown_source_is_not_texted(connection: psycopg.Connection) -> None:
    connection.execute("alter table suppressions drop constraint suppressions_source_check")
    connection.execute("insert into suppressions (number, source) values (%s, 'carrier')", (NUMBER,))

    assert suppressions.sources(connection, NUMBER) == [Source.PERSON]
    decision = Decision("requested", "a reason", OutboundSms(NUMBER, "+16285550199", "Hi Ada", "a ticket"))
    suppressed = recipients.known(connection, [(1, "salesforce", decision, None)])[1].suppressed
    assert suppressed
    assert "has been on the suppression list since" in suppressed.why
