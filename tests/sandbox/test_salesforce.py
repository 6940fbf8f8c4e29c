"""The sandbox's Salesforce side, as a real simple-salesforce and plain httpx meet it over real HTTP."""

import csv
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import jwt
import phonenumbers
import pytest
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from requests.adapters import HTTPAdapter
from simple_salesforce.api import Salesforce
from simple_salesforce.exceptions import SalesforceMalformedRequest, SalesforceResourceNotFound
from simple_salesforce.format import format_soql

from connector import sandbox
from connector.sandbox.crms.salesforce import ids
from tests.support.tls import TLS

# simple-salesforce finds its objects and their answers at run time: its own types are unions of all there are.
Client = Any
DATA = "/services/data/v67.0"
TOKEN = "/services/oauth2/token"
CREDENTIALS = {"client_id": "sandbox-client", "client_secret": "sandbox-secret"}
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"


class Plain(HTTPAdapter):
    """simple-salesforce only speaks https: to the sandbox it goes in the clear."""

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        request.url = str(request.url).replace("https://", "http://", 1)
        return super().send(request, *args, **options)


@pytest.fixture
def box() -> Iterator[sandbox.Sandbox]:
    with sandbox.Sandbox(port=0).running() as running:
        yield running


@pytest.fixture
def http(box: sandbox.Sandbox) -> Iterator[httpx.Client]:
    with httpx.Client(verify=TLS, base_url=box.url) as client:
        answer = client.post(TOKEN, data={"grant_type": "client_credentials", **CREDENTIALS})
        client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        yield client


@pytest.fixture
def sf(box: sandbox.Sandbox) -> Iterator[Client]:
    with requests.Session() as session:
        session.mount(box.url.replace("http:", "https:"), Plain())
        session.headers["Sforce-Auto-Assign"] = "FALSE"
        token = session.post(
            box.url + TOKEN,
            data={"grant_type": "client_credentials"},
            auth=(CREDENTIALS["client_id"], CREDENTIALS["client_secret"]),
        ).json()
        yield Salesforce(
            instance_url=token["instance_url"], session_id=token["access_token"], session=session, version="67.0"
        )


@pytest.fixture
def case_id(box: sandbox.Sandbox) -> str:
    return str(box.salesforce.records("Case")[0]["Id"])


def refusal(answer: httpx.Response) -> tuple[int, str]:
    [error] = answer.json()
    assert error.keys() <= {"message", "errorCode", "fields"}
    return answer.status_code, error["errorCode"]


# Credentials


def test_the_token_says_everything(box: sandbox.Sandbox) -> None:
    answer = httpx.post(box.url + TOKEN, data={"grant_type": "client_credentials", **CREDENTIALS})
    token = answer.json()
    assert token.keys() == {"access_token", "signature", "scope", "instance_url", "id", "token_type", "issued_at"}
    assert token["instance_url"] == box.url
    assert token["id"] == f"{box.url}/id/00D000000000001EAA/{box.salesforce.own_user_id}"
    bearer = {"Authorization": f"Bearer {token['access_token']}"}
    assert httpx.get(token["id"], headers=bearer).json()["username"] == "connector@sandbox.example"
    assert httpx.get(f"{box.url}/services/oauth2/userinfo", headers=bearer).json()["organization_id"][:3] == "00D"


WRONG_GRANTS = {
    "unknown grant": ({"grant_type": "password", **CREDENTIALS}, "unsupported_grant_type"),
    "no grant": ({}, "unsupported_grant_type"),
    "wrong client": (CREDENTIALS | {"grant_type": "client_credentials", "client_id": "x"}, "invalid_client_id"),
    "wrong secret": (CREDENTIALS | {"grant_type": "client_credentials", "client_secret": "x"}, "invalid_client"),
    "no assertion": ({"grant_type": JWT_BEARER}, "invalid_grant"),
}


@pytest.mark.parametrize(("form", "error"), WRONG_GRANTS.values(), ids=WRONG_GRANTS)
def test_wrong_credentials(box: sandbox.Sandbox, form: dict[str, str], error: str) -> None:
    answer = httpx.post(box.url + TOKEN, data=form)
    assert (answer.status_code, answer.json()["error"]) == (400, error)


