"""Verify an ID token: its signature, and that it is meant for this client and this sign-in.

https://openid.net/specs/openid-connect-core-1_0.html#IDTokenValidation
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import ClaimError, ExpiredTokenError, InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry

from connector.errors import SignInRefused

# Seconds by which the provider's clock may differ from this machine's.
LEEWAY_SECONDS = 60


class UnknownKey(Exception):
    """The token names a key that is not among the provider's keys."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What the token has to say, and the access token that came with it."""

    issuer: str
    client_id: str
    nonce: str
    access_token: str


def claims(token: str, keys: KeySet, algorithms: Sequence[str], expected: Expected) -> Mapping[str, Any]:
    """Return the claims of a valid ID token. Raises SignInRefused, or UnknownKey when the keys may be too old."""
    try:
        read = jwt.decode(token, keys, registry=JWSRegistry(algorithms=algorithms, strict_check_header=False))
        found = CodeIDToken(read.claims, read.header, _options(expected), _parameters(expected))
        found.validate(leeway=LEEWAY_SECONDS)
    except InvalidKeyIdError:
        raise UnknownKey from None
    except ExpiredTokenError:
        raise SignInRefused(
            "the identity provider's ID token has expired: the clocks of the two machines may differ"
        ) from None
    except ClaimError as error:
        raise SignInRefused(f"the claim {error.claim} of the ID token is not the one expected") from None
    except (JoseError, ValueError, TypeError) as error:
        raise SignInRefused(f"the identity provider's ID token is not valid ({type(error).__name__})") from None
    return found


def _options(expected: Expected) -> dict[str, Any]:
    return {
        "iss": {"essential": True, "value": expected.issuer},
        "aud": {"essential": True, "value": expected.client_id},
        "sub": {"essential": True},
    }


def _parameters(expected: Expected) -> dict[str, Any]:
    return {"nonce": expected.nonce, "client_id": expected.client_id, "access_token": expected.access_token}
