"""The API over real HTTP, with a worker behind it: who may, what is answered, and that one wish is one text."""

import json
import secrets
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import jwt
import psycopg
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from connector import settings
from connector.cli import demo
from connector.errors import BadSettings, NotAuthentic, RefusalCode
from connector.store import api_keys, postgres
from connector.store.api_keys import Right
from tests.support.pipe import Pipe, without_job
from webhooks.api import plain_words
from webhooks.api.auth import Callers, Verify
from webhooks.app import create_app
from webhooks.crms.salesforce import tokens

NOWHERE = "500999999999999AAA"
NO_SUCH_FINDINGS = (
    "overrides: expected ids of a preview's findings, of the form hours, placeholder, window:17 or reason:17:sent"
)


def problem(answer: httpx.Response, status: int) -> str:
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/json"
    body = answer.json()
    assert set(body) == {"type", "title", "status", "detail"}
    assert body["status"] == status
    return str(body["detail"])


def overridable(preview: dict[str, Any]) -> list[str]:
    """The findings that a reason may be given for."""
    return [one["id"] for one in preview["findings"] if one["overridable"]]


def test_a_preview_shows_what_would_leave_and_keeps_nothing(pipe: Pipe, case: str) -> None:
    before = len(pipe.box.ccaip.texts)
    seen = pipe.api("POST", "/texts/preview", json={"ticket_id": case}).json()
    assert seen["allowed"]
    assert seen["number"] == pipe.box.salesforce.case(case)["CaseNumber"]
    assert seen["message"].startswith("Hi Customer, there is news on your case")
    assert (seen["segments"], seen["encoding"], seen["after"]) == (1, "GSM-7", 0)
    assert [one["check"] for one in seen["findings"]] == ["opt_out", "reason", "window", "hours", "content"]
    number = pipe.box.salesforce.case(case)["ContactMobile"]
    assert seen["to"].endswith(number[-2:])
    assert number[2:] not in str(seen)
    assert pipe.texts(case) == []
    assert len(pipe.box.ccaip.texts) == before


def test_what_is_sent_is_what_was_asked_for_and_the_case_learns_its_chat(pipe: Pipe, case: str) -> None:
    answer = pipe.send(case, message="Your part is here.", agent_name="Ana")
    assert answer.status_code == 200
    text = answer.json()
    assert (text["state"], text["final"], text["agent"]) == ("sent", True, "Ana")
    assert text["said"] == f"Sent. Chat {text['chat_id']} is {text['chat_status']}."
    assert [one.message for one in pipe.box.ccaip.texts if one.ticket_id == case] == ["Your part is here."]
    pipe.told(case)
    assert pipe.box.salesforce.case(case)["CCAIP_Chat_Id__c"] == str(text["chat_id"])
    assert pipe.api("GET", f"/texts/{text['id']}").json()["ticket_notified"]
    [listed] = pipe.api("GET", f"/tickets/salesforce/{case[:15]}/texts").json()["texts"]
    assert listed["id"] == text["id"]


def test_an_agent_learns_in_plain_words_what_the_platform_refuses(pipe: Pipe, case: str) -> None:
    busy = "Outbound SMS failed. Consumer is already in an active SMS session."
    pipe.box.faults.add("status", side="ccaip", status=400, body={"message": busy})
    text = pipe.send(case).json()
    assert (text["state"], text["why"]) == ("failed", busy)
    assert text["said"] == (
        "Not sent: the customer is already in a text conversation; answer there, or try again when it has ended."
    )


def test_every_documented_refusal_has_plain_words() -> None:
    assert plain_words.OF_CODE.keys() == set(RefusalCode)


def test_an_agent_sees_the_last_four_digits(pipe: Pipe, case: str) -> None:
    seen = pipe.api("POST", "/texts/preview", json={"ticket_id": case}).json()
    sent = pipe.send(case).json()
    [number] = [text.number for text in pipe.box.ccaip.texts if text.ticket_id == case]
    assert seen["to"] == sent["to"] == "•" * 8 + number[-4:]


