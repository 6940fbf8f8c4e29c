"""The page for agents in a frame of Salesforce's: signed requests, cookies that a frame keeps, and the settings."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient
from psycopg_pool import ConnectionPool
from werkzeug.test import TestResponse

from connector import settings
from connector.cli import demo
from connector.errors import BadSettings
from connector.store import postgres
from tests.support.pipe import Pipe
from webhooks.app import create_app
from webhooks.crms.salesforce import canvas

SECRETS = ["0123456789.an.old.consumer.secret", "9876543210.the.new.consumer.secret"]
ORIGIN = "https://example.lightning.force.com"
PUBLIC = "https://sms.example.com"
POST = "/agents/canvas/salesforce"


def envelope(case: str, org: str, **more: Any) -> dict[str, Any]:
    """What Salesforce signs, as far as it matters here and a little more."""
    return {
        "algorithm": "HMACSHA256",
        "issuedAt": int(time.time()),
        "userId": "005000000000002AAA",
        "client": {"oauthToken": "00D!secret-access-token", "instanceUrl": ORIGIN},
        "context": {
            "user": {"userName": "ana@org.example", "fullName": "Ana Silva", "email": "a@example.com", "roleId": None},
            "organization": {"organizationId": org, "name": "Example"},
            "environment": {"parameters": {}, "record": {"attributes": {"type": "Case"}, "Id": case}},
        },
        **more,
    }


def signed(what: Any, secret: str = SECRETS[1]) -> str:
    body = base64.b64encode(what if isinstance(what, bytes) else json.dumps(what).encode())
    digest = hmac.new(secret.encode(), body, hashlib.sha256).digest()
    return f"{base64.b64encode(digest).decode()}.{body.decode()}"


@pytest.fixture
def wanted(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> settings.Settings:
    """Settings of a web process that Salesforce shows in a frame, beside the running pipe."""
    environment = demo.environment(pipe.box, pipe.url, 8080, pipe.token) | {
        "CONNECTOR_PUBLIC_URL": PUBLIC,
        "CONNECTOR_FRAME_ANCESTORS": f"{ORIGIN}, https://example.my.salesforce.com",
        "CONNECTOR_SALESFORCE_CANVAS_SECRETS": " ".join(SECRETS),
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return settings.load(_env_file=None)


@pytest.fixture
def browser(wanted: settings.Settings, pipe: Pipe) -> Iterator[FlaskClient]:
    with postgres.pool(pipe.url, 4) as pool:
        yield create_app(wanted, pool).test_client()


def come(browser: FlaskClient, request: str) -> TestResponse:
    """Salesforce's page posts this into its frame."""
    return browser.post(POST, data={"signed_request": request}, base_url=PUBLIC, headers={"Origin": ORIGIN})


def test_an_agent_whom_the_org_vouches_for_is_let_in(pipe: Pipe, case: str, browser: FlaskClient) -> None:
    answer = come(browser, signed(envelope(case, pipe.box.salesforce.organization_id)))
    assert answer.status_code == 303
    name, _, rest = answer.headers["Set-Cookie"].partition("=")
    attributes = {one.strip() for one in rest.split(";")[1:]}
    assert name == "__Secure-texting"
    assert {"HttpOnly", "Secure", "SameSite=None", "Partitioned", f"Path={answer.location}"} <= attributes
    page = browser.get(answer.location, base_url=PUBLIC)
    assert page.status_code == 200
    assert "You write as Ana Silva." in page.text
    assert "oauthToken" not in page.text
    assert f"frame-ancestors {ORIGIN} https://example.my.salesforce.com" in page.headers["Content-Security-Policy"]
    assert "X-Frame-Options" not in page.headers
    assert "secret-access-token" not in answer.headers["Set-Cookie"]


@pytest.mark.parametrize("empty", [None, "", " "], ids=["null", "empty", "blank"])
def test_what_the_org_leaves_empty_counts_as_absent(
    pipe: Pipe, case: str, browser: FlaskClient, empty: str | None
) -> None:
    what = envelope(case, pipe.box.salesforce.organization_id)
    what["context"]["environment"]["parameters"] = empty
    what["context"]["user"] |= {"fullName": empty, "email": empty}
    answer = come(browser, signed(what))
    assert answer.status_code == 303
    assert "You write as ana@org.example." in browser.get(answer.location, base_url=PUBLIC).text


def test_parameters_say_which_case_and_moments_may_be_in_milliseconds(
    pipe: Pipe, case: str, browser: FlaskClient
) -> None:
    what = envelope("001000000000001AAA", pipe.box.salesforce.organization_id[:15], issuedAt=time.time() * 1000)
    what["context"]["environment"]["parameters"] = {"recordId": case[:15]}
    answer = come(browser, signed(what, SECRETS[0]))
    assert answer.status_code == 303
    number = pipe.box.salesforce.case(case)["CaseNumber"]
    assert f"Case {number}" in browser.get(answer.location, base_url=PUBLIC).text


