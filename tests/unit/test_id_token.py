"""ID tokens that are valid, and all others: forged, confused, stale, or meant for somebody else."""

import base64
import hmac
import json
import time
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, RSAKey
from joserfc.jws import JWSRegistry

from connector.errors import SignInRefused
from connector.oidc import id_token
from connector.oidc.id_token import Expected, UnknownKey

RSA = RSAKey.generate_key(2048, {"kid": "rsa", "use": "sig"})
EC = ECKey.generate_key("P-256", {"kid": "ec"})
KEYS = KeySet([RSAKey.import_key(RSA.as_dict(private=False)), ECKey.import_key(EC.as_dict(private=False))])
EXPECTED = Expected("https://id.example", "console", "the nonce", "the access token")
ALGORITHMS = ("RS256", "ES256")
FAR_AHEAD = 4_000_000_000  # in the year 2096


def claims(**changes: Any) -> dict[str, Any]:
    """Valid claims with these changes; None leaves one out."""
    now = int(time.time())
    valid = {
        "iss": EXPECTED.issuer,
        "aud": EXPECTED.client_id,
        "sub": "17",
        "iat": now,
        "exp": now + 60,
        "nonce": EXPECTED.nonce,
    }
    return {name: value for name, value in (valid | changes).items() if value is not None}


def signed(told: dict[str, Any], key: Any = RSA, **header: Any) -> str:
    used = {"alg": "RS256", "kid": "rsa"} | header
    return jwt.encode(used, told, key, registry=JWSRegistry(algorithms=[used["alg"]], strict_check_header=False))


def read(token: str) -> dict[str, Any]:
    return dict(id_token.claims(token, KEYS, ALGORITHMS, EXPECTED))


def test_a_valid_token_tells_who_it_is() -> None:
    """The clocks may differ by half a minute, and a header may have more in it."""
    valid = [
        signed(claims()),
        signed(claims(), EC, alg="ES256", kid="ec"),
        signed(claims(aud=["console", "other"], azp="console")),
        signed(claims(exp=int(time.time()) - 30)),
        signed(claims(), x5t="a thumbprint"),
    ]

    assert [read(token)["sub"] for token in valid] == ["17"] * len(valid)


@pytest.mark.parametrize(
    ("changes", "claim"),
    [
        ({"iss": "https://other.example"}, "iss"),
        ({"iss": None}, "iss"),
        ({"iss": [EXPECTED.issuer]}, "iss"),
        ({"aud": "other"}, "aud"),
        ({"aud": "other", "azp": "console"}, "aud"),
        ({"aud": None}, "aud"),
        ({"aud": ["console", "other"]}, "azp"),
        ({"aud": ["console", "other"], "azp": "other"}, "azp"),
        ({"nonce": "another"}, "nonce"),
        ({"nonce": None}, "nonce"),
        ({"nonce": None, "nonce_supported": False}, "nonce"),
        ({"sub": None}, "sub"),
        ({"sub": ""}, "sub"),
        ({"sub": 17}, "sub"),
        ({"exp": None}, "exp"),
        ({"exp": "soon"}, "exp"),
        ({"iat": None}, "iat"),
        ({"iat": FAR_AHEAD}, "iat"),
        ({"nbf": FAR_AHEAD}, "nbf"),
        ({"at_hash": "bm90IHRoZSBoYXNo"}, "at_hash"),
    ],
)
def test_a_token_for_something_else_names_its_claim(changes: dict[str, Any], claim: str) -> None:
    with pytest.raises(SignInRefused, match=f"the claim {claim} of the ID token is not the one expected"):
        read(signed(claims(**changes)))


def test_an_old_token_is_refused() -> None:
    with pytest.raises(SignInRefused, match="has expired"):
        read(signed(claims(exp=int(time.time()) - 61)))


def encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def forged(alg: str, secret: bytes = b"") -> str:
    """A token signed by hand with HMAC, or with nothing."""
    head = ".".join(encoded(json.dumps(part).encode()) for part in ({"alg": alg, "kid": "rsa"}, claims()))
    return f"{head}.{encoded(hmac.digest(secret, head.encode(), 'sha256')) if secret else ''}"


def test_a_forged_token_is_refused() -> None:
    invalid = [
        forged("none"),
        forged("HS256", RSA.as_pem(private=False)),  # the public key as the secret: everybody knows it
        forged("RS256", RSA.as_pem(private=False)),
        signed(claims(), RSAKey.generate_key(2048)),
        signed(claims(), EC, alg="ES256", kid="rsa"),
        signed(claims(), alg="RS512"),
        signed(claims(), alg="PS256"),
        signed(claims())[:-8],
        signed(claims()) + "a",
        "",
        "x",
        "a.b.c",
        "é.é.é",
        "e30.e30.e30",
        "." * 200_000,
    ]
    for token in invalid:
        with pytest.raises(SignInRefused, match="is not valid"):
            read(token)


def test_a_key_in_the_header_is_not_believed() -> None:
    """A token must not bring the key that verifies it."""
    stranger = RSAKey.generate_key(2048)

    with pytest.raises(SignInRefused, match="is not valid"):
        read(signed(claims(), stranger, jwk=stranger.as_dict(private=False)))


def test_an_unknown_key_may_be_a_new_one() -> None:
    for token in (signed(claims(), kid="new"), signed(claims(), RSAKey.generate_key(2048), kid="new")):
        with pytest.raises(UnknownKey):
            read(token)
