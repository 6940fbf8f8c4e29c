"""One bad event among good ones: the others are saved and texted, and what is wrong is said of the bad one alone."""

import json
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.crms.salesforce import ids
from connector.errors import NotAuthentic, Unreadable
from connector.model import TicketEvent
from tests.crms.test_salesforce_messages import CASE, FIELDS, ONE, ORG, USER, message, notification, parse, record
from tests.support.pipe import Pipe
from tests.support.tls import TLS
from webhooks.crms.salesforce import events

OTHER = ids.long("5006x00000YYyyy")
WRONG = "500000000000002AAB"
ODD_IDS = pytest.mark.parametrize(
    "given_id",
    [
        pytest.param(WRONG, id="a wrong checksum"),
        pytest.param(CASE.lower(), id="in small letters"),
        pytest.param(CASE.upper(), id="in capitals"),
        pytest.param(ids.long("0016x00000XXxxx"), id="an account"),
        pytest.param("５" + CASE[1:], id="a full-width digit"),
        pytest.param(CASE[:16], id="16 characters"),
        pytest.param(f"{CASE[:15]} ", id="15 and a space"),
    ],
)


def other(text: str = "") -> str:
    """A second notification, of another case, that holds this in a field."""
    return notification(2, record(f"<sf:Id>{OTHER}</sf:Id><sf:Subject>{text}</sf:Subject>"))


def both(body: bytes) -> list[str | None]:
    return [event.ticket_id for event in parse(body)]


@pytest.mark.parametrize(
    "text",
    [
        "&nope;",
        "&a.b-c;",
        "a & b",
        "\x00",
        "\x0b",
        "\x1f",
        "\ufffe",
        "&#0;",
        "&#xB;",
        "&#xD83D;",
        "&#x110000;",
        "&#9999999;",
        "&",
        "&#;",
        "&#x;",
        "&;",
    ],
    ids=ascii,
)
def test_an_outbound_message_with_an_undeclared_entity_or_a_control_character_in_one_notification_texts_both(
    text: str,
) -> None:
    """A character that XML forbids makes a field unreadable, not a message."""
    first, second = parse(message(notification(1), other(text)).encode())
    assert (first.ticket_id, second.ticket_id) == (CASE, OTHER)
    assert (first.event_id, second.event_id) == ("04l6x0000000001AAA", "04l6x0000000002AAA")
    assert "\ufffd" in second.body["Subject"]


@pytest.mark.parametrize("raw", [b"\xff", b"\xc3", b"\xed\xa0\x80"], ids=repr)
def test_a_byte_that_is_no_utf_8_makes_a_field_unreadable_and_no_message(raw: bytes) -> None:
    assert both(message(notification(1), other("MARK")).encode().replace(b"MARK", raw)) == [CASE, OTHER]


def test_a_damaged_message_in_utf_16_is_read_as_well() -> None:
    body = message(notification(1), other("&nope;\x01")).replace("UTF-8", "UTF-16")
    assert both(body.encode("utf-16")) == [CASE, OTHER]


@pytest.mark.parametrize(
    "broken",
    [
        "<sf:A>",
        "</sf:A>",
        "<b",
        "a < b",
        "<a b=c/>",
        "<sf:A></sf:B>",
        "<x:A/>",
        "]]>",
        "<1/>",
        "<a>" * 5000 + "</a>" * 5000,
    ],
    ids=lambda text: text[:12],
)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_notification_that_is_no_xml_is_kept_alone_and_the_others_are_texted(broken: str, place: int) -> None:
    good = [notification(1), notification(3)]
    found = parse(message(*good[:place], other(broken), *good[place:]).encode())
    assert [event.event_id for event in found if event.ticket_id] == ["04l6x0000000001AAA", "04l6x0000000003AAA"]
    assert found[place].problem
    assert OTHER.encode() in (found[place].raw or b"")
    assert found[place].event_id.startswith("unreadable:")


@pytest.mark.parametrize("end", ["</Notification>", "</sObject></Notification>"])
def test_a_notification_without_its_end_takes_no_other_with_it(end: str) -> None:
    found = parse(message(notification(1).removesuffix(end), notification(2)).encode())
    assert [event.ticket_id for event in found] == [None, CASE]


