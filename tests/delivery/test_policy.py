"""Who must not be texted: one table of cases, through every channel, and the same decision in each."""

from collections.abc import Mapping as Values
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from psycopg_pool import ConnectionPool

from connector.mapping.rules import Mapping
from connector.model import Channel, State, TextRequest, TicketEvent
from connector.policy import link_shorteners
from connector.policy.findings import Said
from connector.policy.wording import says
from connector.preview import Previews
from connector.store import events, opt_outs, suppressions, text_views, texts
from connector.store.opt_outs import Heard
from tests.support.remote import Remote, Tickets, as_crm
from tests.unit.test_mapping_rules import TICKET_ID, VALUES, mapping

# A Tuesday: 12:00 in New York, 9:00 in Los Angeles, 6:00 in Hawaii.
NOON = datetime(2026, 6, 2, 16, 0, tzinfo=UTC)
NIGHT = datetime(2026, 6, 2, 10, 0, tzinfo=UTC)
NUMBER = "+14155552671"
OTHER_TICKET = "500000000000009AAA"


@dataclass(frozen=True)
class Case:
    """What there is, and what decides: the check, what it says to triggers and batches, and whether an agent may."""

    name: str
    check: str | None
    said: Said = Said.STOP
    overridable: bool = False
    values: Values[str, Any] = field(default_factory=dict)
    policy: Values[str, Any] = field(default_factory=dict)
    rule: Values[str, Any] = field(default_factory=dict)
    message: str | None = None
    suppressed: bool = False
    review: bool = False
    texted: timedelta | None = None
    same_reason: bool = False
    at: datetime = NOON


CASES = [
    Case("nothing is against it", None),
    Case("opted out in the CRM", "opt_out", values={"kind": "Out"}, policy={"opt_out": "kind == 'Out'"}),
    Case("on the suppression list", "opt_out", suppressed=True),
    Case("a message that may be an opt-out", "opt_out", Said.HOLD, review=True),
    Case("a message that may be an opt-out, and at night", "opt_out", Said.HOLD, review=True, at=NIGHT),
    Case("on the list, and a message that may be an opt-out", "opt_out", suppressed=True, review=True),
    Case("opted out, and at night", "opt_out", suppressed=True, at=NIGHT),
    Case("texted an hour ago", "window", overridable=True, texted=timedelta(hours=1)),
    Case("texted a minute less than a day ago", "window", overridable=True, texted=timedelta(hours=23, minutes=59)),
    Case("texted a day ago", None, texted=timedelta(hours=24)),
    Case("texted an hour ago, and the rule allows it", None, texted=timedelta(hours=1), rule={"window_hours": 1}),
    Case(
        "texted a day ago, and the rule wants a week",
        "window",
        overridable=True,
        texted=timedelta(hours=24),
        rule={"window_hours": 168},
    ),
    Case("texted a second ago, without a window", None, texted=timedelta(seconds=1), policy={"window_hours": 0}),
    Case("at night", "hours", Said.HOLD, overridable=True, at=NIGHT),
    Case("at night, and all day is open", None, policy={"hours": {"open": "00:00-24:00"}}, at=NIGHT),
    Case("on a day off", "hours", Said.HOLD, overridable=True, policy={"hours": {"days_off": ["tuesday"]}}),
    Case(
        "in a zone where it is night",
        "hours",
        Said.HOLD,
        overridable=True,
        values={"kind": "Pacific/Honolulu"},
        policy={"zone": "kind"},
    ),
    Case(
        "in a state with narrower hours",
        "hours",
        Said.HOLD,
        overridable=True,
        values={"kind": "TX"},
        policy={"state": "kind", "hours": {"by_state": {"TX": {"open": "10:00-21:00"}}}},
    ),
    Case("too long", "content", message="x" * 161, policy={"max_segments": 1}),
    Case("as long as allowed", None, message="x" * 160, policy={"max_segments": 1}),
    Case("one odd character makes it too long", "content", message="x" * 159 + "☎", policy={"max_segments": 2}),
    Case("empty", "content", rule={"message": "{{ first_name or '' }}"}, values={"first_name": None}),
    Case("a public link shortener", "content", message="See https://bit.ly/3xyz"),
    Case("a host that only looks like one", None, message="See https://habit.ly/3xyz and bit.lyon.example"),
    Case("the same reason", "reason", overridable=True, same_reason=True, policy={"window_hours": 0}),
    Case("the same reason, within the window", "reason", overridable=True, same_reason=True),
]


def mapping_of(case: Case) -> Mapping:
    return mapping(case.rule, policy=dict(case.policy))


