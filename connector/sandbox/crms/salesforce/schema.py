"""The objects and fields of the emulated org, for describe calls and for checks of writes."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Field:
    """A field. `formula` is the path of the value it shows. `writable` False: read-only on create and update."""

    name: str
    type: str = "string"
    label: str = ""
    length: int = 0
    writable: bool = True
    picklist: tuple[str, ...] = ()
    restricted: bool = False
    relationship: str = ""
    refers_to: tuple[str, ...] = ()
    formula: str = ""
    external_id: bool = False
    auto_number: bool = False

    def describe(self) -> dict[str, Any]:
        """The field's entry in an sObject describe."""
        return {
            "name": self.name,
            "label": self.label or self.name,
            "type": self.type,
            "length": self.length,
            "createable": self.writable,
            "updateable": self.writable,
            "nillable": self.type not in ("id", "boolean"),
            "calculated": bool(self.formula),
            "autoNumber": self.auto_number,
            "custom": self.name.endswith("__c"),
            "externalId": self.external_id,
            "idLookup": self.external_id or self.type == "id",
            "unique": self.external_id,
            "restrictedPicklist": self.restricted,
            "picklistValues": [
                {"active": True, "defaultValue": False, "label": value, "validFor": None, "value": value}
                for value in self.picklist
            ],
            "relationshipName": self.relationship or None,
            "referenceTo": list(self.refers_to),
            "filterable": True,
            "sortable": True,
        }


@dataclass(frozen=True, slots=True)
class SObject:
    """A kind of record: its id prefix, and its fields by name."""

    name: str
    prefix: str
    label: str
    plural: str
    fields: dict[str, Field]
    relationships: dict[str, Field]

    def named(self, name: str) -> Field | None:
        """A field by its name, in any case."""
        return self.fields.get(name) or next((f for n, f in self.fields.items() if n.lower() == name.lower()), None)

    def related(self, name: str) -> Field | None:
        """The reference field of a relationship name, in any case."""
        return next((f for n, f in self.relationships.items() if n.lower() == name.lower()), None)


def _reference(name: str, *targets: str, relationship: str, label: str = "", writable: bool = True) -> Field:
    return Field(name, "reference", label or name, 18, writable, relationship=relationship, refers_to=targets)


SYSTEM_FIELDS = (
    Field("Id", "id", "Record ID", 18, writable=False),
    Field("IsDeleted", "boolean", "Deleted", writable=False),
    Field("CreatedDate", "datetime", "Created Date", writable=False),
    _reference("CreatedById", "User", relationship="CreatedBy", writable=False),
    Field("LastModifiedDate", "datetime", "Last Modified Date", writable=False),
    _reference("LastModifiedById", "User", relationship="LastModifiedBy", writable=False),
    Field("SystemModstamp", "datetime", "System Modstamp", writable=False),
)

CASE = (
    Field("CaseNumber", "string", "Case Number", 30, writable=False, auto_number=True),
    Field("Subject", "string", "Subject", 255),
    Field("Description", "textarea", "Description", 32000),
    Field("Status", "picklist", "Status", 255, picklist=("New", "Working", "Escalated", "Closed")),
    Field("Origin", "picklist", "Case Origin", 255, picklist=("Phone", "Email", "Web")),
    Field("Priority", "picklist", "Priority", 255, picklist=("High", "Medium", "Low")),
    _reference("ContactId", "Contact", relationship="Contact", label="Contact ID"),
    _reference("AccountId", "Account", relationship="Account", label="Account ID"),
    _reference("OwnerId", "Group", "User", relationship="Owner", label="Owner ID"),
    Field("SuppliedPhone", "phone", "Phone", 40),
    Field("ContactPhone", "phone", "Contact Phone", 40, writable=False, formula="Contact.Phone"),
    Field("ContactMobile", "phone", "Contact Mobile", 40, writable=False, formula="Contact.MobilePhone"),
    Field("ContactEmail", "email", "Contact Email", 80, writable=False, formula="Contact.Email"),
    Field("External_Id__c", "string", "External ID", 64, external_id=True),
    Field(
        "CCAIP_SMS_Status__c",
        "picklist",
        "SMS status",
        255,
        picklist=("Requested", "Waiting", "Sent", "Failed", "Skipped", "Unknown"),
        restricted=True,
    ),
    Field("CCAIP_SMS_Requested_At__c", "datetime", "SMS requested at"),
    Field("CCAIP_Chat_Id__c", "string", "Chat ID", 20),
    Field("CCAIP_Chat_Status__c", "string", "Chat status", 40),
    Field("CCAIP_SMS_Error__c", "string", "SMS error", 255),
)

CONTACT = (
    Field("FirstName", "string", "First Name", 40),
    Field("LastName", "string", "Last Name", 80),
    Field("Name", "string", "Full Name", 121, writable=False),
    Field("MobilePhone", "phone", "Mobile Phone", 40),
    Field("Phone", "phone", "Business Phone", 40),
    Field("Email", "email", "Email", 80),
    Field("MailingCountryCode", "picklist", "Mailing Country Code", 10),
    Field("MailingStateCode", "picklist", "Mailing State/Province Code", 10),
    Field("HasOptedOutOfEmail", "boolean", "Email Opt Out"),
    Field("CCAIP_SMS_Opt_Out__c", "boolean", "SMS opt-out"),
    Field("CCAIP_Phone_Invalid__c", "boolean", "Phone invalid"),
    _reference("AccountId", "Account", relationship="Account", label="Account ID"),
)

USER = (
    Field("Username", "string", "Username", 80),
    Field("Name", "string", "Full Name", 121, writable=False),
    Field("FirstName", "string", "First Name", 40),
    Field("LastName", "string", "Last Name", 80),
    Field("Email", "email", "Email", 128),
    Field("IsActive", "boolean", "Active"),
)

GROUP = (
    Field("Name", "string", "Name", 40),
    Field("Type", "picklist", "Type", 40),
    Field("Email", "email", "Email", 255),
)

ACCOUNT = (Field("Name", "string", "Account Name", 255), Field("Phone", "phone", "Account Phone", 40))


def _object(name: str, prefix: str, plural: str, fields: tuple[Field, ...]) -> SObject:
    everything = {field.name: field for field in SYSTEM_FIELDS + fields}
    relationships = {field.relationship: field for field in everything.values() if field.relationship}
    return SObject(name, prefix, name, plural, everything, relationships)


OBJECTS = {
    thing.name: thing
    for thing in (
        _object("Account", "001", "Accounts", ACCOUNT),
        _object("Case", "500", "Cases", CASE),
        _object("Contact", "003", "Contacts", CONTACT),
        _object("Group", "00G", "Groups", GROUP),
        _object("User", "005", "Users", USER),
    )
}


def named(name: str) -> SObject | None:
    """An object by its name, in any case."""
    return OBJECTS.get(name) or next((thing for n, thing in OBJECTS.items() if n.lower() == name.lower()), None)
