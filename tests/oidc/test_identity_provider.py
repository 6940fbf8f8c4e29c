"""The client of an identity provider, against the sandbox's over real HTTP."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from pydantic import SecretStr

from connector import settings
from connector.errors import SignInRefused, Unavailable
from connector.http.config import Network
from connector.oidc import metadata, provider
from connector.oidc.pending import PendingSignIn
from connector.oidc.provider import IdentityProvider
from connector.oidc.settings import Settings
from connector.sandbox import Sandbox
from tests.support.tls import TLS

BACK = "http://127.0.0.1:9/console/sign-in/oidc/back"
VERA, LEA, GUS = "8f14e45f", "45c48cce", "d3d94468"


class SetClock:
    """Seconds, set by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def box() -> Iterator[Sandbox]:
    with Sandbox(port=0).running() as box:
        yield box


@pytest.fixture(autouse=True)
def fresh(box: Sandbox) -> None:
    box.reset()


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


def made(box: Sandbox, clock: SetClock, **changes: Any) -> IdentityProvider:
    client = {"client_id": "sandbox-console", "client_secret": SecretStr("sandbox-console-secret")}
    wanted = {"issuer": f"{box.url}/oidc", "roles": ["support=view"], **client}
    return IdentityProvider(settings.load(Settings, **wanted | changes), Network(), clock)


@pytest.fixture
def identity_provider(box: Sandbox, clock: SetClock) -> IdentityProvider:
    return made(box, clock)


def chosen(url: str, person: str = VERA) -> dict[str, str]:
    """What the browser brings back when a person is chosen at this address."""
    back = urlsplit(
        httpx.get(url, params=parse_qs(urlsplit(url).query) | {"person": person}, verify=TLS, trust_env=False).headers[
            "Location"
        ]
    )
    assert f"{back.scheme}://{back.netloc}{back.path}" == BACK
    return {name: values[0] for name, values in parse_qs(back.query).items()}


def signed_in(at: IdentityProvider, person: str = VERA) -> Any:
    url, pending = at.begin(BACK)
    return at.finish(pending, chosen(url, person), BACK)


def calls(box: Sandbox, route: str) -> int:
    return sum(call.route == route for call in box.oidc.calls)


def test_a_person_signs_in(identity_provider: IdentityProvider, box: Sandbox) -> None:
    found = signed_in(identity_provider, LEA)

    assert (found.sub, found.name, found.groups) == (LEA, "lea.moreau@example.com", ("leads", "ops"))
    assert found.who == f"lea.moreau@example.com ({LEA})"
    assert calls(box, "read_userinfo") == 0


def test_the_request_is_bound_to_the_browser(identity_provider: IdentityProvider) -> None:
    """The provider learns neither the verifier nor anything that repeats."""
    url, pending = identity_provider.begin(BACK)
    other, _ = identity_provider.begin(BACK)

    query = parse_qs(urlsplit(url).query)
    assert query["code_challenge_method"] == ["S256"]
    assert pending.verifier not in url
    assert {query[name][0] for name in ("state", "nonce", "code_challenge")}.isdisjoint(
        {parse_qs(urlsplit(other).query)[name][0] for name in ("state", "nonce", "code_challenge")}
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"state": "another"}, "does not belong to the sign-in that this browser began"),
        ({"state": ""}, "does not belong"),
        ({"state": "é"}, "does not belong"),
        ({"iss": "https://other.example"}, "does not come from the identity provider"),
        ({"error": "access_denied"}, r"signed nobody in \(access_denied\)"),
        ({"error": "<b>call this number</b>"}, r"signed nobody in \(unknown error\)"),
        ({"code": ""}, "has no code"),
        ({"code": "guessed"}, r"refused the sign-in \(invalid_grant\)"),
    ],
)
def test_an_answer_that_does_not_fit_signs_nobody_in(
    identity_provider: IdentityProvider, changes: dict[str, str], words: str
) -> None:
    url, pending = identity_provider.begin(BACK)

    with pytest.raises(SignInRefused, match=words):
        identity_provider.finish(pending, chosen(url) | changes, BACK)


