"""The OAuth routes: issue a token for client credentials or a JWT bearer, and identify its user."""

import base64
import hmac
from typing import TYPE_CHECKING, Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from flask import Response, jsonify, request

from connector.sandbox.crms.salesforce import api

if TYPE_CHECKING:
    from connector.sandbox.crms.salesforce import Side

JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"


class TokenError(Exception):
    """The token endpoint's refusal: `{"error": …, "error_description": …}`."""

    def __init__(self, error: str, description: str, status: int = 400) -> None:
        super().__init__(error)
        self.error, self.description, self.status = error, description, status


@api.routes.errorhandler(TokenError)
def refuse(refused: TokenError) -> tuple[Response, int]:
    return jsonify(error=refused.error, error_description=refused.description), refused.status


@api.routes.post("/services/oauth2/token")
def token() -> Response:
    """Exchange credentials for a token."""
    org = api.org()
    grants = {"client_credentials": _client_credentials, JWT_BEARER: _jwt_bearer}
    grant = grants.get(request.form.get("grant_type", ""))
    if grant is None:
        raise TokenError("unsupported_grant_type", "grant type not supported")
    user_id = grant(org)
    issued_at = str(int(org.clock.now().timestamp() * 1000))
    identity = f"{request.host_url}id/{org.organization_id}/{user_id}"
    signature = hmac.digest(org.settings.client_secret.encode(), f"{identity}{issued_at}".encode(), "sha256")
    return jsonify(
        access_token=org.tokens.issue(org.organization_id, user_id),
        signature=base64.b64encode(signature).decode(),
        scope="api",
        instance_url=request.host_url.rstrip("/"),
        id=identity,
        token_type="Bearer",  # noqa: S106 -- a kind, not a secret
        issued_at=issued_at,
    )


@api.routes.route("/id/<organization_id>/<user_id>", methods=["GET", "POST"])
@api.routes.route("/services/oauth2/userinfo", methods=["GET", "POST"])
def identity(organization_id: str = "", user_id: str = "") -> dict[str, Any]:
    """The user for whom the token acts."""
    org = api.org()
    user = org.user(api.user_id())
    return {
        "id": f"{request.host_url}id/{org.organization_id}/{user['Id']}",
        "sub": f"{request.host_url}id/{org.organization_id}/{user['Id']}",
        "user_id": user["Id"],
        "organization_id": org.organization_id,
        "username": user["Username"],
        "preferred_username": user["Username"],
        "display_name": user["Name"],
        "name": user["Name"],
        "email": user["Email"],
        "active": user["IsActive"],
        "urls": {"rest": f"{request.host_url}services/data/v{{version}}/"},
    }


def _client_credentials(org: "Side") -> str:
    basic = request.authorization
    if basic and basic.type == "basic":
        given = (basic.username, basic.password)
    else:
        given = (request.form.get("client_id"), request.form.get("client_secret"))
    if not _same(given[0], org.settings.client_id):
        raise TokenError("invalid_client_id", "client identifier invalid")
    if not _same(given[1], org.settings.client_secret):
        raise TokenError("invalid_client", "invalid client credentials")
    return org.own_user_id


def _jwt_bearer(org: "Side") -> str:
    """The user named in `sub` of an assertion, which must verify with `public_key`."""
    settings = org.settings
    audiences = [request.host_url.rstrip("/"), f"{request.host_url}services/oauth2/token", *settings.jwt_audiences]
    try:
        claims = jwt.decode(
            request.form.get("assertion", ""),
            _public_key(settings.public_key),
            algorithms=["RS256"],
            audience=audiences,
            issuer=settings.client_id,
            options={"require": ["iss", "aud", "sub", "exp"]},
        )
    except (jwt.InvalidTokenError, jwt.InvalidKeyError, ValueError) as error:
        raise TokenError("invalid_grant", f"invalid assertion: {error}") from error
    user_id = org.user_named(claims["sub"])
    if user_id is None:
        raise TokenError("invalid_grant", "user hasn't approved this consumer")
    return user_id


def _public_key(pem: str) -> Any:

    if not pem:
        raise TokenError("invalid_grant", "the sandbox was given no public_key to verify assertions with")
    if "CERTIFICATE" in pem:
        return x509.load_pem_x509_certificate(pem.encode()).public_key()
    return load_pem_public_key(pem.encode())


def _same(given: str | None, expected: str) -> bool:
    return hmac.compare_digest((given or "").encode(), expected.encode())
