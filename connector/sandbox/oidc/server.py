"""The authorization server: Authlib's authorization code grant, with PKCE and ID tokens."""

import time
from collections.abc import Collection
from dataclasses import dataclass
from hmac import compare_digest
from typing import Any

from authlib.integrations.flask_oauth2 import AuthorizationServer, ResourceProtector
from authlib.oauth2.rfc6749 import AuthorizationCodeMixin, ClientMixin, InvalidRequestError, TokenMixin, scope_to_list
from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant
from authlib.oauth2.rfc6750 import BearerTokenValidator
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oidc.core import UserInfo
from authlib.oidc.core.grants import OpenIDCode
from flask import Flask, current_app
from joserfc.jwk import RSAKey

from connector.sandbox import journal, server
from connector.sandbox.oidc import PEOPLE, Person, Provider

CODE_SECONDS = 60
TOKEN_SECONDS = 300
SCOPES = ("openid", "profile", "email", "groups")
ELSEWHERE = "https://other.example/oidc"


def provider() -> Provider:
    """The provider that received this request."""
    return journal.box().oidc


def issuer() -> str:
    return f"{journal.box().url}/oidc"


class Client(ClientMixin):
    """The one registered client. Its redirect URIs are all addresses of this machine."""

    client_metadata: dict[str, Any] = {}

    def get_client_id(self) -> str:
        return provider().settings.oidc_client_id

    def get_default_redirect_uri(self) -> str:
        return ""

    def get_allowed_scope(self, scope: Collection[str] | str) -> str:
        return " ".join(each for each in scope_to_list(scope) or () if each in SCOPES)

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        try:
            server.require_loopback(redirect_uri)
        except ValueError:
            return False
        return True

    def check_client_secret(self, client_secret: str) -> bool:
        return compare_digest(client_secret.encode(), provider().settings.oidc_client_secret.encode())

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method in provider().settings.oidc_auth_methods

    def check_response_type(self, response_type: str) -> bool:
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type == "authorization_code"


@dataclass(frozen=True, slots=True)
class Code(AuthorizationCodeMixin):
    """A code for one token. `issued`: seconds since the epoch."""

    code: str
    person: Person
    redirect_uri: str
    scope: str
    nonce: str | None
    code_challenge: str | None
    code_challenge_method: str | None
    issued: float

    def get_redirect_uri(self) -> str:
        return self.redirect_uri

    def get_scope(self) -> str:
        return self.scope

    def get_nonce(self) -> str | None:
        wrong = provider().settings.oidc_fault == "wrong_nonce"
        return "a-nonce-of-another-sign-in" if wrong else self.nonce

    def get_auth_time(self) -> int:
        return int(self.issued)

    def get_acr(self) -> None:
        return None

    def get_amr(self) -> None:
        return None


@dataclass(frozen=True, slots=True)
class Token(TokenMixin):
    """An access token, for userinfo. `issued`: seconds since the epoch."""

    person: Person
    scope: str
    issued: float

    def get_scope(self) -> str:
        return self.scope

    def get_expires_in(self) -> int:
        return TOKEN_SECONDS

    def is_expired(self) -> bool:
        return self.issued + TOKEN_SECONDS < time.time()

    def is_revoked(self) -> bool:
        return False


class CodeGrant(AuthorizationCodeGrant):
    """Codes are kept in memory, for a minute and for one use."""

    def save_authorization_code(self, code: str, request: Any) -> None:
        given = request.payload.data.get
        provider().codes[code] = Code(
            code,
            request.user,
            request.payload.redirect_uri,
            request.scope,
            given("nonce"),
            given("code_challenge"),
            given("code_challenge_method"),
            time.time(),
        )

    def query_authorization_code(self, code: str, client: ClientMixin) -> Code | None:
        found: Code | None = provider().codes.get(code)
        return found if found and found.issued + CODE_SECONDS > time.time() else None

    def delete_authorization_code(self, authorization_code: Code) -> None:
        provider().codes.pop(authorization_code.code, None)

    def authenticate_user(self, authorization_code: Code) -> Person:
        return authorization_code.person