def test_a_code_is_of_no_use_in_another_browser(identity_provider: IdentityProvider) -> None:
    """Whoever steals a code and the state still lacks the verifier and the nonce."""
    url, pending = identity_provider.begin(BACK)
    answer = chosen(url)

    for stolen in (
        PendingSignIn(pending.state, pending.nonce, "v" * 64),
        PendingSignIn(pending.state, "n", pending.verifier),
    ):
        with pytest.raises(SignInRefused):
            identity_provider.finish(stolen, answer, BACK)


def test_a_code_is_used_once(identity_provider: IdentityProvider) -> None:
    url, pending = identity_provider.begin(BACK)
    answer = chosen(url)
    identity_provider.finish(pending, answer, BACK)

    with pytest.raises(SignInRefused, match="invalid_grant"):
        identity_provider.finish(pending, answer, BACK)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("wrong_issuer", "the claim iss"),
        ("wrong_audience", "the claim aud"),
        ("wrong_nonce", "the claim nonce"),
        ("expired", "has expired"),
        ("other_key", r"is not valid \(BadSignatureError\)"),
        ("unlisted_key", "a key that the identity provider does not publish"),
    ],
)
def test_every_fault_of_a_token_is_refused(
    identity_provider: IdentityProvider, box: Sandbox, fault: Any, words: str
) -> None:
    box.oidc.settings.oidc_fault = fault

    with pytest.raises(SignInRefused, match=words):
        signed_in(identity_provider)


def test_groups_are_looked_for_in_userinfo(identity_provider: IdentityProvider, box: Sandbox) -> None:
    box.oidc.settings.oidc_groups_in = "userinfo"

    assert signed_in(identity_provider).groups == ("support",)
    box.oidc.settings.oidc_fault = "other_person"
    with pytest.raises(SignInRefused, match="about another person"):
        signed_in(identity_provider)


def test_nobody_has_groups_that_nobody_told(identity_provider: IdentityProvider, box: Sandbox) -> None:
    assert signed_in(identity_provider, GUS).groups == ()
    box.oidc.settings.oidc_fault = "no_groups"
    assert signed_in(identity_provider, VERA).groups == ()


def test_the_secret_may_be_in_the_body(identity_provider: IdentityProvider, box: Sandbox) -> None:
    box.oidc.settings.oidc_auth_methods = ["client_secret_post"]

    assert signed_in(identity_provider).sub == VERA


def test_a_wrong_secret_is_refused(box: Sandbox, clock: SetClock) -> None:
    with pytest.raises(SignInRefused, match="invalid_client"):
        signed_in(made(box, clock, client_secret=SecretStr("not the provider's secret")))


def test_metadata_and_keys_are_kept_for_an_hour(
    identity_provider: IdentityProvider, box: Sandbox, clock: SetClock
) -> None:
    for _ in range(3):
        signed_in(identity_provider)
    assert (calls(box, "discovery"), calls(box, "jwks")) == (1, 1)

    clock.now = provider.CACHE_SECONDS
    signed_in(identity_provider)
    assert (calls(box, "discovery"), calls(box, "jwks")) == (2, 2)


