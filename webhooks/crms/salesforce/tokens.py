"""JWTs that a Salesforce org signs for a Named Credential: RS256 with the org's certificate; `sub` is the user.

https://help.salesforce.com/s/articleView?id=xcloud.nc_auth_protocols.htm
The algorithm is fixed, so that a token cannot choose one. Audience, issuer and times are checked.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from connector import settings
from connector.crms.salesforce.settings import ENV_PREFIX, ApiTokens
from connector.errors import BadSettings, NotAuthentic

if TYPE_CHECKING:
    from cryptography import x509

# Seconds that two clocks may differ; and the longest lifetime of a token.
LEEWAY_SECONDS, MAX_SECONDS = 30, 3600
MAX_NAME = 200


def verifier() -> Callable[[str], str] | None:
    """A verifier that returns a token's user name. None when tokens are not set up. Raises BadSettings."""
    wanted = settings.load(ApiTokens)
    if not wanted.certificates:
        return None
    certificates = [_certificate(Path(path)) for path in wanted.certificates]
    import jwt  # 10 MB; imported only where such tokens are set up
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    def verify(token: str) -> str:
        now = datetime.now(UTC)
        for certificate in certificates:
            key = certificate.public_key()
            if not isinstance(key, RSAPublicKey):
                raise NotAuthentic("a certificate of the settings has no RSA key")
            try:
                claims = jwt.decode(
                    token,
                    key,
                    algorithms=["RS256"],
                    audience=wanted.audience,
                    issuer=wanted.issuer,
                    leeway=LEEWAY_SECONDS,
                    options={"require": ["aud", "iss", "exp", "sub"]},
                )
            except jwt.InvalidSignatureError:
                continue
            except (jwt.InvalidTokenError, ValueError, TypeError, OverflowError) as error:
                raise NotAuthentic(f"the token is not valid: {type(error).__name__}") from None
            if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
                raise NotAuthentic("the certificate that the token was signed by has expired, or is not valid yet")
            if claims["exp"] > now.timestamp() + MAX_SECONDS + LEEWAY_SECONDS:
                raise NotAuthentic(f"the token is valid for too long: at most {MAX_SECONDS} seconds are allowed")
            return _name(claims["sub"])
        raise NotAuthentic("the token was signed by somebody else")

    return verify


def _name(subject: object) -> str:
    if not isinstance(subject, str) or not subject.isprintable() or not 0 < len(subject) <= MAX_NAME:
        raise NotAuthentic("the token's sub is no user name")
    return subject


def _certificate(path: Path) -> "x509.Certificate":
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError) as error:
        raise BadSettings(f"{ENV_PREFIX}API_CERTIFICATES: {path} is no certificate in PEM: {error}") from None
