"""A draft of a mapping, tried on texts that delivery has decided itself; with a real database."""

from collections.abc import Mapping as Values
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from psycopg_pool import ConnectionPool

from connector.crms import CRM_BATCH_SIZE
from connector.dry_run.both_mappings import BothMappings
from connector.dry_run.trial import Kind, Trial, Tried
from connector.dry_run.try_mapping import try_mapping
from connector.errors import RefusalScope, Refused, Unavailable
from connector.mapping.rules import Mapping
from connector.model import Channel, TextRequest, Ticket, TicketEvent
from connector.store import events, outcomes
from tests.delivery.test_decide_again import NIGHT, NOON, everything
from tests.support.remote import Remote, Tickets, as_crm
from tests.unit.test_mapping_rules import RAW, VALUES, mapping

LATER = NOON + timedelta(days=7)
HELLO = {"message": "Hello {{ first_name }}"}
# The reason no longer depends on when the text was asked for; a field that nothing uses would be refused.
ONCE = {"once_per": ["id"], "skip_when": {"closed": "closed", "a test": "kind == 'Test' || asked_at == 'never'"}}
PLAIN = {"name": "plain", "when": "kind == 'Plain'", "once_per": ["id"], "message": "Plain words"}


class Case(Tickets):
    """Tickets by id. Each is read by the names of whichever mapping reads it: `fields` has the CRM's own for these."""

    def __init__(self, cases: Values[str, Values[str, Any]], fields: Values[str, str]) -> None:
        super().__init__()
        self.cases, self.fields, self.calls = cases, fields, list[int]()

    def read(self, ids: Sequence[str]) -> dict[str, Ticket]:
        self.calls.append(len(ids))
        return {
            one: Ticket("salesforce", one, {name: self._value(one, path) for name, path in self.fields.items()})
            for one in ids
            if one in self.cases
        }

    def _value(self, ticket: str, path: str) -> object:
        by_path = {path.lower(): name for name, path in RAW["fields"].items()}
        name = by_path.get(path.lower().removeprefix("case."), path)
        return {**VALUES, "id": ticket, **self.cases[ticket]}.get(name)


def case(number: int) -> str:
    return f"5006x{number:010}AAA"


def delivered(pool: ConnectionPool, live: Mapping, ticket: str, at: datetime = NOON, **values: Any) -> int:
    """A text of a trigger that delivery has decided; its ticket says so since. Its id."""
    more = {name: values.pop(name) for name in ("channel", "request") if name in values}
    with pool.connection() as connection:
        count = connection.execute("select count(*) from events").fetchone()
        [receipt] = events.save(connection, [TicketEvent("salesforce", f"e{count}", ticket, **more)])
    assert receipt.text
    tickets = Tickets({**VALUES, "id": ticket, "mobile": phone(ticket), **values})
    Remote(pool).deliver(receipt.text, mapping=live, clock=lambda _: at, tickets=tickets)
    with pool.connection() as connection:
        outcomes.begin_write(connection, {receipt.text: {"status": "Sent"}})
    return receipt.text


def phone(ticket: str) -> str:
    """A number of the ticket's own."""
    return f"+1415555{ticket[-7:-3]}"


def tried(
    pool: ConnectionPool,
    live: Mapping,
    draft: Mapping,
    cases: Values[str, Values[str, Any]],
    events: int = 100,
    tickets: Sequence[str] = (),
    at: datetime = LATER,
) -> Trial:
    """Try a draft. These cases have been told "Sent" since, unless they say otherwise."""
    both = BothMappings(live, draft)
    told = {ticket: {"status": "Sent", "mobile": phone(ticket), **values} for ticket, values in cases.items()}
    crm = as_crm(Case(told, both.to_read.fields))
    return try_mapping(pool.connection, "salesforce", crm, both, events, tickets, clock=lambda _: at)


def only(trial: Trial) -> Tried:
    [group] = trial.groups
    [text] = group.texts
    return text


def kinds(trial: Trial) -> dict[Kind, list[str]]:
    found = dict[Kind, list[str]]()
    for group in trial.groups:
        found.setdefault(group.kind, []).extend(one.item.ticket_id for one in group.texts)
    return found


