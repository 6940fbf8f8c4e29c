"""Cases in the form that the sandbox's page shows."""

from typing import TYPE_CHECKING, Any

from connector.sandbox.crms.salesforce import schema, store

if TYPE_CHECKING:
    from connector.sandbox.crms.salesforce import Side

MAX_SHOWN = 50
EDITABLE = ("Subject", "Status", "Priority", "SuppliedPhone")
OUTCOMES = (
    "CCAIP_SMS_Status__c",
    "CCAIP_SMS_Requested_At__c",
    "CCAIP_Chat_Id__c",
    "CCAIP_Chat_Status__c",
    "CCAIP_SMS_Error__c",
)
FACTS = ("ContactMobile", "ContactPhone", "Origin", "LastModifiedDate")


def found(org: "Side", search: str = "", page: int = 1) -> tuple[list[dict[str, Any]], int]:
    """A page of the cases whose number, subject or contact contains these words, oldest first, and how many pages.

    Page 1 has the newest cases.
    """
    rows = org.store.rows(schema.OBJECTS["Case"])
    if words := search.casefold().split():
        rows = [record for record in rows if _has(_card(org, record), words)]
    end = max(len(rows) - (page - 1) * MAX_SHOWN, 0)
    cards = [_card(org, record) for record in rows[max(end - MAX_SHOWN, 0) : end]]
    return cards, max(-(-len(rows) // MAX_SHOWN), 1)


def _has(card: dict[str, Any], words: list[str]) -> bool:
    text = " ".join(str(card[name] or "") for name in ("number", "title", "person")).casefold()
    return all(word in text for word in words)


def one(org: "Side", case_id: str) -> dict[str, Any]:
    """A case with its editable fields, the outcome of its text, and further facts."""
    thing = schema.OBJECTS["Case"]
    record = org.store.get(thing, case_id)
    owner = org.store.parent(thing.fields["OwnerId"], record)
    editor = org.store.parent(thing.fields["LastModifiedById"], record)
    facts = [_shown(org, record, name) for name in FACTS]
    facts += [{"label": "Owner", "value": owner and owner[1]["Name"]}]
    facts += [{"label": "Last changed by", "value": editor and editor[1]["Name"]}]
    return _card(org, record) | {
        "phone": _value(org, record, "ContactMobile") or _value(org, record, "ContactPhone") or record["SuppliedPhone"],
        "editable": [_shown(org, record, name) | {"choices": thing.fields[name].picklist} for name in EDITABLE],
        "outcomes": [_shown(org, record, name) for name in OUTCOMES],
        "facts": facts,
    }


def _card(org: "Side", record: store.Record) -> dict[str, Any]:
    parent = org.store.parent(schema.OBJECTS["Case"].fields["ContactId"], record)
    return {
        "id": record["Id"],
        "number": record["CaseNumber"],
        "title": record["Subject"],
        "person": parent[1]["Name"] if parent else None,
        "outcome": record["CCAIP_SMS_Status__c"],
    }


def _shown(org: "Side", record: store.Record, name: str) -> dict[str, Any]:
    field = schema.OBJECTS["Case"].fields[name]
    return {"name": name, "label": field.label, "value": _value(org, record, name)}


def _value(org: "Side", record: store.Record, name: str) -> Any:
    return org.store.value(schema.OBJECTS["Case"], record, name)