def taken(
    pool: ConnectionPool, name: str, channel: Channel, request: TextRequest | None, ticket: str = TICKET_ID
) -> int:
    with pool.connection() as connection:
        [one] = events.save(connection, [TicketEvent("salesforce", name, ticket, channel=channel, request=request)])
    assert one.text
    return one.text


def lay_out(pool: ConnectionPool, case: Case) -> Tickets:
    """What there is before the text that matters."""
    values = {**VALUES, **case.values}
    if case.suppressed:
        with pool.connection() as connection:
            assert suppressions.suppress(connection, NUMBER, "asked for it", "a test")
    if case.review:
        with pool.connection() as connection:
            assert opt_outs.heard(connection, "9", "take me off your list", case.at, number=NUMBER) is Heard.REVIEW
    if ago := case.texted:  # another ticket of the same person
        before = taken(pool, "before", Channel.TRIGGER, TextRequest(), OTHER_TICKET)
        tickets = Tickets(values | {"id": OTHER_TICKET})
        wide = mapping_of(Case("", None, policy={"hours": {"open": "00:00-24:00"}}))
        Remote(pool).deliver(before, mapping=wide, tickets=tickets, clock=lambda _: case.at - ago)
        assert state(pool, before) is State.SENT
    if case.same_reason:
        before = taken(pool, "before", Channel.TRIGGER, TextRequest())
        Remote(pool).deliver(before, mapping=mapping_of(case), tickets=Tickets(values), clock=lambda _: case.at)
        assert state(pool, before) is State.SENT
    return Tickets(values)


def state(pool: ConnectionPool, text: int) -> State:
    with pool.connection() as connection:
        return texts.load(connection, [text])[text].state


def story(pool: ConnectionPool, text: int) -> dict[str, Any]:
    with pool.connection() as connection:
        found = text_views.seen(connection, text)
    assert found
    return asdict(found)


def decided(trace: list[dict[str, str]]) -> tuple[str | None, str | None]:
    """Which check decided, and what it said."""
    for said in ("stop", "hold"):
        for one in trace:
            if one["said"] == said:
                return one["check"], said
    return None, None


@pytest.mark.parametrize("channel", [Channel.TRIGGER, Channel.BATCH])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_same_for_triggers_and_batches(pool: ConnectionPool, case: Case, channel: Channel) -> None:
    tickets = lay_out(pool, case)
    text = taken(pool, "this", channel, TextRequest(message=case.message))
    remote = Remote(pool)
    remote.deliver(text, mapping=mapping_of(case), tickets=tickets, clock=lambda _: case.at)
    after = story(pool, text)
    assert decided(after["trace"]) == (case.check, case.check and case.said)
    held = State.QUEUED if case.said is Said.HOLD else State.SKIPPED
    expected = held if case.check else State.SENT
    assert after["state"] == expected
    assert len(remote.sent) == (1 if case.check is None else 0)
    assert (after["leaves_at"] is not None) is (case.said is Said.HOLD)
    with pool.connection() as connection:
        counted = connection.execute("select rule from texts where id = %s", [text]).fetchone()
    assert counted == (mapping_of(case).file.rules[0].name,), "lists and reports name its rule, sent or not"


@pytest.mark.parametrize(
    ("channel", "said", "sent"), [(Channel.TRIGGER, "warn", 1), (Channel.BATCH, "stop", 0), (Channel.AGENT, "stop", 0)]
)
def test_a_placeholder_that_nothing_fills_in_is_no_batchs_text_and_a_triggers_with_a_warning(
    pool: ConnectionPool, channel: Channel, said: str, sent: int
) -> None:
    case = Case("a placeholder", None, message="Hi {!Contact.FirstName}")
    tickets, remote = lay_out(pool, case), Remote(pool)
    text = taken(pool, "this", channel, TextRequest(message=case.message))
    remote.deliver(text, mapping=mapping_of(case), tickets=tickets, clock=lambda _: case.at)
    [found] = [one for one in story(pool, text)["trace"] if one["check"] == "placeholder"]
    assert (found["said"], len(remote.sent)) == (said, sent)
    assert "Contact" not in found["why"], "words of a message are in no log"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_an_agent_is_shown_the_same_and_may_override_what_is_a_persons_to_decide(
    pool: ConnectionPool, case: Case
) -> None:
    tickets, file = lay_out(pool, case), mapping_of(case)
    plain, insisting = (
        TextRequest(message=case.message),
        TextRequest(message=case.message, override="the customer asked for it"),
    )
    previews = Previews({"salesforce": (as_crm(tickets), file)}, lambda _: case.at)
    seen = previews.preview(pool.connection, "salesforce", TICKET_ID, plain)
    insisted = previews.preview(pool.connection, "salesforce", TICKET_ID, insisting)
    assert [one.check for one in seen.against][:1] == ([case.check] if case.check else [])
    may = bool(case.check) and all(one.overridable for one in seen.against)
    assert may is case.overridable
    assert bool(insisted.against) is (case.check is not None and not may)

    remote = Remote(pool)
    first = taken(pool, "first", Channel.AGENT, plain)
    remote.deliver(first, mapping=file, tickets=tickets, clock=lambda _: case.at)
    trace = story(pool, first)["trace"]
    assert [(one["check"], one["said"]) for one in trace] == [(one.check, one.said) for one in seen.findings]
    assert state(pool, first) is (State.SKIPPED if case.check else State.SENT)
    if case.check:
        second = taken(pool, "second", Channel.AGENT, insisting)
        remote.deliver(second, mapping=file, tickets=tickets, clock=lambda _: case.at)
        assert state(pool, second) is (State.SENT if may else State.SKIPPED)
        assert len(remote.sent) == int(may)