@pytest.mark.parametrize(
    "damage", ["5006x00&nope;000XXxxxAAD", "5006\x006x00000XXxxx", "5006x00000XXxxx\x01AAD", "&x;"]
)
def test_an_id_that_is_damaged_is_never_mended(damage: str) -> None:
    """A parser that leaves out what it cannot read would make another id of it."""
    first, second = parse(message(notification(1), notification(2).replace(CASE, damage)).encode())
    assert (first.ticket_id, second.ticket_id) == (CASE, None)
    assert second.problem == ids.NO_ID


@pytest.mark.parametrize("name", ["", " ", "a" * 201, "04l6x0&nope;000000002AAA", "04l6x\x00AAA"], ids=ascii)
def test_a_notification_without_an_id_that_can_be_kept_is_texted_under_a_name_of_its_own(name: str) -> None:
    body = message(notification(1), other().replace("04l6x0000000002AAA", name)).encode()
    first, second = parse(body)
    assert (first.ticket_id, second.ticket_id) == (CASE, OTHER)
    assert second.event_id.startswith("unnamed:")
    assert parse(body) == [first, second], "sent again it is the same event"


def test_two_notifications_of_two_cases_under_one_id_are_two_events() -> None:
    found = parse(message(notification(1), other().replace("02AAA", "01AAA")).encode())
    assert [event.ticket_id for event in found] == [CASE, OTHER]
    assert len({event.event_id for event in found}) == 2


@ODD_IDS
def test_a_record_in_an_outbound_message_with_an_id_that_fits_no_case_takes_no_other_with_it(given_id: str) -> None:
    damaged = (
        notification(2).replace(CASE, given_id)
        if given_id.strip() == given_id
        else notification(2).replace(CASE, "5006x00000XXxx ")
    )
    first, second = parse(message(notification(1), damaged).encode())
    assert (first.ticket_id, second.ticket_id) == (CASE, None)
    assert second.problem


def test_a_record_with_two_ids_is_nobodys() -> None:
    twice = record(f"{FIELDS}<sf:Id>{OTHER}</sf:Id>")
    assert [event.ticket_id for event in parse(message(notification(1), notification(2, twice)))] == [CASE, None]


@pytest.mark.parametrize("mark", ["<![CDATA[%s]]>", "<!--%s-->"])
def test_what_may_be_text_is_never_taken_for_a_notification(mark: str) -> None:
    """A customer's words must not become an event of another case."""
    forged = mark % other()
    with pytest.raises(Unreadable):
        parse(message(notification(1, record(f"{FIELDS}<sf:S>{forged}</sf:S><broken")), notification(3)).encode())


@pytest.mark.parametrize("cut", [1, 2, 12, 60])
def test_a_damaged_message_that_was_cut_is_not_read_in_part(cut: int) -> None:
    body = message(notification(1), other("&nope;")).rstrip()
    with pytest.raises(Unreadable):
        parse(body[:-cut].encode())


def test_a_damaged_message_of_another_org_is_not_authentic() -> None:
    with pytest.raises(NotAuthentic):
        parse(message(notification(1), other("&nope;")).replace(ORG, "00D6x0000008xyzEAA").encode())


def test_a_damaged_message_of_more_than_100_notifications_is_unreadable() -> None:
    with pytest.raises(Unreadable, match="more than 100"):
        parse(message(*(notification(number) for number in range(101)), "<b").encode())


@given(st.integers(0, len(ONE) - 1), st.binary(min_size=1, max_size=3))
def test_no_damage_makes_another_case_of_one(place: int, damage: bytes) -> None:
    """Whatever bytes are overwritten, an event names the case that was sent or none."""
    body = ONE.encode()
    try:
        found = parse(body[:place] + damage + body[place + len(damage) :])
    except (Unreadable, NotAuthentic):
        return
    assert {event.ticket_id for event in found} <= {CASE, None, *_like(place, damage)}


def _like(place: int, damage: bytes) -> set[str]:
    """What was sent where the damage itself wrote letters into the id."""
    body = ONE.encode()
    changed = (body[:place] + damage + body[place + len(damage) :]).decode(errors="replace")
    found = changed.partition("<sf:Id>")[2].partition("</sf:Id>")[0].strip()
    return {ids.long(found)} if not ids.problem(found) else set()


