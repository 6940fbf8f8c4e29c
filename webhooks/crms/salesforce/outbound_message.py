"""Salesforce outbound messages: SOAP 1.1, 1 to 100 notifications, one acknowledgement for all of them.

https://developer.salesforce.com/docs/atlas.en-us.api.meta/api/sforce_api_om_outboundmessaging.htm
Delivery is at least once, unordered and unsigned, and field values may be stale. Treat a message as a hint to read the
case.
"""

import hashlib
import hmac
import re
from dataclasses import replace

from lxml import etree

from connector.crms.salesforce import ids
from connector.errors import NotAuthentic, Unreadable
from connector.model import TicketEvent
from webhooks.crms.salesforce import damaged

SOAP = "{http://schemas.xmlsoap.org/soap/envelope/}"
OUTBOUND = "{http://soap.sforce.com/2005/09/outbound}"
XSI = "{http://www.w3.org/2001/XMLSchema-instance}"
ACKNOWLEDGED = (
    '<?xml version="1.0" encoding="UTF-8"?>'
    '<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"><soapenv:Body>'
    '<notificationsResponse xmlns="http://soap.sforce.com/2005/09/outbound"><Ack>true</Ack></notificationsResponse>'
    "</soapenv:Body></soapenv:Envelope>"
)
MAX_NOTIFICATIONS = 100
MAX_EVENT_ID = 200
NOT_IN_AN_ID = re.compile(f"[:{damaged.REPLACED}]")


def parse(body: bytes, organization_id: str, kind: str) -> list[TicketEvent]:
    """The events of a message about records of this kind ("Case").

    A record that was deleted or is of another kind becomes an event without a ticket. So does an unreadable
    notification, with its bytes. Raises NotAuthentic for a message of another org; Unreadable for a body that is no
    outbound message, or without any readable notification.
    """
    try:
        return _events(_notifications(body), body, organization_id, kind)
    except _NotXml:
        text = damaged.replaced(body)
    try:
        return _events(_notifications(text.encode()), body, organization_id, kind)
    except _NotXml as error:
        events = _one_by_one(damaged.parts(text), organization_id, kind)
        if not any(event.ticket_id for event in events):
            raise Unreadable(str(error)) from None
        return events


class _NotXml(Unreadable):
    """Not well-formed XML."""


def _one_by_one(parts: list[damaged.Part], organization_id: str, kind: str) -> list[TicketEvent]:
    if len(parts) > MAX_NOTIFICATIONS:
        raise Unreadable(f"more than {MAX_NOTIFICATIONS} notifications")
    events = list[TicketEvent]()
    for part in parts:
        try:
            events += _events(_notifications(part.document), part.raw, organization_id, kind)
        except Unreadable as error:
            events.append(_unread(part.raw, str(error)))
    return events


def _unread(raw: bytes, problem: str) -> TicketEvent:
    return TicketEvent("salesforce", f"unreadable:{hashlib.sha256(raw).hexdigest()}", None, problem=problem, raw=raw)


def _events(notifications: etree._Element, body: bytes, organization_id: str, kind: str) -> list[TicketEvent]:
    """The events of the notifications. Raises NotAuthentic, or Unreadable when there are too many.

    An id derived from `body` names a notification without an id of its own.
    """
    # In any namespace and letters: what is acknowledged is kept, even where it is not understood.
    found = [part for part in notifications if etree.QName(part).localname.lower() == "notification"]
    sender = (notifications.findtext(f"{OUTBOUND}OrganizationId") or "").strip()
    # The first 15 characters are the id. The other three are a checksum for systems that fold case.
    if (sender or found) and not hmac.compare_digest(sender[:15].encode(), organization_id[:15].encode()):
        raise NotAuthentic("another organization has sent this", status=403)
    if len(found) > MAX_NOTIFICATIONS:
        raise Unreadable(f"more than {MAX_NOTIFICATIONS} notifications")
    events, taken = list[TicketEvent](), dict[str, str | None]()
    for place, notification in enumerate(found):
        event = _event(notification, kind)
        if not event.event_id or taken.get(event.event_id, event.ticket_id) != event.ticket_id:
            # A repetition has the same bytes, so it gets the same id.
            event = replace(event, event_id=f"unnamed:{hashlib.sha256(body).hexdigest()}:{place}")
        taken[event.event_id] = event.ticket_id
        events.append(event)
    return events


def _notifications(body: bytes) -> etree._Element:
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(body.removeprefix(b"\xef\xbb\xbf").lstrip(), parser)
    except etree.XMLSyntaxError as error:
        raise _NotXml(f"not XML: {error.msg}") from None
    if root.getroottree().docinfo.doctype:
        raise Unreadable("a document type definition is not allowed")
    notifications = root.find(f"{SOAP}Body/{OUTBOUND}notifications")
    if root.tag != f"{SOAP}Envelope" or notifications is None:
        raise Unreadable("not an outbound message: no SOAP envelope with notifications")
    return notifications


def _event(notification: etree._Element, kind: str) -> TicketEvent:
    """An event. Its event_id is empty when the notification has none that can be stored as its own.

    A colon is in no id of Salesforce's: it is in those of other channels, and in those that are made here.
    """
    parts = {part.tag: part for part in reversed(notification)}  # keep the first of each tag
    event_id = _text(parts.get(f"{OUTBOUND}Id"))
    record = parts.get(f"{OUTBOUND}sObject")
    fields = {} if record is None else _fields(record)
    ticket_id, changed_by = fields.get("Id", ""), fields.get("LastModifiedById", "")
    problem = _problem(record, ticket_id, kind)
    return TicketEvent(
        crm="salesforce",
        event_id="" if len(event_id) > MAX_EVENT_ID or NOT_IN_AN_ID.search(event_id) else event_id,
        ticket_id=None if problem else ids.long(ticket_id),
        changed_by=changed_by if ids.ID.fullmatch(changed_by) else None,
        body=fields,
        problem=problem,
    )


def _problem(record: etree._Element | None, ticket_id: str, kind: str) -> str | None:
    if record is None or not len(record):
        return "the record was deleted"
    if _kind(record).lower() not in ("", kind.lower()):
        return f"the record is a {_kind(record)}, not a {kind}"
    if record.findall("{*}Id")[1:]:
        return "the record has two ids"
    return ids.problem(ticket_id, kind)


def _fields(record: etree._Element) -> dict[str, str]:
    """The fields that have a value, by name without namespace."""
    return {
        str(field.tag).rpartition("}")[2]: text
        for field in record
        if (text := _text(field)) and field.get(f"{XSI}nil") not in ("true", "1")
    }


def _text(element: etree._Element | None) -> str:
    return "" if element is None else (element.text or "").strip()


def _kind(record: etree._Element | None) -> str:
    """The record's kind, from xsi:type="sf:Case"; empty when it is missing."""
    return "" if record is None else record.get(f"{XSI}type", "").rpartition(":")[2]