class S256(CodeChallenge):
    """PKCE, by S256 alone and required of every client."""

    SUPPORTED_CODE_CHALLENGE_METHOD = ["S256"]
    DEFAULT_CODE_CHALLENGE_METHOD = "S256"

    def validate_code_challenge(self, grant: Any, redirect_uri: str) -> None:
        if not grant.request.payload.data.get("code_challenge"):
            raise InvalidRequestError("Missing 'code_challenge'")
        super().validate_code_challenge(grant, redirect_uri)


class IdToken(OpenIDCode):
    """The ID token, with what is wrong with it."""

    def exists_nonce(self, nonce: str, request: Any) -> bool:
        return False

    def resolve_client_private_key(self, client: Client) -> RSAKey:
        here, fault = provider(), provider().settings.oidc_fault
        if fault == "other_key":
            return RSAKey.import_key(here.other_key.as_pem(private=True), {"kid": here.key.kid or ""})
        return here.other_key if fault == "unlisted_key" else here.key

    def get_client_algorithm(self, client: Client) -> str:
        return "RS256"

    def get_encode_header(self, client: Client) -> dict[str, Any]:
        return {"alg": "RS256", "kid": self.resolve_client_private_key(client).kid}

    def get_client_claims(self, client: Client) -> dict[str, Any]:
        fault, now = provider().settings.oidc_fault, int(time.time())
        return {
            "iss": ELSEWHERE if fault == "wrong_issuer" else issuer(),
            "aud": ["another-client"] if fault == "wrong_audience" else [client.get_client_id()],
            "iat": now - TOKEN_SECONDS - 3600 if fault == "expired" else now,
            "exp": now - 3600 if fault == "expired" else now + TOKEN_SECONDS,
        }

    def generate_user_info(self, user: Person, scope: str) -> UserInfo:
        groups = provider().settings.oidc_groups_in == "id_token"
        return UserInfo(claims(user, scope, groups))


class Bearer(BearerTokenValidator):
    """Reads the access token of a request for userinfo."""

    def authenticate_token(self, token_string: str) -> Token | None:
        found: Token | None = provider().tokens.get(token_string)
        return found


def claims(person: Person, scope: str, groups: bool = True) -> dict[str, Any]:
    """The claims of a person within a scope."""
    asked = scope.split()
    found: dict[str, Any] = {"sub": person.sub}
    if "profile" in asked:
        found |= {"name": person.name, "preferred_username": person.email.partition("@")[0]}
    if "email" in asked:
        found |= {"email": person.email, "email_verified": True}
    if groups and provider().settings.oidc_fault != "no_groups":
        found["groups"] = list(person.groups)
    return found


def userinfo(token: Token) -> dict[str, Any]:
    """What userinfo says about the token's person."""
    if provider().settings.oidc_fault == "other_person":
        return claims(next(other for other in PEOPLE if other != token.person), token.scope)
    return claims(token.person, token.scope)


def save_token(token: dict[str, Any], request: Any) -> None:
    provider().tokens[token["access_token"]] = Token(request.user, token["scope"], time.time())


def query_client(client_id: str) -> Client | None:
    client = Client()
    return client if client_id == client.get_client_id() else None


require_token = ResourceProtector()
require_token.register_token_validator(Bearer())


def install(app: Flask) -> None:
    """Make the authorization server of one sandbox."""
    made = AuthorizationServer(app, query_client, save_token)
    made.register_grant(CodeGrant, [IdToken(require_nonce=True), S256(required=True)])
    app.extensions["oidc"] = made


def authorization_server() -> AuthorizationServer:
    """The authorization server that received this request."""
    found: AuthorizationServer = current_app.extensions["oidc"]
    return found