def test_the_same_mapping_changes_nothing(pool: ConnectionPool) -> None:
    """Also for tickets that have been told since: a rule would not ask for their texts any more."""
    live = mapping()
    for number in range(3):
        delivered(pool, live, case(number))

    trial = tried(pool, live, mapping(), {case(number): {} for number in range(3)})

    assert (trial.tried, trial.same, trial.groups, trial.unread) == (3, 3, [], [])
    assert trial.at == LATER


def test_what_the_draft_words_skips_and_sends_is_grouped(pool: ConnectionPool) -> None:
    live = mapping()
    for number in range(4):
        delivered(pool, live, case(number))
    draft = mapping({"skip_when": {"the customer is a robot": "first_name == 'Robbie' && !closed"}, **HELLO}, PLAIN)
    cases: dict[str, dict[str, Any]] = {
        case(0): {},
        case(1): {"first_name": "Robbie"},
        case(2): {"closed": True},
        case(3): {"status": "Done", "kind": "Plain"},
    }

    trial = tried(pool, live, draft, cases)

    assert kinds(trial) == {
        Kind.TEXTED: [case(2), case(3)],
        Kind.SKIPPED: [case(1)],
        Kind.WORDED: [case(0)],
    }
    assert {group.words for group in trial.groups} == {
        "texted by the draft only: Ticket (rule requested)",
        "texted by the draft only: Rule (rule plain)",
        "skipped by the draft only: Ticket (rule requested)",
        "worded differently (rule requested)",
    }
    skipped = next(group for group in trial.groups if group.kind is Kind.SKIPPED).texts[0]
    assert [one.after for one in skipped.differences if one.part == "result"] == ["skip: the customer is a robot"]


def test_a_draft_may_read_other_fields_under_other_names(pool: ConnectionPool) -> None:
    """A field is known by its path in the CRM, in any spelling; each ticket is read once for both."""
    live = mapping()
    delivered(pool, live, case(1))
    fields = {
        {"status": "asked_for"}.get(name, name): {"status": "case.STATUS__C"}.get(name, path)
        for name, path in RAW["fields"].items()
    }
    rule = {"when": "asked_for == 'Requested'", "message": "{{ first_name }} has level {{ level }}"}
    draft = mapping(rule, fields=fields | {"level": "Level__c"})
    both = BothMappings(live, draft)
    crm = Case({case(1): {"status": "Sent", "mobile": phone(case(1)), "Level__c": 3}}, both.to_read.fields)

    trial = try_mapping(pool.connection, "salesforce", as_crm(crm), both, 10, clock=lambda _: LATER)

    assert [(one.part, one.after) for one in only(trial).differences] == [("message", "Ada has level 3")]
    assert crm.calls == [1]
    assert len(both.to_read.fields) == len(RAW["fields"]) + 1


def test_two_texts_for_one_reason_of_the_draft_are_one(pool: ConnectionPool) -> None:
    live = mapping()
    first, second = (delivered(pool, live, case(number)) for number in (1, 2))

    trial = tried(pool, live, mapping(ONCE | {"once_per": ["country"]}), {case(1): {}, case(2): {}})

    found = only(trial)
    assert found.item.id == second
    assert found.draft.why == f"text {first} (sent) is for the same reason"
    assert trial.same == 1


def test_tickets_without_a_text_are_tried_as_if_a_trigger_came(pool: ConnectionPool) -> None:
    live = mapping()
    delivered(pool, live, case(1))
    draft = mapping(ONCE | {"once_per": ["country"]})
    asked = {"status": "Requested"}

    trial = tried(
        pool, live, draft, {case(1): {}, case(2): asked, case(3): asked}, 0, [case(1), case(2), case(3), case(3)]
    )

    assert trial.tried == 3
    assert {one.item.ticket_id: one.draft.why for group in trial.groups for one in group.texts} == {
        case(2): "text 1 (sent) is for the same reason",
        case(3): "text 1 (sent) is for the same reason",
    }
    alone = tried(pool, live, draft, {case(2): asked, case(3): asked}, 0, [case(2), case(3)])
    assert only(alone).draft.why == f"ticket {case(2)} is for the same reason"
    assert only(alone).item.text is None


