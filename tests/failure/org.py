"""A Salesforce org, as far as a connector asks one: a token, queries of cases, describe, limits, and writes."""

import itertools
import json
import re
import secrets
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from tests.failure.faults import Reply

ORGANIZATION, USER = "00D000000000009EAA", "005000000000009AAA"
STATUS, CHAT, ERROR = "CCAIP_SMS_Status__c", "CCAIP_Chat_Id__c", "CCAIP_SMS_Error__c"
REQUESTED_AT, OPTED_OUT, PHONE = "CCAIP_SMS_Requested_At__c", "Contact.CCAIP_SMS_Opt_Out__c", "Contact.MobilePhone"

# Name, type, longest value, whether it can be written.
FIELDS = {
    "Case": [
        ("Id", "id", 18, False),
        ("CaseNumber", "string", 30, False),
        ("Status", "picklist", 40, True),
        ("SuppliedPhone", "string", 40, True),
        ("CreatedDate", "datetime", 0, False),
        (STATUS, "picklist", 40, True),
        (CHAT, "string", 40, True),
        ("CCAIP_Chat_Status__c", "string", 40, True),
        (ERROR, "string", 255, True),
        (REQUESTED_AT, "datetime", 0, True),
        ("Time_Zone__c", "string", 40, True),
        ("ContactId", "reference", 18, True),
    ],
    "Contact": [
        ("Id", "id", 18, False),
        ("Name", "string", 121, False),
        ("FirstName", "string", 40, True),
        ("MobilePhone", "phone", 40, True),
        ("Phone", "phone", 40, True),
        ("MailingCountryCode", "picklist", 10, True),
        ("MailingStateCode", "picklist", 10, True),
        ("CCAIP_SMS_Opt_Out__c", "boolean", 0, True),
        ("CCAIP_Phone_Invalid__c", "boolean", 0, True),
    ],
}

SELECT = re.compile(r"SELECT\s+(?P<fields>.+?)\s+FROM\s+Case\b(?P<rest>.*)", re.IGNORECASE | re.DOTALL)
IDS = re.compile(r"\bId\s+IN\s*\((?P<ids>[^)]*)\)", re.IGNORECASE)
EQUAL = re.compile(r"([\w.]+)\s*=\s*'([^']*)'")
LIMIT = re.compile(r"\bLIMIT\s+(\d+)", re.IGNORECASE)


def error(status: int, code: str, message: str = "no") -> Reply:
    """Salesforce's way to say no."""
    return Reply(status, [{"errorCode": code, "message": message}])


EXPIRED = error(401, "INVALID_SESSION_ID", "Session expired or invalid")