def test_an_agent_learns_why_not(pipe: Pipe, case: str) -> None:
    pipe.box.salesforce.edit(case, {"Status": "Closed"})
    text = pipe.send(case).json()
    assert (text["state"], text["said"]) == ("skipped", "Not sent: the case is closed.")


def test_the_same_key_is_the_same_text_and_another_body_is_refused(pipe: Pipe, case: str) -> None:
    first, again = pipe.send(case, "one"), pipe.send(case, "one")
    assert first.json()["id"] == again.json()["id"]
    assert again.json()["duplicate"]
    assert "new key" in problem(pipe.send(case, "one", message="Other words"), 422)
    assert len(pipe.texts(case)) == 1


def test_without_a_key_nothing_is_sent(pipe: Pipe, case: str) -> None:
    assert "Idempotency-Key" in problem(pipe.api("POST", "/texts", json={"ticket_id": case}), 400)
    assert pipe.texts(case) == []


@pytest.mark.parametrize("empty", [None, "", "  "], ids=["null", "empty", "blank"])
def test_an_optional_value_that_is_empty_counts_as_absent(pipe: Pipe, case: str, empty: str | None) -> None:
    """Flow and External Services send null, or an empty text, for what they do not have."""
    optional = {"crm", "rule", "template", "message", "override"}
    preview = {"ticket_id": case} | dict.fromkeys(optional, empty)
    assert pipe.api("POST", "/texts/preview", json=preview).json()["message"].startswith("Hi Customer, there is news")
    agent = dict.fromkeys({"agent_name", "agent_email", "agent_id"}, empty)
    link = {"ticket_id": case, "crm": empty} | agent
    assert pipe.api("POST", "/links", json=link).status_code == 201
    everything = dict.fromkeys(optional | {"after"}, empty) | agent
    assert pipe.send(case, **everything).json()["state"] == "sent"
    assert [one.message[:19] for one in pipe.box.ccaip.texts if one.ticket_id == case] == ["Hi Customer, there "]
    assert pipe.api("GET", f"/tickets/salesforce/{case}/texts").json()["texts"][0].get("agent", "") == ""


@pytest.mark.parametrize("empty", [None, "", " "], ids=["null", "empty", "blank"])
def test_a_required_value_that_is_empty_is_missing(pipe: Pipe, empty: str | None) -> None:
    assert "ticket_id" in problem(pipe.api("POST", "/texts/preview", json={"ticket_id": empty}), 422)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"ticket_id": 5}, "ticket_id: expected text"),
        ({}, "ticket_id: required, but missing"),
        ([], "the body: expected keys with their values"),
        ({"ticket_id": "a\nb"}, "ticket_id: expected text in one line, without control characters"),
        ({"ticket_id": "x", "override": True}, "override: expected text"),
        ({"ticket_id": "x", "overrides": "hours"}, "overrides: expected a list"),
        ({"ticket_id": "x", "override": "y", "overrides": ["hours", "nonsense"]}, NO_SUCH_FINDINGS),
        ({"ticket_id": "x", "override": "y", "overrides": ["window"]}, NO_SUCH_FINDINGS),
        (
            {"ticket_id": "x", "override": "y"},
            "overrides: expected the ids of the findings that the reason is for, from the preview",
        ),
        ({"ticket_id": "x", "nope": 1}, "nope: this key is not known"),
        ({"ticket_id": "x", "message": "x" * 5001}, "message: expected at most 5000 characters"),
    ],
)
def test_what_is_wrong_with_a_body_is_said_in_our_own_words(pipe: Pipe, body: Any, said: str) -> None:
    assert problem(pipe.api("POST", "/texts/preview", json=body), 422) == said


def test_a_case_number_for_a_ticket_id_is_named(pipe: Pipe) -> None:
    detail = problem(pipe.api("POST", "/texts/preview", json={"ticket_id": "00001027"}), 404)
    assert "this looks like the number that people know the record by" in detail