def test_a_signed_assertion_is_a_credential() -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem, info = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    public = key.public_key().public_bytes(pem, info).decode()
    good = {
        "iss": "sandbox-client",
        "sub": "maya.lindgren@sandbox.example",
        "aud": "https://login.salesforce.com",
        "exp": datetime.now(UTC) + timedelta(minutes=3),
    }
    variants = {
        "good": (good, key, 200),
        "another's key": (good, other, 400),
        "expired": (good | {"exp": datetime.now(UTC) - timedelta(minutes=3)}, key, 400),
        "another audience": (good | {"aud": "https://example.com"}, key, 400),
        "another client": (good | {"iss": "x"}, key, 400),
        "unknown user": (good | {"sub": "x"}, key, 400),
        "no user": ({name: value for name, value in good.items() if name != "sub"}, key, 400),
    }
    with sandbox.Sandbox(port=0, public_key=public).running() as box:
        for name, (claims, signer, status) in variants.items():
            form = {"grant_type": JWT_BEARER, "assertion": jwt.encode(claims, signer, "RS256")}
            answer = httpx.post(box.url + TOKEN, data=form)
            assert answer.status_code == status, name
            assert status == 200 or answer.json()["error"] == "invalid_grant"


def test_tokens_end(box: sandbox.Sandbox, http: httpx.Client) -> None:
    assert http.get(f"{DATA}/limits").status_code == 200
    assert http.post("/_sandbox/salesforce/tokens/expire").json() == {"expired": 1}
    answer = http.get(f"{DATA}/limits")
    assert answer.status_code == 401
    assert answer.json() == [{"message": "Session expired or invalid", "errorCode": "INVALID_SESSION_ID"}]
    box.salesforce.settings.token_uses = 2
    token = http.post(TOKEN, data={"grant_type": "client_credentials", **CREDENTIALS}).json()["access_token"]
    headers = {"Authorization": f"OAuth {token}"}
    assert [http.get(f"{DATA}/limits", headers=headers).status_code for _ in range(3)] == [200, 200, 401]


def test_without_a_token(box: sandbox.Sandbox) -> None:
    assert refusal(httpx.get(f"{box.url}{DATA}/sobjects")) == (401, "INVALID_SESSION_ID")
    assert httpx.get(f"{box.url}/services/data").json()[-1]["version"] == "68.0"


# Single records


def test_a_record_from_beginning_to_end(sf: Client, box: sandbox.Sandbox) -> None:
    made = sf.Case.create({"Subject": "New", "External_Id__c": "a/b"})
    assert made == {"id": made["id"], "success": True, "errors": []}
    assert len(made["id"]) == 18
    assert sf.Case.update(made["id"][:15], {"CCAIP_SMS_Status__c": "Sent", "CCAIP_Chat_Id__c": "114"}) == 204
    case = sf.Case.get(made["id"])
    assert (case["CCAIP_SMS_Status__c"], case["CCAIP_Chat_Id__c"], case["Subject"]) == ("Sent", "114", "New")
    assert case["LastModifiedById"] == box.salesforce.own_user_id
    assert sf.Case.get_by_custom_id("External_Id__c", "a/b")["Id"] == made["id"]
    assert sf.Case.upsert("External_Id__c/a%2Fb", {"Subject": "Known"}) == 200
    assert sf.Case.upsert("External_Id__c/other", {"Subject": "Unknown"}) == 201
    assert sf.Case.delete(made["id"]) == 204
    with pytest.raises(SalesforceResourceNotFound) as gone:
        sf.Case.get(made["id"])
    content: Any = gone.value.content  # it is typed as a number
    assert content[0]["errorCode"] == "ENTITY_IS_DELETED"


def test_chosen_fields(http: httpx.Client, case_id: str) -> None:
    answer = http.get(f"{DATA}/sobjects/Case/{case_id}/", params={"fields": "CaseNumber,contactmobile"})
    assert answer.json() == {
        "attributes": {"type": "Case", "url": f"{DATA}/sobjects/Case/{case_id}"},
        "CaseNumber": "00001026",
        "ContactMobile": "+1 (415) 555-0132",
    }


