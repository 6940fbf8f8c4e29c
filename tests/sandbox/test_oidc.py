"""The sandbox's identity provider: the code flow with PKCE, over real HTTP, and the faults that can be switched on."""

import base64
import hashlib
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import jwt
import pytest

from connector.sandbox import Sandbox
from tests.support.tls import TLS

CLIENT = ("sandbox-console", "sandbox-console-secret")
BACK = "http://127.0.0.1:9/back"
VERIFIER = "v" * 43
VERA, LEA, GUS = "8f14e45f", "45c48cce", "d3d94468"


@pytest.fixture(scope="module")
def box() -> Iterator[Sandbox]:
    with Sandbox(port=0).running() as box:
        yield box


@pytest.fixture(autouse=True)
def fresh(box: Sandbox) -> None:
    box.reset()


@pytest.fixture
def http(box: Sandbox) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{box.url}/oidc", verify=TLS, trust_env=False) as client:
        yield client


def challenge(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def asked(**changes: str | None) -> dict[str, str]:
    """The parameters of an authorization request; None leaves one out."""
    request = {
        "response_type": "code",
        "client_id": CLIENT[0],
        "redirect_uri": BACK,
        "scope": "openid profile email",
        "state": "a state",
        "nonce": "a nonce",
        "code_challenge": challenge(VERIFIER),
        "code_challenge_method": "S256",
    } | changes
    return {name: value for name, value in request.items() if value is not None}


def code(http: httpx.Client, person: str = VERA, **changes: str | None) -> str:
    answer = http.get("/authorize", params=asked(person=person, **changes))
    back = urlsplit(answer.headers["Location"])
    query = parse_qs(back.query)
    assert f"{back.scheme}://{back.netloc}{back.path}" == BACK
    assert query["state"] == ["a state"]
    return query["code"][0]


def redeem(http: httpx.Client, given: str, auth: tuple[str, str] | None = CLIENT, **changes: str) -> httpx.Response:
    form = {"grant_type": "authorization_code", "code": given, "redirect_uri": BACK, "code_verifier": VERIFIER}
    return http.post("/token", data=form | changes, auth=auth or httpx.USE_CLIENT_DEFAULT)


def read(http: httpx.Client, id_token: str, **options: Any) -> dict[str, Any]:
    """The claims of an ID token, verified by another library than the provider's. Raises jwt.InvalidTokenError."""
    metadata = http.get("/.well-known/openid-configuration").json()
    keys = jwt.PyJWKSet.from_dict(http.get(urlsplit(metadata["jwks_uri"]).path.removeprefix("/oidc")).json())
    key = keys[jwt.get_unverified_header(id_token)["kid"]]
    return jwt.decode(id_token, key, ["RS256"], audience=CLIENT[0], issuer=metadata["issuer"], **options)


def test_a_person_signs_in(http: httpx.Client, box: Sandbox) -> None:
    page = http.get("/authorize", params=asked())
    token = redeem(http, code(http, LEA)).json()

    assert all(name in page.text for name in ("Vera Lund", "Lea Moreau", "no groups"))
    claims = read(http, token["id_token"])
    assert (claims["iss"], claims["nonce"], claims["groups"]) == (f"{box.url}/oidc", "a nonce", ["leads", "ops"])
    assert (claims["sub"], claims["email"]) == (LEA, "lea.moreau@example.com")
    told = http.get("/userinfo", headers={"Authorization": f"Bearer {token['access_token']}"}).json()
    assert told["preferred_username"] == "lea.moreau"
    assert http.get("/userinfo").status_code == 401


def test_a_client_authenticates_in_either_way_and_no_other(http: httpx.Client, box: Sandbox) -> None:
    in_body = {"client_id": CLIENT[0], "client_secret": CLIENT[1]}

    assert redeem(http, code(http)).status_code == 200
    assert redeem(http, code(http), None, **in_body).status_code == 200
    assert redeem(http, code(http), (CLIENT[0], "wrong")).json()["error"] == "invalid_client"
    assert redeem(http, code(http), None, client_id=CLIENT[0]).status_code in (400, 401)
    box.oidc.settings.oidc_auth_methods = ["client_secret_post"]
    assert redeem(http, code(http)).status_code in (400, 401)
    assert redeem(http, code(http), None, **in_body).status_code == 200


def test_a_code_is_for_one_use_by_who_began(http: httpx.Client) -> None:
    given = code(http)

    assert redeem(http, given, code_verifier="w" * 43).json()["error"] == "invalid_grant"
    assert redeem(http, given, redirect_uri=f"{BACK}/other").json()["error"] == "invalid_grant"
    assert redeem(http, given).status_code == 200
    assert redeem(http, given).json()["error"] == "invalid_grant"


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": "somebody"},
        {"redirect_uri": "https://other.example/back"},
        {"response_type": "token"},
        {"nonce": None},
        {"code_challenge": None, "code_challenge_method": None},
        {"code_challenge_method": "plain"},
    ],
)
def test_a_request_that_is_not_in_order_stays_at_the_provider(
    http: httpx.Client, changes: dict[str, str | None]
) -> None:
    answer = http.get("/authorize", params=asked(person=VERA, **changes))

    assert (answer.status_code, "Location" in answer.headers) == (400, False)
    assert "This sign-in was refused" in answer.text