@pytest.mark.parametrize("same_key", [True, False], ids=["double click", "two agents"])
def test_who_asks_at_the_same_moment_gets_the_same_text(pipe: Pipe, case: str, same_key: bool) -> None:
    key, after = secrets.token_hex(8), pipe.api("POST", "/texts/preview", json={"ticket_id": case}).json()["after"]
    with ThreadPoolExecutor(8) as threads:
        asked = [threads.submit(pipe.send, case, key if same_key else "", after=after) for _ in range(8)]
    answers = [one.result() for one in asked]
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert sum(not answer.json().get("duplicate", False) for answer in answers) == 1
    assert sum(one.ticket_id == case for one in pipe.box.ccaip.texts) == 1


def test_once_more_needs_a_reason_and_is_another_text(pipe: Pipe, case: str) -> None:
    first = pipe.send(case).json()
    seen = pipe.api("POST", "/texts/preview", json={"ticket_id": case}).json()
    assert (seen["allowed"], seen["overridable"], seen["after"]) == (False, True, first["id"])
    assert pipe.send(case).json()["state"] == "skipped"
    pipe.box.ccaip.end_chat(first["chat_id"])
    override: dict[str, Any] = {"override": "the customer did not get it", "overrides": overridable(seen)}
    assert pipe.api("POST", "/texts/preview", json={"ticket_id": case} | override).json()["allowed"]
    assert pipe.send(case, **override).json()["state"] == "sent"
    assert sum(one.ticket_id == case for one in pipe.box.ccaip.texts) == 2


@pytest.mark.parametrize("words", ["Hi {!Contact.FirstName}", "Hi {{ first_name }}", "Hi [[name]]", "Hi <<name>>"])
def test_a_placeholder_that_nothing_fills_in_needs_a_reason(pipe: Pipe, case: str, words: str) -> None:
    seen = pipe.api("POST", "/texts/preview", json={"ticket_id": case, "message": words}).json()
    assert (seen["allowed"], seen["overridable"]) == (False, True)
    [found] = [one for one in seen["findings"] if one["check"] == "placeholder"]
    assert "which nothing fills in" in found["why"]
    assert pipe.send(case, message=words).json()["state"] == "skipped"
    text = pipe.send(case, message=words, override="these are the words", overrides=overridable(seen)).json()
    assert (text["state"], text["message"]) == ("sent", words)


def test_a_reason_counts_only_for_the_findings_it_names(pipe: Pipe, case: str) -> None:
    """What the policy finds after the reason was given stops the text, although a reason is there."""
    first = pipe.send(case).json()
    before = pipe.api("POST", "/texts/preview", json={"ticket_id": case}).json()
    assert overridable(before) == [f"reason:{first['id']}:sent"]
    pipe.box.ccaip.end_chat(first["chat_id"])
    override: dict[str, Any] = {"override": "the customer did not get it"}
    second = pipe.send(case, **override, overrides=overridable(before)).json()
    pipe.box.ccaip.end_chat(second["chat_id"])

    stopped = pipe.send(case, **override, overrides=["window:1", "hours", "reason:1:sent"]).json()

    assert stopped["state"] == "skipped"
    assert sum(one.ticket_id == case for one in pipe.box.ccaip.texts) == 2


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("/texts", {"ticket_id": "x", "after": True}, "after: expected a whole number"),
        ("/texts", {"ticket_id": "x", "after": "0"}, "after: expected a whole number"),
        ("/texts", {"ticket_id": "x", "after": 0.5}, "after: expected a whole number"),
        ("/texts", {"ticket_id": "x", "agent_id": True}, "agent_id: expected a whole number"),
        ("/texts", {"ticket_id": "x", "agent_id": float(2**53)}, "agent_id: expected a whole number"),
        ("/links", {"ticket_id": "x", "agent_id": "7"}, "agent_id: expected a whole number"),
        ("/suppressions", {"number": "+14155550132", "suppressed": 0}, "suppressed: expected true or false"),
        ("/suppressions", {"number": "+14155550132", "suppressed": "false"}, "suppressed: expected true or false"),
        ("/suppressions", {"number": 14155550132}, "number: expected text"),
    ],
)
def test_no_value_of_a_body_is_converted(pipe: Pipe, path: str, body: Any, said: str) -> None:
    headers = {"Idempotency-Key": secrets.token_hex(8)}
    assert said in problem(pipe.api("POST", path, json=body, headers=headers), 422)


