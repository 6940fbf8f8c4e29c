"""The overview of the console."""

import re
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from psycopg_pool import ConnectionPool

from connector.errors import RefusalCode
from connector.model import Decision, OutboundSms, Skip, TicketEvent
from connector.store import crm_usage, events, leases, pauses, postgres, texts
from connector.store.pauses import Scope
from connector.transitions import refused, skipped
from tests.support.remote import queued, started
from tests.webhooks.console.conftest import Operators
from webhooks.console import charts
from webhooks.console.roles import Role

NUMBER = "+14155550132"


def some_texts(connection: psycopg.Connection) -> None:
    """Text 1 is refused, text 2 skipped, text 3 waits."""
    events.save(connection, [TicketEvent("salesforce", f"e{n}", f"case{n}") for n in range(3)])
    queued(connection, {1: Decision("requested", "r", OutboundSms(NUMBER, "+16285550199", "Hi", "case0"))})
    texts.move(connection, [refused(1, started(connection, 1)[1], "no", code=RefusalCode.NON_US_NUMBER)])
    texts.move(connection, [skipped(2, Skip("the customer opted out"))])


def row(page: str, name: str) -> list[str]:
    """The cells of the table row with this heading."""
    found = re.search(rf'<th scope="row">(?:<a [^>]*>)?{re.escape(name)}(?:</a>)?</th>(.*?)</tr>', page, re.DOTALL)
    assert found, page
    return re.findall(r'<td class="number">([^<]+)</td>', found[1])


def test_it_says_that_no_worker_is_running(console: Operators) -> None:
    assert "No worker is running" in console.client(Role.VIEW).get("/").text


def test_it_says_that_texts_are_sent(console: Operators, connection: psycopg.Connection) -> None:
    leases.alive(connection, "host:1")

    page = console.client(Role.VIEW).get("/").text

    assert "Texts are sent" in page
    assert "1 running" in page


def test_a_pause_is_shown_with_who_why_and_until(console: Operators, connection: psycopg.Connection) -> None:
    leases.alive(connection, "host:1")
    until = postgres.now(connection) + timedelta(hours=2)
    pauses.pause(connection, Scope.ALL, "", "wrong template", "maya", until)

    page = console.client(Role.VIEW).get("/").text

    assert "Sending is paused" in page
    assert "by maya" in page
    assert "wrong template" in page
    assert f"{until.astimezone(UTC):%Y-%m-%d %H:%M}" in page


def test_the_texts_that_wait_are_found_by_their_figure(console: Operators, connection: psycopg.Connection) -> None:
    """While everything is paused, no worker has met them: they are received, not queued."""
    some_texts(connection)
    browser = console.client(Role.VIEW)
    found = re.search(r'<dt>texts are waiting</dt>\s*<dd><a href="/console([^"]+)">1</a>', browser.get("/").text)
    assert found

    shown = browser.get(found[1]).text

    assert re.findall(r"<tr data-row>", shown) == ["<tr data-row>"]
    assert "/console/texts/3" in shown


def test_it_counts_what_waits_and_what_was_refused(console: Operators, connection: psycopg.Connection) -> None:
    some_texts(connection)
    crm_usage.record(connection, {"salesforce": 0.25})

    page = console.client(Role.VIEW).get("/?span=hour").text

    assert row(page, "received") == ["0", "1", "0"]
    assert row(page, "non_us_number") == ["1"]
    assert "75 % of the day’s API calls are left" in page
    assert "failed 1" in page
    assert "skipped 1" in page
    assert len(re.findall(r'<rect class="bar-(?:failed|skipped)" x=', page)) == 2


@pytest.mark.parametrize("span", charts.SPANS.values(), ids=charts.SPANS)
def test_a_span_ends_now_in_full_steps(span: charts.Span) -> None:
    now = datetime(2026, 11, 27, 16, 7, 33, tzinfo=UTC)

    start = span.start(now)

    assert start.timestamp() % span.step == 0
    assert start + span.length - timedelta(seconds=span.step) <= now < start + span.length


def test_an_unknown_span_is_a_day(console: Operators) -> None:
    assert 'aria-current="true">Last day<' in console.client(Role.VIEW).get("/?span=year").text


def test_latencies_are_a_histogram_with_its_quantiles(pool: ConnectionPool) -> None:
    with pool.connection() as connection:
        now = postgres.now(connection)
        for bucket, texts in ((0.5, 94), (30, 5), (float("inf"), 1)):
            connection.execute(
                """insert into roll_ups (period, step, channel, rule, code, bucket, texts)
                   values (date_bin('5 minutes', %s, 'epoch'), 'sent', 'trigger', 'r', '', %s, %s)""",
                [now, bucket, texts],
            )
        chart = charts.drawn(connection, charts.SPANS["hour"]).latencies[0]

    assert (chart.texts, chart.quantiles) == (100, {"median": "≤ 0.5 s", "95 %": "≤ 30 s"})
    assert [(row.label, row.texts, row.length) for row in chart.rows] == [
        ("≤ 0.5 s", 94, 100),
        ("≤ 30 s", 5, 5.3),
        ("longer", 1, 1.1),
    ]