WRITES = {
    "unknown field": ({"Nothing": "x"}, (400, "INVALID_FIELD")),
    "read-only field": ({"CaseNumber": "1"}, (400, "INVALID_FIELD_FOR_INSERT_UPDATE")),
    "formula": ({"ContactMobile": "1"}, (400, "INVALID_FIELD_FOR_INSERT_UPDATE")),
    "too long": ({"CCAIP_Chat_Id__c": "x" * 21}, (400, "STRING_TOO_LONG")),
    "long error": ({"CCAIP_SMS_Error__c": "x" * 256}, (400, "STRING_TOO_LONG")),
    "not in the picklist": ({"CCAIP_SMS_Status__c": "Maybe"}, (400, "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST")),
    "no moment": ({"CCAIP_SMS_Requested_At__c": "soon"}, (400, "JSON_PARSER_ERROR")),
    "a number": ({"CCAIP_Chat_Id__c": 114}, (400, "JSON_PARSER_ERROR")),
    "no id": ({"ContactId": "x"}, (400, "MALFORMED_ID")),
    "nobody's id": ({"ContactId": "003000000000999"}, (400, "INVALID_CROSS_REFERENCE_KEY")),
}


@pytest.mark.parametrize(("values", "expected"), WRITES.values(), ids=WRITES)
def test_refused_writes_change_nothing(
    http: httpx.Client, box: sandbox.Sandbox, case_id: str, values: dict[str, Any], expected: tuple[int, str]
) -> None:
    before = box.salesforce.case(case_id)
    assert refusal(http.patch(f"{DATA}/sobjects/Case/{case_id}", json={"Status": "Closed"} | values)) == expected
    assert box.salesforce.case(case_id) == before


def test_values_that_fit(http: httpx.Client, box: sandbox.Sandbox, case_id: str) -> None:
    values = {
        "CCAIP_SMS_Status__c": None,
        "CCAIP_SMS_Error__c": "",
        "CCAIP_SMS_Requested_At__c": "2026-11-23T15:02:11.000+0000",
        "Status": "An unrestricted value",
        "ContactId": "003000000000002",
    }
    assert http.patch(f"{DATA}/sobjects/Case/{case_id}", json=values).status_code == 204
    case = box.salesforce.case(case_id)
    assert case["CCAIP_SMS_Requested_At__c"] == "2026-11-23T15:02:11.000+0000"
    assert (case["CCAIP_SMS_Error__c"], case["ContactId"]) == (None, "003000000000002AAA")
    assert case["ContactPhone"] == "(415) 555-0100"


MISSING = {
    "record": f"{DATA}/sobjects/Case/500000000000999AAA",
    "record of another kind": f"{DATA}/sobjects/Case/003000000000001AAA",
    "no id": f"{DATA}/sobjects/Case/x",
    "object": f"{DATA}/sobjects/Nothing/describe",
    "route": f"{DATA}/nothing",
    "external id": f"{DATA}/sobjects/Case/Subject/x",
}


@pytest.mark.parametrize("path", MISSING.values(), ids=MISSING)
def test_what_is_not_there(http: httpx.Client, path: str) -> None:
    assert refusal(http.get(path)) == (404, "NOT_FOUND")


def test_bodies_that_are_no_json(http: httpx.Client, case_id: str) -> None:
    assert refusal(http.patch(f"{DATA}/sobjects/Case/{case_id}", content=b"{")) == (400, "JSON_PARSER_ERROR")


def test_a_body_in_chunks(http: httpx.Client, box: sandbox.Sandbox, case_id: str) -> None:
    answer = http.patch(f"{DATA}/sobjects/Case/{case_id}", content=iter([b'{"Subject": ', b'"In chunks"}']))
    assert answer.status_code == 204
    assert http.get(f"{DATA}/sobjects/Case/{case_id}").json()["Subject"] == "In chunks"


def test_the_assignment_rule_runs_unless_told_not_to(http: httpx.Client, box: sandbox.Sandbox, case_id: str) -> None:
    path = f"{DATA}/sobjects/Case/{case_id}"
    http.patch(path, json={"Subject": "x"}, headers={"Sforce-Auto-Assign": "FALSE", "Sforce-Call-Options": "client=me"})
    assert box.salesforce.case(case_id)["OwnerId"] == box.salesforce.human_user_id
    http.patch(path, json={"Subject": "x"})
    assert box.salesforce.case(case_id)["OwnerId"] == box.salesforce.queue_id
    updates = [call for call in box.salesforce.calls if call.route == "update"]
    assert updates[0].headers["sforce-call-options"] == "client=me"
    assert [call.headers.get("sforce-auto-assign") for call in updates] == ["FALSE", None]


# What there is


