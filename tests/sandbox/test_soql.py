"""The sandbox's SOQL: what is found, in which order and form, and what is refused with which code."""

from datetime import UTC, datetime
from typing import Any

import pytest

from connector import sandbox
from connector.sandbox.crms.salesforce import Side, errors, selection, soql

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


class HeldClock(sandbox.Clock):
    def __init__(self, moment: datetime) -> None:
        self.moment = moment

    def now(self) -> datetime:
        return self.moment


@pytest.fixture(scope="module")
def org() -> Side:
    """Six starting cases, created on the 20th; the second was changed on the 23rd."""
    clock = HeldClock(datetime(2026, 11, 20, 9, 0, tzinfo=UTC))
    box = sandbox.Sandbox(port=0, clock=clock)
    clock.moment = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
    side: Side = box.salesforce
    side.edit(side.records("Case")[1]["Id"], {"Subject": 'It\'s 100% \\ "new"', "Status": "Working"})
    return side


def find(org: Side, text: str) -> list[dict[str, Any]]:
    found = selection.Selection(org.store, soql.parse(text, NOW))
    return [found.render(row, "67.0") for row in found.run()]


def numbers(org: Side, condition: str) -> list[int]:
    return [int(row["CaseNumber"]) - 1025 for row in find(org, " ".join(["SELECT CaseNumber FROM Case", condition]))]


CONDITIONS = {
    "": [1, 2, 3, 4, 5, 6],
    "WHERE Subject LIKE '%order%'": [1, 5],
    "WHERE Subject LIKE 'invoice _hows%'": [3],
    "WHERE NOT Subject LIKE '%order%'": [2, 3, 4, 6],
    "WHERE (NOT Subject LIKE '%order%') AND Origin = 'web'": [6],
    "WHERE Subject = 'It\\'s 100% \\\\ \\\"new\\\"'": [2],
    "WHERE Status = 'New' AND Priority = 'High'": [1],
    "WHERE Status != 'New'": [2],
    "WHERE Status <> 'New'": [2],
    "WHERE Origin IN ('Phone', 'Email')": [2, 3, 4],
    "WHERE Origin NOT IN ('Phone', 'Email')": [1, 5, 6],
    "WHERE ContactId = null": [6],
    "WHERE ContactId != NULL AND Contact.MobilePhone = null": [2, 3],
    "WHERE Contact.MobilePhone != null": [1, 4, 5],
    "WHERE ContactMobile LIKE '+1%'": [1, 4],
    "WHERE contact.account.name = 'halden outdoor' AND Case.Priority = 'High'": [1],
    "WHERE Owner.Name = 'Maya Lindgren' LIMIT 2": [1, 2],
    "WHERE IsDeleted = false LIMIT 1": [1],
    "WHERE IsDeleted = true": [],
    "WHERE CreatedDate = 2026-11-20": [1, 2, 3, 4, 5, 6],
    "WHERE LastModifiedDate > 2026-11-20T09:00:00Z": [2],
    "WHERE LastModifiedDate >= 2026-11-23T10:00:00+01:00": [2],
    "WHERE LastModifiedDate < 2026-11-23T00:00:00.000Z AND CaseNumber > '00001029'": [5, 6],
    "WHERE LastModifiedDate = YESTERDAY": [2],
    "WHERE LastModifiedDate = TODAY": [],
    "WHERE LastModifiedDate = LAST_N_DAYS:2": [2],
    "WHERE LastModifiedDate = LAST_N_DAYS:7": [1, 2, 3, 4, 5, 6],
    "WHERE LastModifiedDate < YESTERDAY": [1, 3, 4, 5, 6],
    "WHERE CCAIP_SMS_Requested_At__c < TODAY": [],
    "WHERE Id = '500000000000003'": [3],
    "WHERE Id IN ('500000000000003AAA', '500000000000001')": [3, 1],
    "WHERE Id IN ('500000000000003AAA') AND Status = 'Closed'": [],
    "WHERE Id IN ('500000000000003AAA') OR Status = 'Working'": [2, 3],
    "WHERE (Status = 'Working' OR Priority = 'High') AND Origin = 'Web'": [1],
    "ORDER BY CaseNumber DESC LIMIT 2 OFFSET 1": [5, 4],
    "ORDER BY Contact.LastName": [6, 5, 3, 1, 2, 4],
    "ORDER BY Contact.LastName ASC NULLS LAST": [5, 3, 1, 2, 4, 6],
    "ORDER BY Origin, CaseNumber DESC": [3, 4, 2, 6, 5, 1],
}


