"""Opt-outs in the console."""

import re
from datetime import UTC, datetime

import psycopg

from connector.model import Decision, OutboundSms, TicketEvent
from connector.policy.opt_outs import Source
from connector.store import audit, events, opt_outs, suppressions
from connector.store.audit import Filter
from tests.support.remote import queued
from tests.webhooks.console.conftest import Operators
from webhooks.console.roles import Role

NUMBER, MESSAGE = "+14155550132", "please don't text me any more"


def to_decide(connection: psycopg.Connection) -> int:
    """A message of the customer of a text that waits; the id of its review."""
    events.save(connection, [TicketEvent("salesforce", "e1", "case1")])
    queued(connection, {1: Decision("requested", "r", OutboundSms(NUMBER, "+16285550199", "Hi", "case1"))})
    connection.execute("update texts set state = 'sent', chat = '{\"id\": 9001}'")
    opt_outs.heard(connection, "9001", MESSAGE, datetime.now(UTC))
    [review] = opt_outs.reviews(connection, 9, pending=True)
    return review.id


def test_a_message_is_decided_with_a_reason(console: Operators, connection: psycopg.Connection) -> None:
    review = to_decide(connection)
    browser = console.client(Role.VIEW, Role.ACT, Role.READ_CONTENT)
    assert "please don&#39;t text me any more" in browser.get("/opt-outs").text

    answer = browser.post(f"/opt-outs/{review}/decide", decision="opt_out", why="wants no texts")

    assert "on the suppression list" in browser.notice(answer)
    assert suppressions.sources(connection, NUMBER) == [Source.PERSON]
    [entry] = audit.find(connection, Filter(what="opt_out.decide"), 9)
    assert (entry.who, entry.source, entry.why) == (f"key:{browser.name}", "console", "wants no texts")
    again = browser.post(f"/opt-outs/{review}/decide", decision="not", why="changed my mind")
    assert "is not open" in browser.notice(again)
    assert suppressions.sources(connection, NUMBER) == [Source.PERSON]


def test_nothing_is_decided_without_a_reason_or_a_decision(console: Operators, connection: psycopg.Connection) -> None:
    review = to_decide(connection)
    browser = console.client(Role.VIEW, Role.ACT)

    assert "say why" in browser.notice(browser.post(f"/opt-outs/{review}/decide", decision="opt_out", why=" "))
    assert "needs a decision" in browser.notice(browser.post(f"/opt-outs/{review}/decide", why="so"))

    assert opt_outs.open_reviews(connection).open == 1


def test_without_the_right_neither_message_nor_number_is_on_the_page(
    console: Operators, connection: psycopg.Connection
) -> None:
    to_decide(connection)
    suppressions.suppress(connection, NUMBER, "asked", "maya")

    page = console.client(Role.VIEW, Role.ACT).get("/opt-outs").text

    assert NUMBER not in page
    assert NUMBER[1:] not in page
    assert "any more" not in page
    assert page.count("0132") >= 2


def test_a_number_is_recorded_as_entered_by_its_hash(console: Operators, connection: psycopg.Connection) -> None:
    suppressions.suppress(connection, NUMBER, "asked", "maya")
    browser = console.client(Role.VIEW, Role.ACT)
    [hashed] = re.findall(r'name="entry" value="(\w+)"', browser.get("/opt-outs").text)

    assert "recorded as entered" in browser.notice(browser.post("/opt-outs/entered", entry=hashed))

    assert suppressions.suppressed(connection, 9, to_enter=True) == []
    assert "nothing was changed" in browser.notice(browser.post("/opt-outs/entered", entry=hashed))


def test_the_figure_of_refused_fields_leads_to_them(console: Operators, connection: psycopg.Connection) -> None:
    """The ones that it counts: not one that the CRM has, nor one that waits for its first try."""
    connection.execute(
        """insert into record_fields (crm, ticket_id, kind, value, record, attempts, version, written, refused)
           values ('salesforce', 'case1', 'opt_out', true, '003A', 4, 1, 0, 'no field for +14155550132'),
                  ('salesforce', 'case2', 'phone_invalid', false, null, 1, 2, 1, 'locked'),
                  ('salesforce', 'case3', 'opt_out', true, '003C', 0, 1, 1, 'it is gone'),
                  ('salesforce', 'case4', 'opt_out', true, null, 0, 1, 0, null)"""
    )
    browser = console.client(Role.VIEW)
    figure = r'<dt>opt-outs and marks the CRM refuses</dt>\s*<dd><a href="/console([^"#]+)#(\w+)">2</a>'
    found = re.search(figure, browser.get("/").text)
    assert found

    page = browser.get(found[1]).text

    section = page.partition(f'id="{found[2]}"')[2].partition("</section>")[0]
    rows = [re.sub(r"<[^>]+>", "", cell) for cell in re.findall(r'<td data-label="\w+[^>]*>(.*?)</td>', section)]
    assert rows[:6] == ["case1", "003A", "opt-out", "set", "no field for ••••••••••32", "4"]
    assert rows[7:13] == ["case2", "", "mark of an invalid number", "cleared", "locked", "1"]
    assert len(rows) == 14