def test_a_request_by_name_is_tried_with_the_draft_rule(pool: ConnectionPool) -> None:
    live = mapping({}, PLAIN)
    request = TextRequest(rule="plain")
    delivered(pool, live, case(1), channel=Channel.AGENT, request=request)
    delivered(pool, live, case(2), channel=Channel.AGENT, request=TextRequest(message="Call us"))

    trial = tried(pool, live, mapping(HELLO), {case(1): {}, case(2): {}})

    assert only(trial).draft.why == "there is no rule plain"
    assert trial.same == 1, "an agent's own words stay"


def test_other_hours_are_another_time(pool: ConnectionPool) -> None:
    live = mapping()
    delivered(pool, live, case(1))
    draft = mapping(policy={"hours": {"open": "09:00-23:00"}})

    trial = tried(pool, live, draft, {case(1): {}}, at=NIGHT + timedelta(days=1))

    assert kinds(trial) == {Kind.RETIMED: [case(1)]}
    assert [(one.part, one.after.partition(":")[0]) for one in only(trial).differences] == [
        ("result", "send"),
        ("hours", "ok"),
    ]


def test_a_stranger_number_is_another_addressee(pool: ConnectionPool) -> None:
    live = mapping()
    delivered(pool, live, case(1))
    draft = mapping(phones=RAW["phones"] | {"prefer": ["web", "mobile"]})

    trial = tried(pool, live, draft, {case(1): {"web": "+14155550199"}})

    assert kinds(trial) == {Kind.ADDRESSED: [case(1)]}
    assert [(one.before, one.after) for one in only(trial).differences] == [(phone(case(1)), "+14155550199")]


class Failing(Case):
    """Fails in the second page; and the org with it."""

    def probe(self) -> None:
        raise Unavailable("the org is away")

    def read(self, ids: Sequence[str]) -> dict[str, Ticket]:
        found = super().read(ids)
        if len(self.calls) > 1:
            raise Unavailable("the org is away")
        return found


def test_tickets_that_could_not_be_read_are_listed(pool: ConnectionPool) -> None:
    """The newest are read first, a page at a time; what was read is compared."""
    live, draft = mapping(), mapping(HELLO)
    both = BothMappings(live, draft)
    tickets = [case(number) for number in range(CRM_BATCH_SIZE + 5)]
    crm = Failing({one: {"mobile": phone(one)} for one in tickets}, both.to_read.fields)
    seen = list[tuple[int, int]]()

    trial = try_mapping(
        pool.connection,
        "salesforce",
        as_crm(crm),
        both,
        0,
        tickets,
        lambda *progress: seen.append(progress),
        clock=lambda _: LATER,
    )

    assert (trial.tried, len(trial.unread)) == (CRM_BATCH_SIZE, 5)
    assert [one.item.ticket_id for one in trial.unread] == tickets[:5]
    assert {one.why for one in trial.unread} == {"the org is away"}
    assert seen == [(CRM_BATCH_SIZE, CRM_BATCH_SIZE + 5)]


class Lacking(Tickets):
    """An org that lacks a field, and says so to every query."""

    def probe(self) -> None:
        raise Refused("No such column 'Nonsense__c'", RefusalScope.SETTINGS)

    def read(self, ids: Sequence[str]) -> dict[str, Ticket]:
        raise Refused("No such column 'Nonsense__c'", RefusalScope.SETTINGS)


def test_a_field_that_the_org_lacks_is_refused(pool: ConnectionPool) -> None:
    both = BothMappings(mapping(), mapping())
    delivered(pool, both.live, case(1))

    with pytest.raises(Refused, match="Nonsense__c"):
        try_mapping(pool.connection, "salesforce", as_crm(Lacking()), both, 10, clock=lambda _: LATER)


def test_the_newest_events_are_tried(pool: ConnectionPool) -> None:
    live = mapping()
    for number in range(4):
        delivered(pool, live, case(number))

    trial = tried(pool, live, mapping(HELLO), {case(number): {} for number in range(4)}, events=2)

    assert kinds(trial) == {Kind.WORDED: [case(2), case(3)]}


def test_trying_changes_nothing(pool: ConnectionPool) -> None:
    live = mapping()
    delivered(pool, live, case(1))
    with pool.connection() as connection:
        before = everything(connection)

    tried(pool, live, mapping(HELLO | ONCE), {case(1): {}}, tickets=[case(2)])

    with pool.connection() as connection:
        assert everything(connection) == before
