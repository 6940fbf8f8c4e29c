"""What Salesforce sends, in every form it was seen in, and what nobody should ever send."""

import json
import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg_pool import ConnectionPool

from connector.crms.salesforce import ids
from connector.errors import NotAuthentic, Unreadable
from connector.model import TicketEvent
from connector.store import events as event_store
from webhooks.crms.salesforce import events, outbound_message

ORG = "00D6x0000008abcEAA"
CASE = "5006x00000XXxxxAAD"
LONG = CASE  # what Salesforce makes of the first 15 characters
NO_ID = ids.NO_ID
USER = "0056x000001abcdAAA"
SF = 'xmlns:sf="urn:sobject.enterprise.soap.sforce.com"'
SCHEMA = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
FIELDS = f"<sf:Id>{CASE}</sf:Id><sf:LastModifiedById>{USER}</sf:LastModifiedById>"


def record(fields: str = FIELDS, kind: str = ' xsi:type="sf:Case"') -> str:
    return f"<sObject{kind} {SF}>{fields}</sObject>"


def notification(number: int = 0, content: str | None = None) -> str:
    return f"<Notification><Id>04l6x{number:010d}AAA</Id>{record() if content is None else content}</Notification>"


def message(*notifications: str, org: str = f"<OrganizationId>{ORG}</OrganizationId>") -> str:
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" {SCHEMA}>\n <soapenv:Body>\n'
        f'  <notifications xmlns="http://soap.sforce.com/2005/09/outbound">{org}<ActionId>04k6x0000000001AAA</ActionId>'
        '<SessionId xsi:nil="true"/><EnterpriseUrl>https://evil.example/</EnterpriseUrl>'
        f"{''.join(notifications)}</notifications>\n </soapenv:Body>\n</soapenv:Envelope>\n"
    )


def parse(body: str | bytes, org: str = ORG) -> list[TicketEvent]:
    return outbound_message.parse(body.encode() if isinstance(body, str) else body, org, "Case")


ONE = message(notification())
UTF16 = ONE.replace("UTF-8", "UTF-16").encode("utf-16")


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(ONE, id="as it is"),
        pytest.param("\ufeff" + ONE, id="byte order mark"),
        pytest.param("\r\n \n" + ONE, id="space before the declaration"),
        pytest.param("\ufeff\r\n" + ONE, id="byte order mark and space"),
        pytest.param(ONE.replace("\n", "\r\n"), id="CRLF"),
        pytest.param(ONE.partition("\n")[2], id="no declaration"),
        pytest.param(re.sub(r"\bsoapenv\b", "S", ONE), id="another prefix"),
        pytest.param(ONE.replace("sf:", "x:").replace(":sf", ":x"), id="another prefix of the fields"),
        pytest.param(re.sub(r"(</?)(\w+)(?=[ >])", r"\1o:\2", ONE).replace("xmlns=", "xmlns:o="), id="all prefixed"),
        pytest.param(ONE.replace(f'xsi:type="sf:Case" {SF}', f'{SF} xsi:type="sf:Case"'), id="other order"),
        pytest.param(ONE.replace('"', "'"), id="single quotes"),
        pytest.param(ONE.replace("<sf:Id>", "<!----><sf:Id><!---->").replace("</sf:Id>", "<?c?></sf:Id>"), id="notes"),
        pytest.param(ONE.replace(CASE, f"\n  {CASE}\n"), id="space around values"),
        pytest.param(ONE.replace(CASE, f"<![CDATA[{CASE}]]>"), id="CDATA"),
        pytest.param(ONE.replace(CASE, f"&#x35;{CASE[1:]}"), id="character references"),
        pytest.param(UTF16, id="UTF-16 with a byte order mark"),
        pytest.param(ONE.replace("UTF-8", "UTF-16LE").encode("utf-16-le"), id="UTF-16 without"),
        pytest.param(UTF16 + "\n".encode("utf-16-le"), id="UTF-16 with an empty line behind"),
        pytest.param(ONE.replace(ORG, ORG[:15]), id="15 characters of the org"),
        pytest.param(message(notification(), org=f"<x/><OrganizationId> {ORG}\n</OrganizationId>"), id="unknown parts"),
        pytest.param(ONE.replace("Notification>", "notification>"), id="small letters"),
        pytest.param(("\ufeff" + ONE.replace("UTF-8", "UTF-16")).encode("utf-16-be"), id="UTF-16, big end first"),
    ],
)
def test_a_message_is_read_in_whatever_form_it_is_written(body: str | bytes) -> None:
    [event] = parse(body)
    assert (event.crm, event.event_id, event.problem) == ("salesforce", "04l6x0000000000AAA", None)
    assert (event.ticket_id, event.changed_by) == (CASE, USER)
    assert event.body == {"Id": CASE, "LastModifiedById": USER}