def test_who_cancels_goes_back_without_a_code(http: httpx.Client) -> None:
    back = http.get("/authorize", params=asked(person=""))

    assert parse_qs(urlsplit(back.headers["Location"]).query)["error"] == ["access_denied"]


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("wrong_issuer", jwt.InvalidIssuerError),
        ("wrong_audience", jwt.InvalidAudienceError),
        ("expired", jwt.ExpiredSignatureError),
        ("other_key", jwt.InvalidSignatureError),
        ("unlisted_key", KeyError),
    ],
)
def test_a_fault_of_the_token(http: httpx.Client, box: Sandbox, fault: Any, error: type[Exception]) -> None:
    box.oidc.settings.oidc_fault = fault
    token = redeem(http, code(http)).json()["id_token"]

    with pytest.raises(error):
        read(http, token)


def test_faults_of_the_claims(http: httpx.Client, box: Sandbox) -> None:
    box.oidc.settings.oidc_fault = "wrong_nonce"
    assert read(http, redeem(http, code(http)).json()["id_token"])["nonce"] != "a nonce"
    box.oidc.settings.oidc_fault = "no_groups"
    assert "groups" not in read(http, redeem(http, code(http)).json()["id_token"])
    box.oidc.settings.oidc_fault = "other_person"
    bearer = {"Authorization": f"Bearer {redeem(http, code(http)).json()['access_token']}"}
    assert http.get("/userinfo", headers=bearer).json()["sub"] != VERA
    box.oidc.settings.oidc_fault = "wrong_metadata"
    assert http.get("/.well-known/openid-configuration").json()["issuer"] != f"{box.url}/oidc"


def test_groups_may_be_in_userinfo_alone(http: httpx.Client, box: Sandbox) -> None:
    box.oidc.settings.oidc_groups_in = "userinfo"
    token = redeem(http, code(http)).json()
    bearer = {"Authorization": f"Bearer {token['access_token']}"}

    assert "groups" not in read(http, token["id_token"])
    assert http.get("/userinfo", headers=bearer).json()["groups"] == ["support"]


def test_keys_rotate(http: httpx.Client, box: Sandbox) -> None:
    before = redeem(http, code(http)).json()["id_token"]
    assert httpx.post(f"{box.url}/_sandbox/oidc/keys/rotate", verify=TLS, trust_env=False).status_code == 200

    with pytest.raises(KeyError):
        read(http, before)
    assert read(http, redeem(http, code(http)).json()["id_token"])["sub"] == VERA


def test_the_control_plane_shows_and_changes_the_provider(box: Sandbox) -> None:
    with httpx.Client(base_url=f"{box.url}/_sandbox", verify=TLS, trust_env=False) as control:
        assert control.get("/oidc").json()["issuer"] == f"{box.url}/oidc"
        assert control.patch("/oidc", json={"oidc_fault": "expired"}).json()["oidc_fault"] == "expired"
        assert control.patch("/oidc", json={"oidc_fault": "melted"}).status_code == 400
        fault = {"kind": "status", "side": "oidc", "route": "token", "status": 502}
        assert control.post("/faults", json=fault).status_code == 201
        assert json.loads(control.get("/stats").text)["oidc"]["tokens"] == 0
    assert httpx.post(f"{box.url}/oidc/token", verify=TLS, trust_env=False).status_code == 502