def test_a_whole_number_may_have_a_point(pipe: Pipe, case: str) -> None:
    """For JSON Schema, 0.0 is an integer."""
    assert pipe.send(case, after=0.0, agent_id=7.0).json()["state"] == "sent"


@pytest.mark.parametrize("path", ["/texts", "/texts/preview", "/links", "/suppressions"])
def test_a_key_twice_is_a_problem(pipe: Pipe, case: str, path: str) -> None:
    body = f'{{"ticket_id": "{NOWHERE}", "number": "+14155550132", "ticket_id": "{case}"}}'
    headers = {"Idempotency-Key": secrets.token_hex(8), "Content-Type": "application/json"}
    assert "a key occurs twice" in problem(pipe.api("POST", path, content=body, headers=headers), 422)
    assert pipe.texts(case) == []


def test_a_reason_that_names_no_findings_is_a_problem_that_says_so(pipe: Pipe, case: str) -> None:
    assert "overrides: expected the ids of the findings" in problem(pipe.send(case, override="urgent"), 422)
    assert pipe.texts(case) == []


def test_who_does_not_wait_is_told_where_to_look(pipe: Pipe, case: str) -> None:
    answer = pipe.send(case, wait=0)
    assert answer.status_code in (200, 202)
    found = pipe.api("GET", answer.headers["Location"].removeprefix("/v1") + "?wait=20").json()
    assert (found["state"], found["final"]) == ("sent", True)


def test_what_has_left_cannot_be_cancelled(pipe: Pipe, case: str) -> None:
    text = pipe.send(case).json()
    assert "too late" in problem(pipe.api("DELETE", f"/texts/{text['id']}"), 409)


def test_what_waits_for_its_customer_can_be_cancelled_once_and_the_case_is_told(pipe: Pipe, case: str) -> None:
    without_job(pipe.url, case)
    [text] = pipe.texts(case)
    for _ in range(2):
        answer = pipe.api("DELETE", f"/texts/{text['id']}").json()
        assert answer["state"] == "cancelled"
    pipe.told(case)
    assert pipe.box.salesforce.case(case)["CCAIP_SMS_Status__c"] == "Skipped"


@pytest.mark.parametrize(
    ("method", "path", "right"),
    [
        ("POST", "/texts/preview", Right.PREVIEW),
        ("POST", "/texts", Right.SEND),
        ("GET", "/texts/1", Right.READ),
        ("POST", "/suppressions", Right.SUPPRESS),
        ("DELETE", "/texts/1", Right.SEND),
        ("GET", f"/tickets/salesforce/{NOWHERE}/texts", Right.READ),
    ],
)
def test_a_key_does_what_it_is_for_and_nothing_else(pipe: Pipe, method: str, path: str, right: Right) -> None:
    body: dict[str, Any] = {"json": {"ticket_id": NOWHERE}} if method == "POST" else {}
    headers = {"Idempotency-Key": secrets.token_hex(8)}
    others = pipe.api_key(*(one for one in Right if one is not right))
    assert right in problem(pipe.api(method, path, others, headers=headers, **body), 403)
    assert pipe.api(method, path, pipe.api_key(right), headers=headers, **body).status_code not in (401, 403)
    for wrong in ("", "Bearer", "Bearer ccaisms_wrong", "Basic abc", f"Bearer {pipe.key}", "Bearer a.b.c"):
        answer = pipe.api(method, path, headers={"Authorization": wrong}, **body)
        problem(answer, 401)
        assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_a_revoked_key_is_worth_nothing(pipe: Pipe) -> None:
    with psycopg.connect(pipe.url, autocommit=True) as connection:
        key = api_keys.add(connection, "gone", [Right.READ], 10)
        assert key
        assert api_keys.add(connection, "gone", [Right.READ], 10) is None
        kept = connection.execute("select hash from api_keys where name = 'gone'").fetchone()
        assert kept
        assert key not in kept[0]
        assert api_keys.revoke(connection, "gone")
        assert not api_keys.revoke(connection, "gone")
    problem(pipe.api("GET", "/texts/1", key), 401)