@ODD_IDS
def test_three_json_events_of_which_one_has_an_id_that_fits_no_case_are_two_and_a_refusal(given_id: str) -> None:
    content = [{"ticket_id": one, "event_id": f"e{at}"} for at, one in enumerate((CASE, given_id, OTHER))]
    first, refused, last = events.parse(json.dumps(content).encode(), "", "Case")
    assert isinstance(first, TicketEvent)
    assert isinstance(last, TicketEvent)
    assert (first.ticket_id, last.ticket_id) == (CASE, OTHER)
    assert not isinstance(refused, TicketEvent)
    assert refused.index == 1
    assert refused.why.startswith("event 1: ticket_id: this is ")


@ODD_IDS
@pytest.mark.parametrize("listed", [False, True])
def test_where_no_event_can_be_taken_the_message_is_refused_naming_it(given_id: str, listed: bool) -> None:
    event = {"ticket_id": given_id, "event_id": "e"}
    with pytest.raises(Unreadable, match="event 0: ticket_id: this is "):
        events.parse(json.dumps([event] if listed else event).encode(), "", "case")


@given(st.from_regex(rf"\A{ids.PATTERN}\Z"))
def test_an_id_of_18_characters_is_taken_with_its_own_checksum_only(given_id: str) -> None:
    assert (ids.problem(given_id) is None) == (ids.long(given_id[:15]) in (given_id, ids.long(given_id)))
    assert ids.problem(ids.long(given_id[:15])) is None


@given(st.from_regex(r"\A500[a-zA-Z0-9]{12}\Z"))
def test_an_id_whose_letters_were_made_small_or_capital_is_found_by_its_checksum(short: str) -> None:
    for changed in (ids.long(short).lower(), ids.long(short).upper()):
        assert changed == ids.long(short) or ids.problem(changed), changed


def _post(pipe: Pipe, content: Any) -> httpx.Response:
    headers = {"Authorization": f"Bearer {pipe.key}"}
    return httpx.post(
        f"{pipe.web}/webhooks/salesforce/events", json=content, headers=headers, verify=TLS, trust_env=False
    )


def test_of_three_json_events_the_good_ones_are_texted_and_the_bad_one_is_answered(pipe: Pipe, case: str) -> None:
    last = pipe.box.salesforce.make_cases(1)[0]
    for ticket in (case, last):
        pipe.box.salesforce.edit(ticket, {"CCAIP_SMS_Status__c": "Requested"})
    content = [{"ticket_id": one, "event_id": f"many-{case}-{at}"} for at, one in enumerate((case, WRONG, last))]

    answer = _post(pipe, content)

    assert answer.status_code == 422
    said = answer.json()
    assert [one["event_id"] for one in said["texts"]] == [content[0]["event_id"], content[2]["event_id"]]
    assert [one["event"] for one in said["refused"]] == [1]
    assert "last three characters" in said["error"]
    for ticket in (case, last):
        assert pipe.told(ticket)[0]["state"] == "sent"
    assert not pipe.texts(WRONG)


def test_a_single_json_event_with_a_wrong_checksum_is_400_naming_the_item(pipe: Pipe) -> None:
    answer = _post(pipe, {"ticket_id": WRONG, "event_id": "single-wrong"})
    assert (answer.status_code, pipe.texts(WRONG)) == (400, [])
    assert answer.json()["error"].startswith("event 0: ticket_id: ")


def test_an_outbound_message_with_a_damaged_notification_is_acknowledged_and_both_cases_are_texted(
    pipe: Pipe, case: str
) -> None:
    last = pipe.box.salesforce.make_cases(1)[0]
    for ticket in (case, last):
        pipe.box.salesforce.edit(ticket, {"CCAIP_SMS_Status__c": "Requested"})
    org = f"<OrganizationId>{pipe.box.salesforce.organization_id}</OrganizationId>"
    two = [
        notification(7000 + at, record(f"<sf:Id>{ticket}</sf:Id><sf:S>{text}</sf:S>"))
        for at, (ticket, text) in enumerate(((case, "fine"), (last, "&nope;\x02")))
    ]
    address = f"{pipe.web}/webhooks/salesforce/outbound-messages/{pipe.token}"
    answer = httpx.post(
        address, content=message(*two, org=org), headers={"Content-Type": "text/xml"}, verify=TLS, trust_env=False
    )
    assert "<Ack>true</Ack>" in answer.text
    for ticket in (case, last):
        assert pipe.told(ticket)[0]["state"] == "sent"


def test_changed_by_that_cannot_be_read_is_nobody() -> None:
    [event] = parse(ONE.replace(USER, "&nope;"))
    assert (event.ticket_id, event.changed_by) == (CASE, None)
