"""A daily budget that is used up: who waits, until when, and who is told what."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from psycopg_pool import ConnectionPool

from connector.backfill import plans
from connector.backfill.feeder import Feeder
from connector.backfill.planner import Planner
from connector.cli import backfill_report
from connector.mapping import daily_budgets
from connector.mapping.rules import Mapping
from connector.model import Channel, TextRequest, Ticket, TicketEvent
from connector.policy.findings import Said
from connector.preview import Previews
from connector.store import events, held_notes, text_views
from tests.support.remote import Remote, Tickets, as_crm
from tests.unit.test_mapping_rules import TICKET_ID, VALUES, mapping

NUMBER = "+16285550100"
ZONE = "America/Los_Angeles"


def limited(**keys: Any) -> Mapping:
    """A mapping with a budget of ten texts a day, and open at all hours."""
    policy = {"window_hours": 0, "hours": {"open": "00:00-24:00"}, "daily_budget": {"texts": 10, "zone": ZONE}} | keys
    found = mapping(policy=policy)
    return replace(found, budgets=daily_budgets.of({"a.toml": found}))


def use(pool: ConnectionPool, texts: int) -> None:
    """So many texts have been sent today."""
    with pool.connection() as connection:
        connection.execute(
            "insert into daily_budgets values (%s, (now() at time zone %s)::date, %s, %s) "
            "on conflict (number, day) do update set texts = excluded.texts",
            [NUMBER, ZONE, texts, texts],
        )


def saved(pool: ConnectionPool, channel: Channel, ticket: str = TICKET_ID) -> int:
    request = TextRequest(message="Hi") if channel is not Channel.TRIGGER else None
    event = TicketEvent("salesforce", f"{channel}:{ticket}", ticket, channel=channel, request=request)
    with pool.connection() as connection:
        [receipt] = events.save(connection, [event])
    assert receipt.text
    return receipt.text


def row(pool: ConnectionPool, text: int) -> dict[str, Any]:
    with pool.connection() as connection:
        found = text_views.seen(connection, text)
    assert found
    return asdict(found)


def preview(pool: ConnectionPool, file: Mapping) -> Any:
    previews = Previews({"salesforce": (as_crm(Tickets(VALUES)), file)})
    return previews.preview(pool.connection, "salesforce", TICKET_ID, TextRequest(message="Hi"))


def midnight() -> datetime:
    """The next midnight in ZONE, in UTC."""
    return limited().budgets[NUMBER].next_day(datetime.now(UTC))


@pytest.mark.parametrize(
    ("used", "waiting"), [(7, []), (8, [Channel.BATCH]), (9, [Channel.BATCH]), (10, list(Channel))]
)
def test_batches_wait_first_and_then_all(pool: ConnectionPool, used: int, waiting: list[Channel]) -> None:
    for channel in Channel:
        use(pool, used)
        text, remote = saved(pool, channel), Remote(pool)

        remote.deliver(text, mapping=limited(), tickets=Tickets(VALUES))

        after = row(pool, text)
        assert after["state"] == ("queued" if channel in waiting else "sent")
        assert len(remote.sent) == (channel not in waiting)
        if channel in waiting:
            assert abs(after["leaves_at"] - midnight()) < timedelta(minutes=1)
        with pool.connection() as connection:
            connection.execute("delete from reasons")


def test_an_agent_is_told_in_the_preview_and_the_text_waits_and_can_be_cancelled(pool: ConnectionPool) -> None:
    file = limited()
    use(pool, 9)
    assert {one.said for one in preview(pool, file).findings} == {Said.OK}
    use(pool, 10)

    seen = preview(pool, file)

    [finding] = [one for one in seen.findings if one.said is not Said.OK]
    assert (finding.check, finding.said, finding.until) == ("budget", Said.HOLD, midnight())
    assert f"is used up; the text can leave from {midnight().astimezone(UTC):%Y-%m}" in finding.why
    assert NUMBER not in finding.why
    assert seen.against == []

    text, remote = saved(pool, Channel.AGENT), Remote(pool)
    remote.deliver(text, mapping=file, tickets=Tickets(VALUES))
    assert row(pool, text)["state"] == "queued"
    with pool.connection() as connection:
        assert text_views.cancel(connection, text, "a test")
    assert remote.sent == []


def test_a_held_text_leaves_once_on_the_next_day(pool: ConnectionPool) -> None:
    file, text, remote = limited(), saved(pool, Channel.AGENT), Remote(pool)
    use(pool, 10)
    for _ in range(3):
        remote.deliver(text, mapping=file, tickets=Tickets(VALUES))
    with pool.connection() as connection:  # the night passes
        connection.execute("update daily_budgets set day = day - 1")
        connection.execute("update texts set not_before = now() - interval '1 second'")

    for _ in range(3):
        remote.deliver(text, mapping=file, tickets=Tickets(VALUES))

    assert (row(pool, text)["state"], len(remote.sent)) == ("sent", 1)


def test_nobody_is_texted_at_midnight(pool: ConnectionPool) -> None:
    """An agent's text waits until the customer's hours open, so that it is not refused for them."""
    file = limited(hours={"open": "08:00-20:00"})
    noon = datetime(2026, 6, 2, 19, 0, tzinfo=UTC)
    previews = Previews({"salesforce": (as_crm(Tickets(VALUES)), file)}, lambda _: noon)
    with pool.connection() as connection:
        connection.execute("insert into daily_budgets values (%s, '2026-06-02', 10, 10)", [NUMBER])

    seen = previews.preview(pool.connection, "salesforce", TICKET_ID, TextRequest(message="Hi"))

    [finding] = [one for one in seen.findings if one.said is Said.HOLD]
    assert finding.until == datetime(2026, 6, 3, 15, 0, tzinfo=UTC)  # 8:00 in Los Angeles
    assert "can leave from 2026-06-03 08:00 (America/Los_Angeles)" in finding.why


class Each(Tickets):
    """Tickets with a customer each."""

    def __init__(self) -> None:
        super().__init__()

    def read(self, ids: Sequence[str]) -> dict[str, Ticket]:
        numbers = {one: f"(415) 555-26{int(one[-5:-3]) + 10}" for one in ids}
        return {
            one: Ticket("salesforce", one, VALUES | {"id": one, "mobile": number}) for one, number in numbers.items()
        }


def test_used_up_between_decision_and_claim_the_text_is_decided_again(pool: ConnectionPool) -> None:
    """Both texts are decided while there is room for one."""
    file, remote = limited(), Remote(pool)
    both = [saved(pool, Channel.TRIGGER, ticket=f"5000000000000{at}AAA") for at in ("01", "02")]
    use(pool, 9)

    remote.deliver(*both, mapping=file, tickets=Each())

    assert len(remote.sent) == 1
    [late] = [text for text in both if row(pool, text)["state"] == "queued"]
    assert "is used up" in row(pool, late)["why"]
    with pool.connection() as connection:
        assert connection.execute("select count(*) from reasons where text = %s", [late]).fetchone() == (0,)
    remote.deliver(late, mapping=file, tickets=Each())
    assert abs(row(pool, late)["leaves_at"] - midnight()) < timedelta(minutes=1)


def test_the_ticket_shows_what_its_text_waits_for(pool: ConnectionPool) -> None:
    text = saved(pool, Channel.BATCH)
    use(pool, 8)

    Remote(pool).deliver(text, mapping=limited(), tickets=Tickets(VALUES), notify_holds=["salesforce"])

    with pool.connection() as connection:
        [note] = held_notes.pending(connection, [text])
    assert note.hold.why == "the daily budget of the outbound number is used up"
    assert note.hold.until.endswith(f"00:00, {ZONE}")


def test_a_back_fill_is_planned_with_its_days_and_not_fed_while_they_last(pool: ConnectionPool) -> None:
    file = limited()
    ids = [f"5000000000000{at:02}AAA" for at in range(20)]
    use(pool, 4)

    with pool.connection() as connection:
        planner = Planner("salesforce", as_crm(Each()), file, 0, datetime.now(UTC))
        plan = planner.plan(connection, ids, TextRequest())
        report = plans.found(connection, plan).report or {}
        assert report["daily_budget"] == {
            "days": 3,
            "limit": 10,
            "for_batches": 8,
            "unit": "texts",
        }
        words = list(backfill_report.in_words(plans.found(connection, plan)))
        assert "  takes 3 days with the daily budget of 10 texts, of which batches may use 8" in words
        plans.start(connection, plan, 0, 1, 0, None)
        feeder = Feeder({"salesforce": as_crm(Each())}, 0, {"salesforce": file})
        use(pool, 8)
        feeder.feed(connection)
        assert connection.execute("select count(*) from texts").fetchone() == (0,)
        connection.execute("update daily_budgets set day = day - 1")
        feeder.feed(connection)
        assert connection.execute("select count(*) from texts").fetchone() == (20,)