@pytest.mark.parametrize("org", [ORG, ORG[:15]])
def test_the_org_in_the_settings_may_have_15_or_18_characters(org: str) -> None:
    assert len(parse(ONE, org)) == 1


@pytest.mark.parametrize("count", [0, 1, 2, 100])
def test_each_notification_becomes_an_event_in_its_order(count: int) -> None:
    found = parse(message(*(notification(number) for number in range(count))))
    assert [event.event_id for event in found] == [f"04l6x{number:010d}AAA" for number in range(count)]


@pytest.mark.parametrize("name", [f"agent:{CASE}:0", f"backfill:abc234:{CASE}:0", "json:1", "unreadable:1"])
def test_a_notification_gets_no_event_id_of_another_channel(name: str) -> None:
    """Otherwise an agent who texts about the case would be shown this event's text as theirs, and send none."""
    body = message(notification().replace("<Id>04l6x0000000000AAA<", f"<Id>{name}<"))
    [event] = parse(body)
    assert event.ticket_id == LONG
    assert event.event_id.startswith("unnamed:")
    assert parse(body) == [event], "a repetition is the same event"


def test_a_notification_of_another_namespace_is_kept() -> None:
    other = notification(2).replace("<Notification>", '<Notification xmlns="http://example.com/other">')
    first, second = parse(message(notification(1), other))
    assert first.ticket_id == LONG
    assert (second.ticket_id, bool(second.problem)) == (None, True)


def test_more_than_100_notifications_are_unreadable() -> None:
    with pytest.raises(Unreadable, match="more than 100"):
        parse(message(*(notification(number) for number in range(101))))


@pytest.mark.parametrize(
    ("content", "ticket", "body"),
    [
        pytest.param(record(f"<sf:Id>{CASE[:15]}</sf:Id>"), LONG, {"Id": CASE[:15]}, id="15 characters"),
        pytest.param(record(kind=""), CASE, {"Id": CASE, "LastModifiedById": USER}, id="no kind"),
        pytest.param(
            record(f'<sf:Id>{CASE}</sf:Id><sf:A xsi:nil="true"/><sf:B xsi:nil="1">x</sf:B><sf:C/><sf:D> </sf:D>'),
            CASE,
            {"Id": CASE},
            id="empty fields are left out",
        ),
        pytest.param(
            record(f"<sf:Id>{CASE}</sf:Id><sf:S>ü 😀 &lt;b&gt;</sf:S>"), CASE, {"Id": CASE, "S": "ü 😀 <b>"}, id="text"
        ),
    ],
)
def test_the_fields_that_have_a_value_are_kept(content: str, ticket: str, body: dict[str, str]) -> None:
    [event] = parse(message(notification(content=content)))
    assert (event.ticket_id, event.body, event.problem) == (ticket, body, None)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        pytest.param("", "the record was deleted", id="absent"),
        pytest.param(f"<sObject {SF}/>", "the record was deleted", id="empty"),
        pytest.param('<sObject xsi:nil="true"/>', "the record was deleted", id="nil"),
        pytest.param(record(kind=' xsi:type="sf:Account"'), "the record is a Account, not a Case", id="another kind"),
        pytest.param(record("<sf:A>a</sf:A>"), NO_ID, id="no id"),
        pytest.param(record("<sf:Id>../evil</sf:Id>"), NO_ID, id="bad id"),
        pytest.param(record(f"<sf:Id>{CASE[:16]}</sf:Id>"), NO_ID, id="16"),
    ],
)
def test_a_record_that_cannot_be_texted_about_is_an_event_without_a_ticket(content: str, problem: str) -> None:
    [event, other] = parse(message(notification(1, content), notification(2)))
    assert (event.ticket_id, event.problem) == (None, problem)
    assert other.ticket_id == CASE


@pytest.mark.parametrize(
    "org",
    [
        "",
        "<OrganizationId/>",
        "<OrganizationId>00D6x0000008xyzEAA</OrganizationId>",
        "<OrganizationId>00D6x0000008ABCEAA</OrganizationId>",
        "<OrganizationId>00D6x0000008ab</OrganizationId>",
        "<OrganizationId>Ω0D6x0000008abc</OrganizationId>",
        f'<OrganizationId xmlns="urn:other">{ORG}</OrganizationId>',
        f"<x><OrganizationId>{ORG}</OrganizationId></x>",
    ],
    ids=["missing", "empty", "another", "other case", "short", "foreign letter", "other namespace", "not its place"],
)
def test_a_message_of_another_org_is_not_authentic(org: str) -> None:
    with pytest.raises(NotAuthentic) as caught:
        parse(message(notification(), org=org))
    assert caught.value.status == 403