class Org:
    """The cases and who may see them. For any number of threads."""

    def __init__(self) -> None:
        self.client, self.secret = "witness-client", secrets.token_hex(20)
        self._lock = threading.RLock()
        self._cases: dict[str, dict[str, Any]] = {}
        self._numbers = itertools.count(1)
        self._tokens: set[str] = set()
        self._pages: dict[str, tuple[list[dict[str, Any]], int]] = {}
        self.calls = 0

    def make_cases(self, count: int, **fields: Any) -> list[str]:
        """So many cases that ask for a text, each with a customer and a number of its own. `fields` by their path."""
        with self._lock:
            return [self._make(next(self._numbers), fields) for _ in range(count)]

    def _make(self, number: int, fields: Mapping[str, Any]) -> str:
        identifier = f"500{number:012d}AAA"
        self._cases[identifier] = {
            "Id": identifier,
            "CaseNumber": f"{number:08d}",
            "Status": "New",
            "CreatedDate": "2026-11-01T00:00:00Z",
            STATUS: "Requested",
            REQUESTED_AT: "2026-11-01T12:00:00.000+0000",
            CHAT: None,
            "Contact.Name": f"Priya {number}",
            "Contact.FirstName": "Priya",
            OPTED_OUT: False,
            PHONE: f"+1415{2_000_000 + number}",
            "Contact.MailingCountryCode": "US",
            "Contact.MailingStateCode": "CA",
            **fields,
        }
        return identifier

    def case(self, identifier: str) -> dict[str, Any]:
        """What a case says now."""
        with self._lock:
            return dict(self._cases[identifier])

    def change(self, identifier: str, **fields: Any) -> None:
        """Somebody changes a case."""
        with self._lock:
            self._cases[identifier].update(fields)

    def expire(self) -> None:
        """No token that was given so far is good any more."""
        with self._lock:
            self._tokens.clear()

    def token(self, form: Mapping[str, str], address: str) -> Reply:
        """POST /services/oauth2/token."""
        if (form.get("client_id"), form.get("client_secret")) != (self.client, self.secret):
            return Reply(401, {"error": "invalid_client", "error_description": "invalid client credentials"})
        token = f"{ORGANIZATION}!{secrets.token_hex(16)}"
        with self._lock:
            self._tokens.add(token)
        identity = f"https://login.salesforce.com/id/{ORGANIZATION}/{USER}"
        return Reply(
            200,
            {"access_token": token, "token_type": "Bearer", "id": identity, "instance_url": address, "scope": "api"},
        )

    def knows(self, authorization: str) -> bool:
        """Whether this is a good token. Counts the call."""
        with self._lock:
            self.calls += 1
            return authorization.removeprefix("Bearer ") in self._tokens

    def query(self, soql: str, page: int, base: str) -> Reply:
        """GET …/query?q=SOQL: at most `page` records at once, if it is not 0."""
        found = SELECT.search(soql)
        if not found:
            return error(400, "MALFORMED_QUERY", f"not understood: {soql[:200]}")
        records = self._found(found["rest"])
        if found["fields"].upper() == "COUNT()":
            return Reply(200, {"totalSize": len(records), "done": True, "records": []})
        paths = [path.strip() for path in found["fields"].split(",")]
        return self._page([_record(record, paths) for record in records], 0, page, base)

    def page(self, locator: str, page: int, base: str) -> Reply:
        """GET …/query/LOCATOR: the next page."""
        with self._lock:
            kept = self._pages.get(locator)
        return self._page(*kept, page or len(kept[0]), base) if kept else error(404, "INVALID_QUERY_LOCATOR")

    def _page(self, records: list[dict[str, Any]], start: int, page: int, base: str) -> Reply:
        end = start + page if page else len(records)
        answer = {"totalSize": len(records), "done": end >= len(records), "records": records[start:end]}
        if not answer["done"]:
            locator = f"01g{secrets.token_hex(6)}-{end}"
            with self._lock:
                self._pages[locator] = records, end
            answer["nextRecordsUrl"] = f"{base}/query/{locator}"
        return Reply(200, answer)

    def _found(self, rest: str) -> list[dict[str, Any]]:
        listed = IDS.search(rest)
        with self._lock:
            if listed:
                wanted = {one.strip(" '")[:15] for one in listed["ids"].split(",")}
                cases = [dict(case) for identifier, case in self._cases.items() if identifier[:15] in wanted]
            else:
                cases = [dict(case) for case in self._cases.values()]
        for path, value in EQUAL.findall(IDS.sub("", rest)):
            cases = [case for case in cases if case.get(path) == value]
        limit = LIMIT.search(rest)
        return cases[: int(limit[1])] if limit else cases

    def write(
        self, records: Sequence[Mapping[str, Any]], refuse: tuple[str, str] | None, only: Sequence[str]
    ) -> tuple[Reply, tuple[str, ...]]:
        """PATCH …/composite/sobjects, and the cases that it has changed. `refuse` is said to `only` these cases."""
        answers, taken = [], []
        with self._lock:
            for record in records:
                identifier = str(record["id"])
                if refuse and (not only or identifier in only):
                    answers.append(_refused(*refuse))
                elif identifier not in self._cases:
                    answers.append(_refused("NOT_FOUND", "the record does not exist"))
                else:
                    fields = {name: value for name, value in record.items() if name not in ("id", "attributes")}
                    self._cases[identifier].update(fields)
                    answers.append({"id": identifier, "success": True, "errors": []})
                    taken.append(identifier)
        return Reply(200, answers), tuple(taken)

    def describe(self, kind: str) -> Reply:
        """GET …/sobjects/KIND/describe."""
        if kind not in FIELDS:
            return error(404, "NOT_FOUND", "The requested resource does not exist")
        fields = [
            {
                "name": name,
                "type": of,
                "length": length,
                "updateable": updateable,
                "relationshipName": "Contact" if name == "ContactId" else None,
                "referenceTo": ["Contact"] if name == "ContactId" else [],
            }
            for name, of, length, updateable in FIELDS[kind]
        ]
        return Reply(200, {"name": kind, "fields": fields})


def _record(case: Mapping[str, Any], paths: Sequence[str]) -> dict[str, Any]:
    """The case as a query shows it: what belongs to its contact is within the contact."""
    shown: dict[str, Any] = {"attributes": {"type": "Case", "url": f"/sobjects/Case/{case['Id']}"}}
    for path in paths:
        *within, name = path.split(".")
        place = shown
        for part in within:
            place = place.setdefault(part, {"attributes": {"type": part}})
        place[name] = case.get(path)
    copy: dict[str, Any] = json.loads(json.dumps(shown))
    return copy


def _refused(code: str, words: str) -> dict[str, Any]:
    return {"success": False, "errors": [{"statusCode": code, "message": words, "fields": []}]}