def test_a_signature_opens_the_page_once(pipe: Pipe, case: str, browser: FlaskClient) -> None:
    request = signed(envelope(case, pipe.box.salesforce.organization_id))
    assert come(browser, request).status_code == 303
    assert come(browser, request).status_code == 410
    first, _, body = request.partition(".")
    assert come(browser, f"{first.rstrip('=')}.{body}").status_code == 403, "nor spelled otherwise"


def test_what_the_org_has_not_signed_like_this_opens_nothing(pipe: Pipe, case: str, browser: FlaskClient) -> None:
    org = pipe.box.salesforce.organization_id
    fine = envelope(case, org)
    good = signed(fine)
    first, _, body = good.partition(".")
    without_user = json.loads(json.dumps(fine))
    del without_user["context"]["user"]
    without_case = json.loads(json.dumps(fine))
    without_case["context"]["environment"] = {"parameters": {"recordId": "../../x"}}
    bad = [
        "",
        ".",
        "a.b",
        "..",
        "é.é",
        body,
        f"{first}.",
        f".{body}",
        f"{first}.{body}A",
        f"A{first}.{body}",
        "\x00" * 10,
        "x" * 300_000,
        good.swapcase(),
        signed(fine, "another.consumer.secret.entirely"),
        signed(fine, SECRETS[0][:-1]),
        signed(b"not json"),
        signed(b"[" * 100_000),
        signed([]),
        signed(None),
        signed(b'{"algorithm": "HMACSHA256", "issuedAt": NaN}'),
        signed(fine | {"algorithm": "none"}),
        *(signed(fine | {"algorithm": name}) for name in ("HMACSHA1", "hmacsha256", "", None)),
        *(signed(fine | {"issuedAt": at}) for at in (None, time.time() - 301, time.time() + 120, -1e308)),
        signed(fine | {"context": {}}),
        signed(envelope(case, "00D000000000009EAA")),
        signed(envelope(case, "")),
        signed(without_user),
        signed(without_case),
    ]
    for request in bad:
        answer = come(browser, request)
        assert answer.status_code == 403, request[:60]
        assert "Set-Cookie" not in answer.headers
        assert "Open the page again from the ticket" in answer.text
    assert come(browser, good).status_code == 303


def test_without_a_signed_request_the_page_says_what_to_set_up(browser: FlaskClient) -> None:
    answer = browser.get(POST, base_url=PUBLIC)
    assert answer.status_code == 403
    assert "an admin has to approve" in answer.text
    assert browser.post("/agents/canvas/nocrm", base_url=PUBLIC).status_code == 404


def test_links_begin_with_the_public_url_and_forms_may_come_from_it(
    pipe: Pipe, case: str, browser: FlaskClient
) -> None:
    key = {"Authorization": f"Bearer {pipe.every_right}"}
    url = browser.post("/v1/links", json={"ticket_id": case}, headers=key).get_json()["url"]
    assert url.startswith(f"{PUBLIC}/agents/text/")
    opened = browser.get(url.removeprefix(PUBLIC), base_url=PUBLIC)
    # A proxy may call the web process by another name than browsers do.
    inside = {"Origin": PUBLIC, "Cookie": opened.headers["Set-Cookie"].partition(";")[0]}
    proxy = browser.application.test_client(use_cookies=False)
    answer = proxy.post(opened.location, data={"token": "x"}, base_url="http://127.0.0.1:8080", headers=inside)
    assert "does not belong to this page" in answer.text, "the origin was fine, the token was not"


def test_a_frame_needs_to_be_allowed_where_canvas_is_set_up(wanted: settings.Settings, pool: ConnectionPool) -> None:
    with pytest.raises(BadSettings, match="CONNECTOR_FRAME_ANCESTORS: expected the origins of salesforce"):
        create_app(wanted.model_copy(update={"frame_ancestors": []}), pool)


@pytest.mark.parametrize(
    "origin",
    [
        "http://a.example",
        "https://a.example/",
        "https://a.example;script-src",
        "*",
        "https://*",
        "'self'",
        "https://a.example\nX: y",
        "https://",
    ],
)
def test_what_is_no_origin_gets_into_no_header(origin: str) -> None:
    with pytest.raises(BadSettings, match="CONNECTOR_FRAME_ANCESTORS"):
        settings.load(frame_ancestors=[origin], _env_file=None)


def test_canvas_is_off_without_a_secret_and_a_secret_is_long(monkeypatch: pytest.MonkeyPatch) -> None:
    assert canvas.session_reader() is None
    monkeypatch.setenv("CONNECTOR_SALESFORCE_CANVAS_SECRETS", "short")
    with pytest.raises(BadSettings, match="CONNECTOR_SALESFORCE_CANVAS_SECRETS: expected at least 24 characters"):
        canvas.session_reader()
