"""The XML of an outbound message: SOAP 1.1, one definition, the case fields that the package selects."""

from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

from connector.sandbox import clock
from connector.sandbox.crms.salesforce import schema
from connector.sandbox.crms.salesforce.outbound_message import Notification

if TYPE_CHECKING:
    from connector.sandbox.crms.salesforce import Side

ACTION_ID = "04k000000000001AAA"
API_VERSION = "67.0"
FIELDS = (
    "CCAIP_SMS_Status__c",
    "CaseNumber",
    "ContactId",
    "ContactMobile",
    "ContactPhone",
    "LastModifiedById",
    "Status",
    "SystemModstamp",
)

ENVELOPE = """\
<?xml version="1.0" encoding="UTF-8"?>
<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" \
xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
 <soapenv:Body>
  <notifications xmlns="http://soap.sforce.com/2005/09/outbound">
   <OrganizationId>{organization}</OrganizationId>
   <ActionId>{action}</ActionId>
   <SessionId xsi:nil="true"/>
   <EnterpriseUrl>{url}/services/Soap/c/{version}/{short_organization}</EnterpriseUrl>
   <PartnerUrl>{url}/services/Soap/u/{version}/{short_organization}</PartnerUrl>
{notifications}
  </notifications>
 </soapenv:Body>
</soapenv:Envelope>
"""

NOTIFICATION = """\
   <Notification>
    <Id>{id}</Id>
    <sObject xsi:type="sf:Case" xmlns:sf="urn:sobject.enterprise.soap.sforce.com">
{fields}
    </sObject>
   </Notification>"""


def write(org: "Side", notifications: list[Notification]) -> bytes:
    """The message for these notifications, with the cases' present values."""
    with org.store.lock:
        written = [NOTIFICATION.format(id=each.id, fields=_fields(org, each.case_id)) for each in notifications]
    text = ENVELOPE.format(
        organization=org.organization_id,
        short_organization=org.organization_id[:15],
        action=ACTION_ID,
        url=org.url,
        version=API_VERSION,
        notifications="\n".join(written),
    )
    return text.encode()


def _fields(org: "Side", case_id: str) -> str:
    """The fields as XML: Id first, the others by name. Null fields are left out."""
    case = schema.OBJECTS["Case"]
    record = org.store.tables["Case"][case_id]
    hidden = () if org.switches["contact_mobile_selectable"] else ("ContactMobile",)
    values = {"Id": case_id} | {name: org.store.value(case, record, name) for name in FIELDS if name not in hidden}
    return "\n".join(
        f"     <sf:{name}>{_text(value)}</sf:{name}>" for name, value in values.items() if value is not None
    )


def _text(value: Any) -> str:
    return escape(value if isinstance(value, str) else clock.timestamp(value) or "")