def test_describe(sf: Client) -> None:
    described = sf.Case.describe()
    fields = {field["name"]: field for field in described["fields"]}
    status = fields["CCAIP_SMS_Status__c"]
    values = [value["value"] for value in status["picklistValues"]]
    assert values == ["Requested", "Waiting", "Sent", "Failed", "Skipped", "Unknown"]
    assert (status["type"], status["updateable"], status["nillable"]) == ("picklist", True, True)
    assert (fields["CCAIP_Chat_Id__c"]["length"], fields["CCAIP_Chat_Status__c"]["length"]) == (20, 40)
    assert (fields["ContactId"]["relationshipName"], fields["ContactId"]["referenceTo"]) == ("Contact", ["Contact"])
    assert not fields["ContactPhone"]["updateable"]
    assert {thing["name"] for thing in sf.describe()["sobjects"]} == {"Account", "Case", "Contact", "Group", "User"}
    assert sf.Case.metadata()["objectDescribe"]["keyPrefix"] == "500"


def test_every_answer_tells_the_usage(http: httpx.Client, box: sandbox.Sandbox) -> None:
    for path in (f"{DATA}/limits/", f"{DATA}/nothing"):
        usage = box.salesforce.api_usage
        assert http.get(path).headers["Sforce-Limit-Info"] == f"api-usage={usage + 1}/15000"
    assert http.get(f"{DATA}/limits").json()["DailyApiRequests"] == {"Max": 15000, "Remaining": 14997}
    box.salesforce.settings.daily_api_calls = 3
    assert refusal(http.get(f"{DATA}/limits")) == (403, "REQUEST_LIMIT_EXCEEDED")


# Queries


def test_queries_by_pages(sf: Client, box: sandbox.Sandbox) -> None:
    box.salesforce.settings.query_page_size = 4
    box.salesforce.make_cases(4)
    first = sf.query("SELECT CaseNumber FROM Case ORDER BY CaseNumber")
    assert (first["totalSize"], first["done"], len(first["records"])) == (10, False, 4)
    found = list(sf.query_all_iter("SELECT CaseNumber FROM Case ORDER BY CaseNumber"))
    assert [int(record["CaseNumber"]) for record in found] == list(range(1026, 1036))
    assert sf.query("SELECT COUNT() FROM Case") == {"totalSize": 10, "done": True, "records": []}
    with pytest.raises(SalesforceMalformedRequest) as refused:
        sf.query("SELECT Id FROM")
    content: Any = refused.value.content  # it is typed as a number
    assert content[0]["errorCode"] == "MALFORMED_QUERY"


def test_the_callers_page_size(http: httpx.Client, box: sandbox.Sandbox) -> None:
    box.salesforce.make_cases(300)
    query, size = {"q": "SELECT Id FROM Case"}, {"Sforce-Query-Options": "batchSize=200"}
    assert len(http.get(f"{DATA}/query/", params=query, headers=size).json()["records"]) == 200
    assert refusal(http.get(f"{DATA}/query/01gxx-200")) == (400, "INVALID_QUERY_LOCATOR")


def test_bulk_queries(sf: Client, http: httpx.Client, box: sandbox.Sandbox) -> None:
    box.salesforce.make_cases(7)
    pages = list(sf.bulk2.Case.query("SELECT Id, Contact.MobilePhone, Subject FROM Case", max_records=5, wait=0))
    rows = [row for page in pages for row in csv.DictReader(page.splitlines())]
    assert [len(list(csv.DictReader(page.splitlines()))) for page in pages] == [5, 5, 3]
    assert rows[0]["Contact.MobilePhone"] == "+1 (415) 555-0132"
    assert {row["Id"] for row in rows} == {case["Id"] for case in box.salesforce.records("Case")}


# Many records in one call


def collection(*records: dict[str, Any], **options: Any) -> dict[str, Any]:
    return {"records": [{"attributes": {"type": "Case"}, **record} for record in records], **options}


def test_many_updates_in_one_call(sf: Client, box: sandbox.Sandbox) -> None:
    first, second, third = (case["Id"] for case in box.salesforce.records("Case")[:3])
    usage = box.salesforce.api_usage
    results = sf.restful(
        "composite/sobjects",
        method="PATCH",
        json=collection(
            {"id": first, "CCAIP_SMS_Status__c": "Sent"},
            {"id": "500000000000999AAA", "Subject": "x"},
            {"id": second[:15], "CCAIP_Chat_Id__c": "x" * 21},
            {"id": first[:15], "Subject": "again"},
            {"Subject": "without an id"},
            {"id": third, "Subject": "third"},
            allOrNone=False,
        ),
    )
    codes = [each["errors"][0]["statusCode"] if each["errors"] else each["id"] for each in results]
    assert codes == [first, "NOT_FOUND", "STRING_TOO_LONG", "DUPLICATE_VALUE", "MISSING_ARGUMENT", third]
    assert results[2]["errors"][0].keys() == {"statusCode", "message", "fields"}
    assert box.salesforce.api_usage == usage + 1
    assert (box.salesforce.calls[-1].route, box.salesforce.calls[-1].records) == ("update_many", 6)
    assert box.salesforce.case(first)["CCAIP_SMS_Status__c"] == "Sent"


