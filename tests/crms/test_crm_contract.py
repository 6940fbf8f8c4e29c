"""What every CRM has to do, tried on each that has a mapping file. A new one adds tests/fixtures/<name>.py, no more."""

import importlib
from collections.abc import Iterator
from types import ModuleType

import pytest

from connector import crms, settings
from connector.crms import Crm, Query
from connector.errors import NotAuthentic, RefusalScope, Refused, Unavailable
from connector.mapping import loader
from connector.mapping.schema import MappingFile
from connector.model import TicketEvent
from connector.sandbox import Sandbox
from webhooks.receive import WebhookRoute

MAPPINGS = settings.Settings(_env_file=None).mappings_dir
STEMS = crms.names(MAPPINGS)


@pytest.fixture(scope="module")
def box() -> Iterator[Sandbox]:
    with Sandbox(port=0).running() as box:
        yield box


@pytest.fixture(params=STEMS)
def crm_name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def of(crm_name: str, box: Sandbox, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The CRM's fixtures; its settings stand in the environment."""
    fixtures = importlib.import_module(f"tests.fixtures.{crm_name}")
    for name, value in fixtures.environment(box).items():
        monkeypatch.setenv(name, value)
    return fixtures


@pytest.fixture
def file(crm_name: str) -> MappingFile:
    return loader.load(MAPPINGS / f"{crm_name}.toml")


@pytest.fixture
def crm(crm_name: str, of: ModuleType, file: MappingFile) -> Iterator[Crm]:
    crm = crms.connect(crm_name, file)
    yield crm
    crm.close()


@pytest.fixture
def route(crm_name: str, of: ModuleType, file: MappingFile) -> WebhookRoute:
    routes: list[WebhookRoute] = importlib.import_module(f"webhooks.crms.{crm_name}").routes(file)
    return next(one for one in routes if one.path == of.ENTRANCE)


def test_many_tickets_are_read_in_one_call_with_every_name_of_the_mapping(
    crm: Crm, of: ModuleType, box: Sandbox, file: MappingFile
) -> None:
    tickets = of.new_tickets(box, crms.CRM_BATCH_SIZE)
    crm.warm_up()
    before = of.calls(box)
    found = crm.read(tickets)
    assert of.calls(box) == before + 1
    assert list(found) == tickets
    assert {frozenset(ticket.values) for ticket in found.values()} == {frozenset(file.fields)}
    assert [found[ticket].values[file.ticket.id] for ticket in tickets] == tickets


def test_a_ticket_that_does_not_exist_is_missing_and_spoils_nothing(crm: Crm, of: ModuleType, box: Sandbox) -> None:
    [ticket] = of.new_tickets(box, 1)
    assert list(crm.read([of.nobody(), ticket, "' OR Id != '", ""])) == [ticket]


def test_what_can_be_no_id_is_told_from_a_ticket_that_is_not_there(crm: Crm, of: ModuleType, box: Sandbox) -> None:
    before = of.calls(box)
    assert crm.not_an_id(of.nobody()) is None
    assert all(crm.not_an_id(given) for given in ("", "' OR Id != '", "nonsense"))
    assert of.calls(box) == before


def test_many_tickets_are_written_in_one_call_and_each_has_its_own_answer(
    crm: Crm, of: ModuleType, box: Sandbox
) -> None:
    first, locked, last = of.new_tickets(box, 3)
    crm.warm_up()
    of.lock(box, locked)
    before = of.calls(box)
    answers = crm.write([(ticket, {of.FIELD: f"for {ticket}"}) for ticket in (first, locked, of.nobody(), last)])
    assert of.calls(box) == before + 1
    assert answers[0] is None
    assert isinstance(answers[1], Unavailable)
    assert isinstance(answers[2], Refused)
    assert answers[3] is None
    assert [of.fields(box, ticket)[of.FIELD] for ticket in (first, locked, last)] == [
        f"for {first}",
        None,
        f"for {last}",
    ]
    assert crm.write([(first, {of.FIELD: None})]) == [None]
    assert of.fields(box, first)[of.FIELD] is None


def test_the_opt_out_field_is_written_wherever_it_belongs(
    crm: Crm, of: ModuleType, box: Sandbox, file: MappingFile
) -> None:
    """The field may belong to a record that the ticket refers to."""
    first, lonely, last = of.new_tickets(box, 3)
    of.without_customer(box, lonely)
    field = file.opt_outs.field
    assert field

    answers = crm.write_field(field, [(first, "true"), (lonely, "true"), (of.nobody(), "true"), (last, "false")])

    assert (answers[0], answers[3]) == (None, None)
    assert [getattr(answers[at], "scope", None) for at in (1, 2)] == [RefusalScope.GONE] * 2
    assert (of.opted_out(box, first), of.opted_out(box, last)) == (True, False)
    assert crm.write_field(field, [(first, "false")]) == [None]
    assert not of.opted_out(box, first)


def test_a_checkbox_is_read_with_the_record_that_has_it(
    crm: Crm, of: ModuleType, box: Sandbox, file: MappingFile
) -> None:
    first, lonely, last = of.new_tickets(box, 3)
    of.without_customer(box, lonely)
    field = file.invalid_numbers.field
    assert field
    crm.write_field(field, [(first, "true")])

    found = crm.read_field(field, [first, lonely, of.nobody(), last])

    assert {ticket: state.value for ticket, state in found.items()} == {first: True, last: False}
    assert found[first].record not in (first, found[last].record)
    assert of.phone_invalid(box, first)


def test_what_a_query_finds_comes_by_pages_like_what_is_read(crm: Crm, of: ModuleType, box: Sandbox) -> None:
    tickets = of.new_tickets(box, of.MANY)
    pages = list(crm.find(of.query_of(box, tickets)))
    found = {ticket.id: ticket for page in pages for ticket in page}
    assert list(found) == tickets[::-1], "newest first"
    assert len(pages) > 1, "never all at once"
    some = tickets[: crms.CRM_BATCH_SIZE]
    assert {one: found[one] for one in some} == crm.read(some), "the same, however it was read"


def test_a_ticket_that_left_its_query_no_longer_fits(crm: Crm, of: ModuleType, box: Sandbox) -> None:
    stays, leaves = tickets = of.new_tickets(box, 2)
    query = of.query_of(box, tickets)
    assert crm.fitting(query, tickets) == set(tickets)
    of.leave(box, leaves)
    before = of.calls(box)
    assert crm.fitting(query, tickets) == {stays}
    assert of.calls(box) == before + 1
    assert crm.fitting(Query(), tickets) == set(tickets), "ids that were given always fit"


@pytest.mark.parametrize("wrong", [Query(where="no such thing ="), Query(whole="nothing of the kind")])
def test_a_query_that_cannot_be_read_is_refused(crm: Crm, wrong: Query) -> None:
    with pytest.raises(Refused):
        list(crm.find(wrong))


def test_what_is_too_long_for_its_field_is_cut(crm: Crm, of: ModuleType, box: Sandbox) -> None:
    [ticket] = of.new_tickets(box, 1)
    crm.warm_up()
    assert crm.write([(ticket, {of.FIELD: "x" * (of.LONGEST + 1)})]) == [None]
    assert of.fields(box, ticket)[of.FIELD] == "x" * of.LONGEST


def test_an_expired_token_is_renewed_without_anybody_noticing(crm: Crm, of: ModuleType, box: Sandbox) -> None:
    [ticket] = of.new_tickets(box, 1)
    crm.warm_up()
    of.expire(box)
    assert list(crm.read([ticket])) == [ticket]
    of.expire(box)
    assert crm.write([(ticket, {of.FIELD: "written"})]) == [None]


def test_our_own_user_is_known(crm: Crm, of: ModuleType, box: Sandbox) -> None:
    assert crm.is_own(of.own_user(box))
    assert not crm.is_own(None)
    assert not crm.is_own("005zzzzzzzzzzzzAAA")


def test_the_share_of_the_days_calls_is_what_the_crm_said_last_and_asked_for_when_that_is_old(
    crm: Crm, of: ModuleType, box: Sandbox
) -> None:
    assert crm.usage() is None
    crm.read(of.new_tickets(box, 1))
    said = crm.usage()
    assert said is not None
    assert 0 < said <= 1
    before = of.calls(box)
    assert (crm.usage(), crm.usage(3600)) == (said, said)
    assert of.calls(box) == before
    asked = crm.usage(0)
    assert asked is not None
    assert asked > said


def test_the_shipped_mapping_fits(crm: Crm) -> None:
    assert crm.check() == []


def test_a_crm_that_is_away_is_unavailable(of: ModuleType, crm_name: str, file: MappingFile, box: Sandbox) -> None:
    with Sandbox(port=0).running() as gone, pytest.MonkeyPatch.context() as patch:
        [ticket] = of.new_tickets(gone, 1)
        for name, value in of.environment(gone).items():
            patch.setenv(name, value)
        crm = crms.connect(crm_name, file)
    with pytest.raises(Unavailable):
        crm.read([ticket])
    with pytest.raises(Unavailable):
        crm.write([(ticket, {of.FIELD: "x"})])
    with pytest.raises(Unavailable):
        crm.write_field(file.opt_outs.field or "", [(ticket, "true")])
    with pytest.raises(Unavailable):
        crm.probe()
    crm.close()


def test_an_authentic_message_becomes_its_event(
    route: WebhookRoute, of: ModuleType, crm_name: str, box: Sandbox
) -> None:
    [ticket] = of.new_tickets(box, 1)
    [event] = route.parse(of.message(box, ticket, "04l000000000001AAA"))
    assert isinstance(event, TicketEvent)
    assert (event.crm, event.event_id, event.ticket_id) == (crm_name, "04l000000000001AAA", ticket)
    assert event.problem is None


def test_a_forged_message_is_not_authentic(route: WebhookRoute, of: ModuleType, box: Sandbox) -> None:
    [ticket] = of.new_tickets(box, 1)
    with pytest.raises(NotAuthentic):
        route.parse(of.forged(of.message(box, ticket, "04l000000000002AAA")))