ENTITY = '<!DOCTYPE x [<!ENTITY e "%s">]>'
LAUGHS = (
    '<!DOCTYPE x [<!ENTITY a0 "ha">' + "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 12)) + "]>"
)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(ONE.replace("\n", "\n<!DOCTYPE x>", 1), id="DTD"),
        pytest.param(ONE.replace("\n", "\n<!DOCTYPE x SYSTEM 'file:///etc/hostname'>", 1), id="external DTD"),
        pytest.param(ONE.replace("\n", ENTITY % CASE, 1).replace(CASE + "<", "&e;<"), id="entity"),
        pytest.param(
            ONE.replace("\n", "<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/hostname'>]>", 1).replace(CASE, "&e;"),
            id="external entity",
        ),
        pytest.param(
            ONE.replace("\n", "<!DOCTYPE x [<!ENTITY % e SYSTEM 'http://127.0.0.1:9/'>%e;]>", 1), id="parameter entity"
        ),
        pytest.param(ONE.replace("\n", LAUGHS, 1).replace(CASE, "&a11;"), id="billion laughs"),
        pytest.param(ONE[: len(ONE) // 2], id="truncated"),
        pytest.param(ONE.removesuffix(">\n"), id="truncated at its end"),
        pytest.param(ONE + "<a/>", id="two roots"),
        pytest.param("", id="nothing"),
        pytest.param("{}", id="JSON"),
        pytest.param("<html>", id="HTML"),
        pytest.param("<a/>", id="other XML"),
        pytest.param(ONE.replace("2005/09", "2006/09"), id="other namespace"),
        pytest.param(ONE.replace("soap/envelope", "soap/other"), id="other envelope"),
        pytest.param(ONE.replace("UTF-8", "nothing-known"), id="unknown encoding"),
        pytest.param(ONE.replace(USER, "<a>" * 5000 + "</a>" * 5000), id="huge nesting"),
        pytest.param(b"\x00" * 10, id="zeros"),
        pytest.param(b"\xff\xfe", id="half a UTF-16 mark"),
    ],
)
def test_what_is_no_outbound_message_is_unreadable(body: str | bytes) -> None:
    with pytest.raises(Unreadable, match=r".+"):
        parse(body)


@given(
    st.one_of(
        st.binary(),
        st.text().map(str.encode),
        st.text().map(lambda text: ONE.replace(USER, text).encode()),
        st.tuples(st.integers(0, len(ONE)), st.integers(0, 40), st.binary(max_size=5)).map(
            lambda cut: ONE.encode()[: cut[0]] + cut[2] + ONE.encode()[cut[0] + cut[1] :]
        ),
    )
)
def test_no_bytes_fail_in_another_way(body: bytes) -> None:
    try:
        found = parse(body)
    except (Unreadable, NotAuthentic):
        return
    assert all(isinstance(event, TicketEvent) for event in found)


def test_the_acknowledgement_is_one_that_salesforce_takes() -> None:
    assert "<Ack>true</Ack></notificationsResponse></soapenv:Body></soapenv:Envelope>" in outbound_message.ACKNOWLEDGED


EVENT = {"ticket_id": CASE, "event_id": "e1", "changed_by": USER}


@pytest.mark.parametrize(
    ("content", "message_id", "found"),
    [
        pytest.param(EVENT, "", [("e1", CASE, USER)], id="one"),
        pytest.param(EVENT, "m", [("e1", CASE, USER)], id="its own id wins"),
        pytest.param([EVENT, {"ticket_id": CASE[:15]}], "m", [("e1", CASE, USER), ("m:1", LONG, None)], id="list"),
        pytest.param({"ticket_id": CASE}, "m", [("m", CASE, None)], id="named after the message"),
        pytest.param([{"ticket_id": CASE}], "m", [("m:0", CASE, None)], id="a list of one, named after the message"),
        pytest.param(
            {"Id": CASE, "LastModifiedById": USER, "attributes": {"type": "Case"}, "Subject": "é\n"},
            "m",
            [("m", CASE, USER)],
            id="as Apex serializes a case",
        ),
        pytest.param({"ticket_id": CASE, "event_id": None, "changed_by": None}, "m", [("m", CASE, None)], id="nulls"),
        pytest.param({"ticket_id": CASE, "event_id": "", "changed_by": " "}, "m", [("m", CASE, None)], id="empty"),
        pytest.param(
            {"ticket_id": "", "Id": CASE, "changed_by": None, "LastModifiedById": USER},
            "m",
            [("m", CASE, USER)],
            id="empty under one name, there under the other",
        ),
        pytest.param(EVENT | {"event_id": " "}, "m", [("m", CASE, USER)], id="a blank id"),
        pytest.param([EVENT | {"event_id": ""}] * 2, "m", [("m:0", CASE, USER), ("m:1", CASE, USER)], id="in a list"),
        pytest.param([], "", [], id="an empty list"),
    ],
)
def test_json_events_are_read(content: Any, message_id: str, found: list[tuple[str, str, str | None]]) -> None:
    parsed = [one for one in events.parse(json.dumps(content).encode(), message_id) if isinstance(one, TicketEvent)]
    assert [(event.event_id, event.ticket_id, event.changed_by) for event in parsed] == found
    assert [event.body for event in parsed] == (content if isinstance(content, list) else [content])