def test_a_key_is_counted_by_the_minute(pipe: Pipe) -> None:
    key = pipe.api_key(Right.READ, per_minute=3)
    answers = [pipe.api("GET", "/texts/999999", key) for _ in range(8)]
    statuses = [answer.status_code for answer in answers]
    assert set(statuses) == {404, 429}
    assert statuses.count(404) <= 6, "three a minute, and the minute may have turned"
    refused = next(one for one in answers if one.status_code == 429)
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert "3 requests a minute are allowed; try again in" in problem(refused, 429)


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"", "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b"[]", "application/json", 422),
        (b'"x"', "application/json", 422),
        (b"null", "application/json", 422),
        (b"{}", "application/json", 422),
        (b'{"ticket_id": 5}', "application/json", 422),
        (b'{"ticket_id": "500000000000001AAA", "more": 1}', "application/json", 422),
        (b'{"ticket_id": "500\\u0000"}', "application/json", 422),
        (b"ticket_id=1", "text/plain", 415),
        (b'{"ticket_id": "nonsense"}', "application/json", 404),
        (b'{"ticket_id": "../../x"}', "application/json", 404),
        (b'{"ticket_id": "500999999999999AAA", "crm": "nocrm"}', "application/json", 404),
        (b'{"ticket_id": "500999999999999AAA"}', "application/json", 404),
        (b"x" * 2_000_000, "application/json", 413),
    ],
)
def test_bad_input_gets_a_clear_problem(pipe: Pipe, content: bytes, kind: str, status: int) -> None:
    problem(pipe.api("POST", "/texts/preview", content=content, headers={"Content-Type": kind}), status)


@pytest.mark.parametrize("named", ["rule", "template"])
def test_a_rule_or_template_that_is_not_there_is_a_problem_that_names_those_that_are(
    pipe: Pipe, case: str, named: str
) -> None:
    key, unknown, known = secrets.token_hex(8), {named: "nothing"}, {named: "requested"}
    expected = f"{named}: there is no such {named}; expected one of: requested"
    assert problem(pipe.api("POST", "/texts/preview", json={"ticket_id": case, **unknown}), 422) == expected
    assert problem(pipe.send(case, key, 20, **unknown), 422) == expected
    assert pipe.texts(case) == []
    assert pipe.api("POST", "/texts/preview", json={"ticket_id": case, **known}).json()["allowed"]
    assert pipe.send(case, key, 20, **known).json()["state"] == "sent", "the key is still new"


@pytest.mark.parametrize("message", ["Hi \x00 there", "Hi \ud800 there", "\u202e reversed", "x" * 5000])
def test_odd_words_do_no_harm(pipe: Pipe, case: str, message: str) -> None:
    body = json.dumps({"ticket_id": case, "message": message})
    headers = {"Idempotency-Key": secrets.token_hex(8), "Content-Type": "application/json"}
    text = pipe.api("POST", "/texts?wait=20", content=body, headers=headers)
    if "\ud800" in message:
        problem(text, 422)
    else:
        assert text.json()["state"] in ("sent", "skipped")


@pytest.mark.parametrize(
    ("path", "method"), [("/nothing", "GET"), ("/texts/x", "GET"), ("/texts/1", "PUT"), ("/texts", "GET")]
)
def test_what_is_not_there_is_a_problem_too(pipe: Pipe, path: str, method: str) -> None:
    answer = pipe.api(method, path)
    problem(answer, 405 if method == "PUT" or path == "/texts" else 404)