def test_all_or_none(http: httpx.Client, box: sandbox.Sandbox, case_id: str) -> None:
    body = collection({"id": case_id, "Subject": "x"}, {"id": "500000000000999AAA"}, allOrNone=True)
    results = http.patch(f"{DATA}/composite/sobjects/", json=body).json()
    codes = [each["errors"][0]["statusCode"] for each in results]
    assert codes == ["ALL_OR_NONE_OPERATION_ROLLED_BACK", "NOT_FOUND"]
    assert box.salesforce.case(case_id)["Subject"] == "Order 3381 has not arrived"


def test_two_hundred_at_most(http: httpx.Client, case_id: str) -> None:
    body = collection(*[{"id": case_id}] * 201)
    assert refusal(http.patch(f"{DATA}/composite/sobjects", json=body)) == (400, "EXCEEDED_ID_LIMIT")


def test_creating_reading_and_deleting_many(http: httpx.Client) -> None:
    made = http.post(f"{DATA}/composite/sobjects", json=collection({"Subject": "a"}, {"Nothing": "b"})).json()
    assert [each["success"] for each in made] == [True, False]
    query = {"ids": f"{made[0]['id']},500000000000999AAA", "fields": "Id,Subject"}
    one, none = http.get(f"{DATA}/composite/sobjects/Case", params=query).json()
    assert (one["Subject"], none) == ("a", None)
    gone = http.delete(f"{DATA}/composite/sobjects", params={"ids": f"{made[0]['id']},x"}).json()
    assert [each["success"] for each in gone] == [True, False]


def test_composite_requests_build_on_each_other(http: httpx.Client, box: sandbox.Sandbox) -> None:
    usage = box.salesforce.api_usage
    requests_ = [
        {"method": "POST", "url": f"{DATA}/sobjects/Case", "referenceId": "made", "body": {"Subject": "a"}},
        {"method": "GET", "url": f"{DATA}/sobjects/Case/@{{made.id}}?fields=Subject", "referenceId": "read"},
        {"method": "GET", "url": f"{DATA}/sobjects/Case/x", "referenceId": "missing"},
    ]
    answer = http.post(f"{DATA}/composite", json={"compositeRequest": requests_}).json()["compositeResponse"]
    assert [(part["referenceId"], part["httpStatusCode"]) for part in answer] == [
        ("made", 201),
        ("read", 200),
        ("missing", 404),
    ]
    assert answer[1]["body"]["Subject"] == "a"
    assert box.salesforce.api_usage == usage + 1
    assert next(call.status for call in box.salesforce.calls if call.route == "composite") == 200


# Many records


def test_fifty_thousand_cases_and_finding_some_of_them(box: sandbox.Sandbox, http: httpx.Client) -> None:
    start = time.monotonic()
    made = box.salesforce.make_cases(50_000)
    assert time.monotonic() - start < 10
    numbers = {contact["MobilePhone"] for contact in box.salesforce.records("Contact")} - {None}
    assert len(numbers) >= 50_000
    sample = [phonenumbers.parse(number) for number in sorted(numbers)[::500]]
    assert all(map(phonenumbers.is_valid_number, sample))
    wanted = format_soql("SELECT Id FROM Case WHERE Id IN {}", made[::250])
    start = time.monotonic()
    found = http.get(f"{DATA}/query", params={"q": wanted}).json()
    assert found["totalSize"] == 200
    assert time.monotonic() - start < 0.5


def test_ids() -> None:
    assert ids.long("00D000000000001") == "00D000000000001EAA"
    assert ids.long("5007000000OFL5F") == "5007000000OFL5FAAX"
    assert ids.long("5007000000OFL5FAAX") == "5007000000OFL5FAAX"
    assert ids.long("5007000000OFL5FAAA") is None
    assert ids.long("../../x") is None
    series = ids.series("500")
    assert [next(series) for _ in range(62)][-1][:15] == "500000000000010"