def with_value(value: str) -> bytes:
    return b'{"ticket_id": "%s", "event_id": "e", "x": %s}' % (CASE.encode(), value.encode())


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe\x00",
        b"\xc3\x28",
        b"null",
        b"1",
        b'"a"',
        b"[[]]",
        b"[null]",
        b"{}",
        b'{"ticket_id": 5}',
        b'{"ticket_id": "../x", "event_id": "e"}',
        b'{"ticket_id": null, "event_id": "e"}',
        json.dumps(EVENT | {"event_id": 1}).encode(),
        json.dumps(EVENT | {"event_id": ""}).encode(),
        json.dumps(EVENT | {"event_id": "a\nb"}).encode(),
        json.dumps(EVENT | {"event_id": "a" * 201}).encode(),
        json.dumps(EVENT | {"ticket_id": CASE + "\n"}).encode(),
        json.dumps(EVENT | {"changed_by": "x"}).encode(),
        json.dumps({"ticket_id": CASE}).encode(),
        json.dumps([EVENT] * 201).encode(),
        with_value('"\\u0000"'),
        with_value('{"a": ["\\u0000"]}'),
        with_value('{"\\u0000": 1}'),
        with_value('"\\ud83d"'),
        with_value('{"\\udc00": 1}'),
        with_value("NaN"),
        with_value("Infinity"),
        with_value("[-Infinity]"),
        with_value("1e999"),
        with_value("[" * 100_000 + "]" * 100_000),
        with_value("9" * 5000),
    ],
    ids=lambda body: repr(body[:70]),
)
def test_json_that_is_no_event_or_cannot_be_kept_is_unreadable(body: bytes) -> None:
    with pytest.raises(Unreadable, match=r".+"):
        events.parse(body, "")


@pytest.mark.parametrize("message_id", ["a\nb", "a" * 201, "\x7f", "\x00"], ids=repr)
def test_a_message_id_that_cannot_be_kept_is_unreadable(message_id: str) -> None:
    with pytest.raises(Unreadable, match="event 0"):
        events.parse(json.dumps({"ticket_id": CASE}).encode(), message_id)


def test_200_events_are_read() -> None:
    assert len(events.parse(json.dumps([EVENT] * 200).encode(), "")) == 200


KEYS = st.sampled_from(["ticket_id", "Id", "event_id", "changed_by"]) | st.text(st.characters(), max_size=5)
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.just(CASE),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(KEYS, children, max_size=4),
    max_leaves=12,
)
EVENTS = st.builds(lambda extra, own: extra | own, st.dictionaries(KEYS, ANY, max_size=4), st.just({"ticket_id": CASE}))


def keep(pool: ConnectionPool, body: bytes, message_id: str) -> None:
    """Parses, and keeps what was taken."""
    try:
        parsed = [one for one in events.parse(body, message_id) if isinstance(one, TicketEvent)]
    except Unreadable:
        return
    with pool.connection() as connection:
        assert [one.event_id for one in event_store.save(connection, parsed)] == [event.event_id for event in parsed]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(content=ANY | EVENTS | st.lists(EVENTS, max_size=3), message_id=st.text(max_size=5))
def test_whatever_json_is_taken_can_be_kept(pool: ConnectionPool, content: Any, message_id: str) -> None:
    keep(pool, json.dumps(content).encode(), message_id)


@pytest.mark.parametrize("depth", [30, 200, 400, 600, 900, 5000])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")], ids=["lists", "objects"])
def test_nested_json_that_is_taken_can_be_kept(pool: ConnectionPool, opening: str, closing: str, depth: int) -> None:
    keep(pool, with_value(opening * depth + "1" + closing * depth), "m")


@pytest.mark.parametrize("value", ["9" * 4000, "1e308", "-0.0", "1e-400", '"\\ud83d\\ude00"', '"\\\\u0000"'])
def test_unusual_json_that_is_taken_can_be_kept(pool: ConnectionPool, value: str) -> None:
    keep(pool, with_value(value), "m")