def test_a_suppressed_number_is_texted_by_nobody_until_it_is_taken_off(pipe: Pipe, case: str) -> None:
    number = pipe.box.salesforce.case(case)["ContactMobile"]
    for changed in (True, False):
        answer = pipe.api("POST", "/suppressions", json={"number": number, "why": "asked on the phone"}).json()
        assert answer == {
            "number": "•" * 10 + number[-2:],
            "suppressed": True,
            "changed": changed,
            "sources": ["person"],
        }
    urgent: dict[str, Any] = {"override": "urgent", "overrides": ["opt_out"]}
    seen = pipe.api("POST", "/texts/preview", json={"ticket_id": case, **urgent}).json()
    assert (seen["allowed"], seen["overridable"]) == (False, False)
    assert "suppression list" in pipe.send(case, **urgent).json()["said"]
    assert pipe.event(case).status_code == 202
    pipe.box.salesforce.request_text(case)
    pipe.told(case, 3)
    assert not any(one.ticket_id == case for one in pipe.box.ccaip.texts)
    pipe.api("POST", "/suppressions", json={"number": number, "suppressed": False})
    assert pipe.send(case).json()["state"] == "sent"
    problem(pipe.api("POST", "/suppressions", json={"number": "nobody"}), 422)


@pytest.mark.parametrize("name", ["agent:{}:0", "04l000000000555AAA", "unreadable:0", "json:agent:{}:0"])
def test_an_event_named_like_an_agents_request_is_another_one(pipe: Pipe, case: str, name: str) -> None:
    """Its sender may choose any name: nobody who asks afterwards is shown its text, and its answer has the name."""
    other = pipe.box.salesforce.make_cases(1)[0]
    chosen = name.format(case)
    answer = pipe.event(other, event_id=chosen)
    assert [one["event_id"] for one in answer.json()["texts"]] == [chosen]

    sent = pipe.send(case, wait=20).json()

    assert sent["ticket_id"] == case
    assert not sent.get("duplicate")
    assert [text.ticket_id for text in pipe.box.ccaip.texts if text.ticket_id == case] == [case]


# Salesforce's JWTs

AUDIENCE, ISSUER = "https://sms.example.com", "3MVG9.the.consumer.key"


Signer = tuple[rsa.RSAPrivateKey, Path]


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Signer:
    return make_signer(tmp_path_factory.mktemp("certificate") / "org.pem", timedelta(days=1))


def make_signer(path: Path, valid_for: timedelta) -> Signer:
    """A key, and a certificate that was made two days ago and is good for so long from now."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "org")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=2))
        .not_valid_after(now + valid_for)
        .sign(key, hashes.SHA256())
    )
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return key, path


@pytest.fixture
def verify(signer: tuple[rsa.RSAPrivateKey, Path], monkeypatch: pytest.MonkeyPatch) -> Verify:
    for name, value in {"CERTIFICATES": signer[1], "ISSUER": ISSUER, "AUDIENCE": AUDIENCE}.items():
        monkeypatch.setenv(f"CONNECTOR_SALESFORCE_API_{name}", str(value))
    found = tokens.verifier()
    assert found
    return found


def claims(**other: Any) -> dict[str, Any]:
    """Claims of a token that is good but for `other`: None leaves one out, a duration is a time from now."""
    now = datetime.now(UTC)
    all_of = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ana@acme.example", "exp": timedelta(minutes=2), **other}
    return {
        name: now + value if isinstance(value, timedelta) else value
        for name, value in all_of.items()
        if value is not None
    }


def test_a_token_of_the_org_says_who_asks(pipe: Pipe, signer: Any, verify: Verify) -> None:
    token = jwt.encode(claims(), signer[0], "RS256")
    assert verify(token) == "ana@acme.example"
    with psycopg.connect(pipe.url, autocommit=True) as connection:
        caller = Callers({"salesforce": verify}).admit(connection, f"Bearer {token}", Right.SEND)
        assert (caller.name, caller.agent) == ("salesforce:ana@acme.example", "ana@acme.example")


MALLORY = {"agent_name": "Mallory", "agent_email": "mallory@acme.example", "agent_id": 7}


def test_a_tokens_person_asks_whatever_the_body_says(
    pipe: Pipe, case: str, signer: Any, verify: Verify, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eve's token, and somebody else in the body: the text, and the page that a link opens, are Eve's."""
    for name, value in demo.environment(pipe.box, pipe.url, 8080, pipe.token).items():
        monkeypatch.setenv(name, value)
    headers = {
        "Authorization": f"Bearer {jwt.encode(claims(sub='eve@acme.example'), signer[0], 'RS256')}",
        "Idempotency-Key": secrets.token_hex(8),
    }
    with postgres.pool(pipe.url, 2) as pool:
        web = create_app(settings.load(_env_file=None), pool).test_client()
        link = web.post("/v1/links", json={"ticket_id": case, **MALLORY}, headers=headers).get_json()["url"]
        page = web.get(link.partition("localhost")[2], follow_redirects=True)
        sent = web.post("/v1/texts?wait=20", json={"ticket_id": case, **MALLORY}, headers=headers).get_json()
        [used] = pipe.query("select count(*) from api_use where caller like %s", "%mallory%")

    assert "You write as eve@acme.example." in page.text
    assert sent["agent"] == "eve@acme.example"
    request = pipe.texts(case)[0]["request"]
    assert [request[name] for name in MALLORY] == ["eve@acme.example", "eve@acme.example", None]
    assert used["count"] == 0