def test_a_new_key_is_found_and_unknown_ones_do_not_call_often(
    identity_provider: IdentityProvider, box: Sandbox, clock: SetClock
) -> None:
    signed_in(identity_provider)
    clock.now = provider.UNKNOWN_KEY_SECONDS
    box.oidc.rotate_keys()
    signed_in(identity_provider)
    assert calls(box, "jwks") == 2

    box.oidc.settings.oidc_fault = "unlisted_key"
    for _ in range(3):
        with pytest.raises(SignInRefused, match="does not publish"):
            signed_in(identity_provider)
    assert calls(box, "jwks") == 2


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"kind": "status", "status": 503}, "answers 503 for metadata"),
        ({"kind": "status", "status": 302, "headers": {"Location": "/elsewhere"}}, "answers 302 for metadata"),
        ({"kind": "drop_before"}, "does not answer for metadata"),
        ({"kind": "malformed"}, "metadata cannot be read"),
        ({"kind": "malformed", "body": []}, "metadata are not usable: JSON"),
        ({"kind": "malformed", "body": {"issuer": "x"}}, "not usable: authorization_endpoint, jwks_uri"),
        ({"kind": "malformed", "body": "[" * 100_000}, "metadata cannot be read"),
        ({"kind": "malformed", "body": "1" * 2_000_000}, "does not answer for metadata"),
    ],
)
def test_metadata_that_cannot_be_used(
    identity_provider: IdentityProvider, box: Sandbox, fault: dict[str, Any], words: str
) -> None:
    box.faults.add(side="oidc", route="discovery", **fault)

    with pytest.raises(Unavailable, match=words):
        identity_provider.begin(BACK)
    signed_in(identity_provider)


WHOLE = {
    "issuer": "https://id.example",
    "authorization_endpoint": "https://id.example/authorize?tenant=1",
    "token_endpoint": "https://token.example",
    "jwks_uri": "https://keys.example/all",
    "response_types_supported": ["code", "id_token"],
    "id_token_signing_alg_values_supported": ["none", "HS256", "RS256"],
}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"issuer": "https://id.example/"}, "it calls itself https://id.example/; CONNECTOR_OIDC_ISSUER"),
        ({"token_endpoint": "http://token.example"}, "not usable: token_endpoint"),
        ({"token_endpoint": "http://127.0.0.1:80/token"}, "an endpoint has no https"),
        ({"jwks_uri": "file:///etc/passwd"}, "not usable: jwks_uri"),
        ({"authorization_endpoint": "javascript:alert(1)"}, "not usable: authorization_endpoint"),
        ({"end_session_endpoint": "javascript:alert(1)"}, "not usable: end_session_endpoint"),
        ({"response_types_supported": ["token"]}, "no authorization code flow"),
        ({"code_challenge_methods_supported": ["plain"]}, "no PKCE with S256"),
        ({"id_token_signing_alg_values_supported": ["none", "HS256"]}, "signs with none of RS256"),
        ({"token_endpoint_auth_methods_supported": ["private_key_jwt"]}, "takes no client secret"),
    ],
)
def test_metadata_that_do_not_fit_are_named(changes: dict[str, Any], words: str) -> None:
    assert metadata.read(WHOLE, "https://id.example").algorithms == ["RS256"]
    with pytest.raises(Unavailable, match=words):
        metadata.read(WHOLE | changes, "https://id.example")


@pytest.mark.parametrize("route", ["token", "jwks", "read_userinfo"])
def test_a_provider_that_fails_in_the_middle_signs_nobody_in(
    identity_provider: IdentityProvider, box: Sandbox, route: str
) -> None:
    box.oidc.settings.oidc_groups_in = "userinfo"
    for kind in ("drop_after", "malformed", "status"):
        box.faults.add(kind, side="oidc", route=route)
        with pytest.raises(Unavailable, match="the identity provider"):
            signed_in(identity_provider)
        box.faults.clear()


def test_signing_out_of_the_provider_is_offered(identity_provider: IdentityProvider, box: Sandbox) -> None:
    back = "http://127.0.0.1:9/console"
    address = identity_provider.sign_out_address(back)

    assert address is not None
    assert address.startswith(f"{box.url}/oidc/end-session?")
    assert parse_qs(urlsplit(address).query)["post_logout_redirect_uri"] == [back]
    assert "You are signed out" in httpx.get(address, verify=TLS, trust_env=False).text


def test_check_reads_metadata_and_keys(identity_provider: IdentityProvider, box: Sandbox, clock: SetClock) -> None:
    identity_provider.check()
    assert (calls(box, "discovery"), calls(box, "jwks")) == (1, 1)
    box.oidc.settings.oidc_fault = "wrong_metadata"
    with pytest.raises(Unavailable, match=r"it calls itself https://other\.example/oidc"):
        made(box, clock).check()