def test_what_agents_may_override_is_the_mappings_to_say(pool: ConnectionPool) -> None:
    case = Case("at night", "hours", policy={"agents_may_override": ["window"]}, at=NIGHT)
    text = taken(pool, "this", Channel.AGENT, TextRequest(override="in a hurry"))
    Remote(pool).deliver(text, mapping=mapping_of(case), tickets=lay_out(pool, case), clock=lambda _: NIGHT)
    assert decided(story(pool, text)["trace"]) == ("hours", "stop")


def test_what_is_held_for_hours_leaves_once_when_they_open(pool: ConnectionPool) -> None:
    case = Case("at night", "hours", at=NIGHT)
    tickets, file, remote = lay_out(pool, case), mapping_of(case), Remote(pool)
    text = taken(pool, "this", Channel.TRIGGER, None)
    opens = datetime(2026, 6, 2, 15, 0, tzinfo=UTC)  # 8:00 in Los Angeles
    for _ in range(3):  # workers that start again find it held
        remote.deliver(text, mapping=file, tickets=tickets, clock=lambda _: NIGHT)
    after = story(pool, text)
    assert (after["state"], len(remote.sent)) == ("queued", 0)
    assert abs((after["leaves_at"] - datetime.now(UTC)) - (opens - NIGHT)) < timedelta(minutes=1)
    with pool.connection() as connection:
        jobs = connection.execute("select execute_after - now() from pgqueuer where entrypoint = 'deliver_trigger'")
        assert sum(wait > timedelta(hours=1) for (wait,) in jobs) == 1, "held once"
        connection.execute("update texts set not_before = now() - interval '1 second'")
    for _ in range(3):
        remote.deliver(text, mapping=file, tickets=tickets, clock=lambda _: opens)
    assert (state(pool, text), len(remote.sent)) == (State.SENT, 1)


def test_what_is_held_can_be_cancelled(pool: ConnectionPool) -> None:
    case = Case("at night", "hours", at=NIGHT)
    tickets, file, remote = lay_out(pool, case), mapping_of(case), Remote(pool)
    text = taken(pool, "this", Channel.TRIGGER, None)
    remote.deliver(text, mapping=file, tickets=tickets, clock=lambda _: NIGHT)
    with pool.connection() as connection:
        assert text_views.cancel(connection, text, "a test")
        assert not text_views.cancel(connection, text, "a test")
        connection.execute("update texts set not_before = now() - interval '1 second'")
    remote.deliver(text, mapping=file, tickets=tickets, clock=lambda _: NOON)
    assert (state(pool, text), remote.sent) == (State.CANCELLED, [])


def test_of_two_texts_to_one_number_at_the_same_moment_one_leaves(pool: ConnectionPool) -> None:
    file, remote = mapping(), Remote(pool)
    one, two = (taken(pool, name, Channel.TRIGGER, None, f"50000000000000{name}AAA") for name in ("1", "2"))

    class Each(Tickets):
        def read(self, ids: Any) -> Any:
            return {i: Tickets(VALUES | {"id": i}).read([i])[i] for i in ids}

    remote.deliver(one, two, mapping=file, tickets=Each(), clock=lambda _: NOON)
    assert sorted(state(pool, text) for text in (one, two)) == [State.SENT, State.SKIPPED]
    assert len(remote.sent) == 1