@pytest.mark.parametrize("condition", CONDITIONS)
def test_conditions(org: Side, condition: str) -> None:
    assert numbers(org, condition) == CONDITIONS[condition]


REFUSED = {
    "": "MALFORMED_QUERY",
    "SELECT": "MALFORMED_QUERY",
    "SELECT FROM Case": "MALFORMED_QUERY",
    "SELECT Id Case": "MALFORMED_QUERY",
    "SELECT Id, FROM Case": "MALFORMED_QUERY",
    "SELECT Id FROM Case WHERE": "MALFORMED_QUERY",
    "SELECT Id FROM Case WHERE Status": "MALFORMED_QUERY",
    "SELECT Id FROM Case WHERE Status = ": "MALFORMED_QUERY",
    "SELECT Id FROM Case WHERE Status = 'New": "MALFORMED_QUERY",
    "SELECT Id FROM Case WHERE Status = New": "MALFORMED_QUERY",
    "SELECT Id FROM Case WHERE (Status = 'New'": "MALFORMED_QUERY",
    "SELECT Id FROM Case WHERE Status IN ()": "MALFORMED_QUERY",
    "SELECT Id FROM Case WHERE Status NOT 'New'": "MALFORMED_QUERY",
    "SELECT Id FROM Case WHERE Status = 'a' AND Status = 'b' OR Status = 'c'": "MALFORMED_QUERY",
    "SELECT Id FROM Case LIMIT x": "MALFORMED_QUERY",
    "SELECT Id FROM Case LIMIT 1 LIMIT 2": "MALFORMED_QUERY",
    "SELECT Id FROM Case; DROP TABLE Case": "MALFORMED_QUERY",
    "SELECT Id FROM Case FOR": "MALFORMED_QUERY",
    "SELECT Id FROM Case WHERE CreatedDate = LAST_N_DAYS": "MALFORMED_QUERY",
    "SELECT Id FROM Case WHERE Subject LIKE 5": "INVALID_FIELD",
    "SELECT Nothing FROM Case": "INVALID_FIELD",
    "SELECT Nobody.Name FROM Case": "INVALID_FIELD",
    "SELECT Contact.Nothing FROM Case": "INVALID_FIELD",
    "SELECT Id FROM Case WHERE Nothing = 1": "INVALID_FIELD",
    "SELECT Id FROM Case ORDER BY Nothing": "INVALID_FIELD",
    "SELECT Id FROM Case WHERE CreatedDate > '2026-11-20T00:00:00Z'": "INVALID_FIELD",
    "SELECT Id FROM Case WHERE Subject = 5": "INVALID_FIELD",
    "SELECT Id FROM Case WHERE IsDeleted = 'false'": "INVALID_FIELD",
    "SELECT Id FROM Case WHERE Id = 'no id'": "INVALID_QUERY_FILTER_OPERATOR",
    "SELECT Id FROM Nothing": "INVALID_TYPE",
}


@pytest.mark.parametrize("text", REFUSED)
def test_refusals(org: Side, text: str) -> None:
    with pytest.raises(errors.ApiError) as refused:
        find(org, text)
    assert (refused.value.status, refused.value.code) == (400, REFUSED[text])


def test_parents_are_nested_with_their_attributes(org: Side) -> None:
    text = "select id, Contact.Name, Contact.Account.Name, Owner.Email, ContactPhone from case where ContactId = null"
    url = "/services/data/v67.0/sobjects"
    owner = {"attributes": {"type": "User", "url": f"{url}/User/{org.human_user_id}"}}
    assert find(org, text) == [
        {
            "attributes": {"type": "Case", "url": f"{url}/Case/500000000000006AAA"},
            "Id": "500000000000006AAA",
            "Contact": None,
            "Owner": owner | {"Email": "maya.lindgren@sandbox.example"},
            "ContactPhone": None,
        }
    ]
    first = find(org, text.replace("ContactId = null", "Priority = 'High'"))[0]
    assert first["Contact"]["Name"] == "Priya Nair"
    assert first["Contact"]["Account"]["Name"] == "Halden Outdoor"
    assert first["Contact"]["Account"]["attributes"]["type"] == "Account"


def test_moments_are_written_as_salesforce_writes_them(org: Side) -> None:
    assert find(org, "SELECT CreatedDate FROM Case LIMIT 1")[0]["CreatedDate"] == "2026-11-20T09:00:00.000+0000"


def test_counting(org: Side) -> None:
    assert soql.parse("SELECT COUNT() FROM Case", NOW).paths == ()
    assert len(find(org, "SELECT count() FROM Case WHERE Status = 'New'")) == 5