@pytest.mark.parametrize(
    "other",
    [
        {"iss": "somebody else"},
        {"aud": "https://elsewhere.example.com"},
        {"exp": datetime(2020, 1, 1, tzinfo=UTC)},
        {"sub": ""},
        {"sub": "a\nb"},
        {"sub": "x" * 1000},
        {"sub": None},
        {"exp": None},
        {"aud": None},
        {"iss": None},
        {"nbf": datetime(2100, 1, 1, tzinfo=UTC)},
        {"exp": datetime(2100, 1, 1, tzinfo=UTC)},
        {"exp": timedelta(hours=3)},
        {"exp": 10**12},
        {"exp": "soon"},
        {"iat": datetime(2100, 1, 1, tzinfo=UTC)},
    ],
    ids=str,
)
def test_a_token_that_is_not_good_is_refused(signer: Any, verify: Verify, other: dict[str, Any]) -> None:
    with pytest.raises(NotAuthentic):
        verify(jwt.encode(claims(**other), signer[0], "RS256"))


def test_a_token_by_an_expired_certificate_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key, path = make_signer(tmp_path / "old.pem", timedelta(days=-1))
    for name, value in {"CERTIFICATES": path, "ISSUER": ISSUER, "AUDIENCE": AUDIENCE}.items():
        monkeypatch.setenv(f"CONNECTOR_SALESFORCE_API_{name}", str(value))
    verify = tokens.verifier()
    assert verify
    with pytest.raises(NotAuthentic, match="expired"):
        verify(jwt.encode(claims(), key, "RS256"))


def test_no_token_chooses_its_algorithm(signer: tuple[rsa.RSAPrivateKey, Path], verify: Verify) -> None:
    public = (
        signer[0].public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    by_others = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    header = jwt.utils.base64url_encode(b'{"alg":"HS256","typ":"JWT"}').decode()
    body = jwt.encode(claims(), by_others, "RS256").split(".")[1]
    mac = jwt.utils.base64url_encode(
        jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256).sign(f"{header}.{body}".encode(), public)
    ).decode()
    for token in (
        jwt.encode(claims(), "x" * 64, "HS256"),
        jwt.encode(claims(), "", "none"),
        jwt.encode(claims(), by_others, "RS256"),
        jwt.encode(claims(), signer[0], "RS512"),
        f"{header}.{body}.{mac}",
        "a.b.c",
        "..",
        "\ud800.b.c",
    ):
        with pytest.raises(NotAuthentic):
            verify(token)


def test_certificates_without_an_issuer_are_refused_at_start(signer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert tokens.verifier() is None
    monkeypatch.setenv("CONNECTOR_SALESFORCE_API_CERTIFICATES", str(signer[1]))
    with pytest.raises(BadSettings, match="ISSUER"):
        tokens.verifier()
    monkeypatch.setenv("CONNECTOR_SALESFORCE_API_ISSUER", ISSUER)
    monkeypatch.setenv("CONNECTOR_SALESFORCE_API_AUDIENCE", AUDIENCE)
    monkeypatch.setenv("CONNECTOR_SALESFORCE_API_CERTIFICATES", str(signer[1].with_name("missing.pem")))
    with pytest.raises(BadSettings, match=r"missing\.pem"):
        tokens.verifier()
