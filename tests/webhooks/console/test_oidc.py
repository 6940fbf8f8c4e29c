"""Signing in to the console with OpenID Connect: with the sandbox's identity provider, over real HTTP."""

import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

import httpx
import psycopg
import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from connector import settings
from connector.cli import demo
from connector.errors import BadSettings
from connector.oidc.settings import ROLE_NAMES
from connector.sandbox import Sandbox
from connector.sandbox.oidc.settings import Fault
from connector.store import audit, console_sessions, postgres
from connector.store.audit import Action, Filter
from tests.support.tls import TLS
from tests.webhooks.console.conftest import Operators
from webhooks.app import create_app
from webhooks.console import oidc
from webhooks.console.access import SIGN_INS_PER_MINUTE
from webhooks.console.roles import Role

PUBLIC = "https://localhost"
ROLES = "support=view; ops=view,act; leads=view,act,content,keys"
VERA, OMAR, LEA, GUS = "8f14e45f", "c9f0f895", "45c48cce", "d3d94468"


@dataclass
class Visitor:
    """A browser without a session."""

    client: FlaskClient

    def get(self, address: str) -> TestResponse:
        return self.client.get(address, base_url=PUBLIC)

    def post(self, path: str) -> TestResponse:
        """Send a form as a page of the console does."""
        token = self.get("/console/texts").text.partition('name="token" value="')[2].partition('"')[0]
        same_site = {"Sec-Fetch-Site": "same-origin"}
        return self.client.post(path, base_url=PUBLIC, data={"token": token}, headers=same_site)

    def begin(self, to: str = "") -> str:
        """The address at the identity provider."""
        answer = self.get(f"/console/sign-in/oidc?to={to}")
        assert answer.status_code == 303, answer.text
        return answer.location

    def come_back(self, callback: str) -> TestResponse:
        assert callback.startswith(f"{PUBLIC}/console/sign-in/oidc/callback?")
        return self.get(callback.removeprefix(PUBLIC))

    def sign_in(self, person: str, to: str = "") -> TestResponse:
        return self.come_back(chosen(self.begin(to), person))

    def is_signed_in(self) -> bool:
        return self.get("/console/texts").status_code == 200


def chosen(address: str, person: str) -> str:
    """Where the identity provider sends the browser when this person is chosen."""
    query = parse_qs(urlsplit(address).query) | {"person": [person]}
    return httpx.get(address.partition("?")[0], params=query, verify=TLS, trust_env=False).headers["Location"]