def test_a_number_is_free_again_when_certainly_nothing_was_sent(pool: ConnectionPool) -> None:
    from connector.errors import RefusalScope, Refused

    def refuse(_: Any) -> Any:
        raise Refused("end_user_number is invalid", RefusalScope.TICKET)

    file, tickets = mapping(), Tickets(VALUES)
    first, second = taken(pool, "1", Channel.TRIGGER, None), taken(pool, "2", Channel.TRIGGER, None)
    Remote(pool, refuse).deliver(first, mapping=file, tickets=tickets, clock=lambda _: NOON)
    remote = Remote(pool)
    remote.deliver(second, mapping=file, tickets=tickets, clock=lambda _: NOON)
    assert (state(pool, first), state(pool, second)) == (State.FAILED, State.SENT)


@pytest.mark.parametrize(("send_at", "becomes"), [(None, State.FAILED), (NOON.isoformat(), State.QUEUED)])
def test_a_scheduled_text_waits_for_a_busy_customer_and_an_agent_who_watches_is_told_at_once(
    pool: ConnectionPool, send_at: str | None, becomes: State
) -> None:
    from connector.errors import RefusalScope, Refused

    def busy(_: Any) -> Any:
        raise Refused("Consumer is already in an active SMS session.", RefusalScope.BUSY)

    text = taken(pool, "1", Channel.AGENT, TextRequest(message="Hello", send_at=send_at))
    Remote(pool, busy).deliver(
        text, mapping=mapping(), tickets=Tickets(VALUES), clock=lambda _: NOON, busy_seconds=3600
    )
    assert state(pool, text) is becomes


def test_a_scheduled_text_is_checked_when_its_time_has_come(pool: ConnectionPool) -> None:
    text = taken(pool, "1", Channel.AGENT, TextRequest(message="Hello", send_at=NIGHT.isoformat()))
    remote = Remote(pool)
    remote.deliver(text, mapping=mapping(), tickets=Tickets(VALUES), clock=lambda _: NIGHT)
    assert state(pool, text) is State.SKIPPED
    assert remote.sent == []


def test_a_text_that_is_not_due_is_left_alone(pool: ConnectionPool) -> None:
    at = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    text, remote = taken(pool, "1", Channel.AGENT, TextRequest(message="Hello", send_at=at)), Remote(pool)
    remote.deliver(text, mapping=mapping(), tickets=Tickets(VALUES), clock=lambda _: NOON)
    assert state(pool, text) is State.RECEIVED
    assert remote.sent == []


def test_the_first_text_to_a_number_says_who_writes_and_how_to_stop_it(pool: ConnectionPool) -> None:
    file = mapping(policy={"brand": "Acme:", "opt_out_line": "Reply STOP to opt out.", "window_hours": 0})
    tickets, remote = Tickets(VALUES), Remote(pool)
    for name in ("1", "2"):
        request = TextRequest(message=f"Hello {name}", override="once more")
        text = taken(pool, name, Channel.AGENT, request)
        remote.deliver(text, mapping=file, tickets=tickets, clock=lambda _: NOON)
    assert [sms.message for sms in remote.sent] == ["Acme: Hello 1 Reply STOP to opt out.", "Hello 2"]


@pytest.mark.parametrize(
    ("message", "words", "there"),
    [
        ("Hi, your place is booked", "ACE", False),
        ("NONSTOP to Enderby", "STOP to end", False),
        ("Reply STOP to end.", "STOP to end", True),
        ("Ace: your case", "ACE", True),
        ("ACE's news", "Ace", True),
        ("Palace news", "ACE", False),
        ("From Müller", "MÜLLER", True),
        ("From Mu\u0308ller", "Müller", True),
        ("Müllerstraße 1", "Müller", False),
        ("It\u2019s Joe\u2019s", "Joe's", True),
        ("Reply  STOP\u00a0to end", "Reply STOP to end", True),
        ("STOP\u2013now", "STOP-now", True),
        ("a+b", "a.b", False),
        ("A1 news", "A", False),
        ("", "ACE", False),
    ],
)
def test_brand_and_opt_out_line_are_looked_for_as_whole_words(message: str, words: str, there: bool) -> None:
    assert says(message, words) is there


@pytest.mark.parametrize(
    ("message", "host"),
    [
        ("bit.ly/a", "bit.ly"),
        ("HTTPS://BIT.LY/a", "bit.ly"),
        ("(www.tinyurl.com/x)", "tinyurl.com"),
        ("t.co", "t.co"),
        ("see t.co.", "t.co"),
        ("att.com/a", None),
        ("t.company/a", None),
        ("my-t.co/a", None),
        ("a.bit.ly/a", None),
        ("bit.ly.example.com", None),
        ("bit.ly, or call", "bit.ly"),
    ],
)
def test_link_shorteners(message: str, host: str | None) -> None:
    assert link_shorteners.find(message) == host