@pytest.fixture
def with_oidc(box: Sandbox, url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Operators]:
    """The console with an identity provider."""
    values = demo.environment(box, url, 8080, secrets.token_hex(24)) | {
        "CONNECTOR_PUBLIC_URL": PUBLIC,
        "CONNECTOR_OIDC_ISSUER": f"{box.url}/oidc",
        "CONNECTOR_OIDC_CLIENT_ID": "sandbox-console",
        "CONNECTOR_OIDC_CLIENT_SECRET": "sandbox-console-secret",
        "CONNECTOR_OIDC_ROLES": ROLES,
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    with postgres.pool(url, 4) as pool:
        yield Operators(create_app(settings.load(_env_file=None), pool), pool, box)
    box.oidc.reset()
    box.faults.clear()


@pytest.fixture
def connection(with_oidc: Operators) -> Iterator[psycopg.Connection]:
    with with_oidc.pool.connection() as connection:
        yield connection


@pytest.fixture
def visitors(with_oidc: Operators) -> Callable[[], Visitor]:
    return lambda: Visitor(with_oidc.app.test_client())


@pytest.fixture
def visitor(visitors: Callable[[], Visitor]) -> Visitor:
    return visitors()


def test_a_person_signs_in_with_the_roles_of_their_groups(visitor: Visitor, connection: psycopg.Connection) -> None:
    answer = visitor.sign_in(OMAR, to="/console/texts?q=state:failed")

    assert (answer.status_code, answer.location) == (303, "/console/texts?q=state:failed")
    assert visitor.is_signed_in()
    [session] = console_sessions.listed(connection)
    assert (session.who, session.method) == (f"omar.haddad@example.com ({OMAR})", "openid")
    assert set(session.roles) == {"view", "act"}
    assert (session.ends_at - session.began_at).total_seconds() <= 8 * 3600
    [entry] = audit.find(connection, Filter(what=Action.SESSION_BEGIN), 10)
    assert (entry.who, entry.after) == (session.who, {"roles": "act, view"})


def test_several_groups_have_all_their_roles(visitor: Visitor, connection: psycopg.Connection) -> None:
    visitor.sign_in(LEA)

    [session] = console_sessions.listed(connection)
    assert set(session.roles) == {role.value for role in Role}


def test_a_viewer_cannot_act_and_an_operator_can(visitors: Callable[[], Visitor]) -> None:
    viewer, operator = visitors(), visitors()
    viewer.sign_in(VERA)
    operator.sign_in(OMAR)

    refused, done = (visitor.post("/console/pauses") for visitor in (viewer, operator))

    assert refused.status_code == 403
    assert "You may not change anything here. You may: look at the console. Nothing was done." in refused.text
    assert done.status_code == 303, "it may, and is told what the form lacks"


def test_cookies_are_for_this_sign_in_and_not_for_scripts(visitor: Visitor) -> None:
    began = visitor.get("/console/sign-in/oidc")
    back = visitor.come_back(chosen(began.location, VERA))

    [kept] = began.headers.getlist("Set-Cookie")
    assert kept.startswith("__Secure-console-sign-in=")
    for part in ("Secure", "HttpOnly", "SameSite=Lax", "Path=/console/sign-in/oidc", f"Max-Age={oidc.PENDING_SECONDS}"):
        assert part in kept
    session, forgotten = back.headers.getlist("Set-Cookie")
    assert session.startswith("__Secure-console=")
    assert forgotten.startswith("__Secure-console-sign-in=;")


FAULTS: dict[Fault, str] = {
    "wrong_issuer": "the claim iss of the ID token",
    "wrong_audience": "the claim aud of the ID token",
    "wrong_nonce": "the claim nonce of the ID token",
    "expired": "ID token has expired",
    "other_key": "ID token is not valid",
    "unlisted_key": "a key that the identity provider does not publish",
    "no_groups": "knows you as vera.lund@example.com, but the claim groups is empty",
}


def test_every_fault_says_why_and_signs_nobody_in(
    visitor: Visitor, with_oidc: Operators, connection: psycopg.Connection
) -> None:
    for fault, words in FAULTS.items():
        with_oidc.box.oidc.settings.oidc_fault = fault

        answer = visitor.sign_in(VERA)

        assert answer.status_code == 403
        assert "You are not signed in: " in answer.text
        assert words in answer.text
        assert "__Secure-console=" not in str(answer.headers)
        assert not visitor.is_signed_in()
    assert console_sessions.listed(connection) == []
    assert audit.find(connection, Filter(what=Action.SESSION_BEGIN), 10) == []


def test_a_person_without_groups_is_refused(visitor: Visitor) -> None:
    answer = visitor.sign_in(GUS)

    assert answer.status_code == 403
    assert "knows you as gus.park@example.com, but the claim groups is empty" in answer.text


def test_groups_without_roles_are_refused(with_oidc: Operators, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONNECTOR_OIDC_ROLES", "admins=view")
    visitor = Visitor(create_app(settings.load(_env_file=None), with_oidc.pool).test_client())

    answer = visitor.sign_in(LEA)

    assert answer.status_code == 403
    assert "none of your 2 groups in the claim groups has a role here" in answer.text


def test_who_cancels_comes_back_to_the_sign_in(visitor: Visitor) -> None:
    answer = visitor.sign_in("")

    assert answer.status_code == 403
    assert "signed nobody in (access_denied)" in answer.text


def test_an_answer_opens_no_session_in_another_browser(visitors: Callable[[], Visitor]) -> None:
    """Login CSRF: somebody's own answer, brought to the browser of another person."""
    attacker, victim, waiting = visitors(), visitors(), visitors()
    callback = chosen(attacker.begin(), LEA)
    mine = waiting.begin()

    for other in (victim, waiting):
        answer = other.come_back(callback)
        assert answer.status_code == 403
        assert not other.is_signed_in()
    assert waiting.come_back(chosen(mine, VERA)).status_code == 303, "its own sign-in goes on"


def test_an_answer_is_used_once(visitor: Visitor) -> None:
    callback = chosen(visitor.begin(), VERA)
    kept = visitor.client.get_cookie("__Secure-console-sign-in", path=oidc.COOKIE_PATH)
    assert kept
    assert visitor.come_back(callback).status_code == 303
    visitor.client.set_cookie("__Secure-console-sign-in", kept.value, path=oidc.COOKIE_PATH, secure=True)

    again = visitor.come_back(callback)

    assert again.status_code == 403
    assert "was finished before" in again.text


def test_an_old_sign_in_begins_anew(visitor: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    callback = chosen(visitor.begin(), VERA)
    now = time.time()
    monkeypatch.setattr("webhooks.console.oidc.time.time", lambda: now + oidc.PENDING_SECONDS + 1)

    answer = visitor.come_back(callback)

    assert answer.status_code == 403
    assert f"begin again at {PUBLIC}/console/" in answer.text


ELSEWHERE = (
    "https://evil.example",
    "//evil.example",
    "/%5Cevil.example",
    "/console/%5C%5Cevil.example",
    "/console//evil.example",
    "javascript:alert(1)",
    "/v1/texts",
    "/console/%0d%0aSet-Cookie:x=y",
)


def test_nobody_is_sent_elsewhere_after_signing_in(visitor: Visitor) -> None:
    for to in ELSEWHERE:
        assert visitor.sign_in(VERA, to=to).location == "/console/", to


def test_the_way_back_does_not_follow_the_host_header(visitor: Visitor) -> None:
    answer = visitor.client.get("/console/sign-in/oidc", base_url="https://evil.example")

    redirect_uri = parse_qs(urlsplit(answer.location).query)["redirect_uri"]
    assert redirect_uri == [f"{PUBLIC}/console/sign-in/oidc/callback"]


def test_a_forged_cookie_is_of_no_use(visitor: Visitor) -> None:
    callback = chosen(visitor.begin(), VERA).removeprefix(PUBLIC)
    for cookie in ("", "x", "é", "W10.x", "eyJhIjoxfQ.AAAA"):
        visitor.client.set_cookie("__Secure-console-sign-in", cookie, path=oidc.COOKIE_PATH, secure=True)
        assert visitor.get(callback).status_code == 403, cookie


def test_a_provider_that_is_away_keeps_only_its_own_sign_in_away(visitor: Visitor, with_oidc: Operators) -> None:
    with_oidc.box.faults.add("drop_before", side="oidc", times=9)

    answer = visitor.get("/console/sign-in/oidc")

    assert answer.status_code == 503
    assert "the identity provider does not answer" in answer.text
    assert 'id="key"' in answer.text
    assert with_oidc.client(Role.VIEW).get("/texts").status_code == 200


def test_sign_ins_are_counted(visitor: Visitor) -> None:
    attempts = 2 * SIGN_INS_PER_MINUTE + 2  # the minute may turn once
    statuses = [visitor.get("/console/sign-in/oidc").status_code for _ in range(attempts)]

    assert statuses[0] == 303
    assert 429 in statuses


def test_signing_out_ends_the_session_and_offers_the_providers(visitor: Visitor, with_oidc: Operators) -> None:
    visitor.sign_in(VERA)

    out = visitor.post("/console/sign-out")
    page = visitor.get(out.location)
    away = visitor.get("/console/sign-in/oidc/sign-out")

    assert out.status_code == 303
    assert "Sign out there too" in page.text
    assert not visitor.is_signed_in()
    assert away.location.startswith(f"{with_oidc.box.url}/oidc/end-session?")
    assert parse_qs(urlsplit(away.location).query)["post_logout_redirect_uri"] == [f"{PUBLIC}/console/sign-in"]


def test_without_an_identity_provider_there_is_no_such_way(console: Operators) -> None:
    assert console.client(Role.VIEW).get("/sign-in/oidc").status_code == 404
    assert "organization" not in console.app.test_client().get("/console/sign-in").text


def test_an_incomplete_set_up_does_not_start(with_oidc: Operators, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONNECTOR_OIDC_CLIENT_SECRET", "")

    with pytest.raises(BadSettings, match="CONNECTOR_OIDC_CLIENT_SECRET"):
        create_app(settings.load(_env_file=None), with_oidc.pool)


def test_the_roles_of_the_settings_are_those_of_the_console() -> None:
    assert set(ROLE_NAMES) == {role.value for role in Role}
