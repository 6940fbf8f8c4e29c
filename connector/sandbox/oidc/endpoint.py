"""The provider's addresses: discovery, keys, a page to choose a person, tokens, userinfo, and signing out."""

from typing import Any

from authlib.oauth2 import OAuth2Error
from flask import Blueprint, Response, jsonify, render_template, request

from connector.sandbox import journal, page
from connector.sandbox.oidc import PEOPLE
from connector.sandbox.oidc.server import (
    ELSEWHERE,
    SCOPES,
    authorization_server,
    issuer,
    provider,
    require_token,
    userinfo,
)

routes = Blueprint("oidc", __name__, url_prefix="/oidc")
journal.keep(routes)


@routes.after_request
def protect(response: Response) -> Response:
    response.headers.update(page.HEADERS)
    return response


@routes.get("/.well-known/openid-configuration")
def discovery() -> Response:
    """The provider's metadata."""
    settings, here = provider().settings, issuer()
    return jsonify(
        issuer=ELSEWHERE if settings.oidc_fault == "wrong_metadata" else here,
        authorization_endpoint=f"{here}/authorize",
        token_endpoint=f"{here}/token",
        jwks_uri=f"{here}/jwks",
        userinfo_endpoint=f"{here}/userinfo",
        end_session_endpoint=f"{here}/end-session",
        scopes_supported=SCOPES,
        response_types_supported=["code"],
        grant_types_supported=["authorization_code"],
        subject_types_supported=["public"],
        id_token_signing_alg_values_supported=["RS256"],
        code_challenge_methods_supported=["S256"],
        token_endpoint_auth_methods_supported=settings.oidc_auth_methods,
        claims_supported=["sub", "name", "preferred_username", "email", "email_verified", "groups"],
    )


@routes.get("/jwks")
def jwks() -> Response:
    """The public signing keys."""
    return jsonify(provider().published_keys.as_dict(private=False))


@routes.get("/authorize")
def authorize() -> Any:
    """A page with the people; with `person`, the way back to the client. Links, because the policy allows no form."""
    server = authorization_server()
    chosen = request.args.get("person")
    try:
        grant = server.get_consent_grant()  # type: ignore[no-untyped-call]  # types-authlib has no types for it
    except OAuth2Error as error:
        return render_template("oidc.html", problem=error.description or error.error), 400
    if chosen is None:
        return render_template("oidc.html", people=PEOPLE, asked=request.args.to_dict(), client=grant.request.client)
    return server.create_authorization_response(grant_user=provider().person(chosen), grant=grant)


@routes.post("/token")
def token() -> Any:
    """A code becomes an ID token and an access token."""
    return authorization_server().create_token_response()


@routes.get("/userinfo")
def read_userinfo() -> Response:
    """The claims about the person whom the access token is for."""
    with require_token.acquire("openid") as token:
        answer = userinfo(token)
    return jsonify(answer)


@routes.get("/end-session")
def end_session() -> str:
    """The person is signed out. The provider keeps no session, so that each sign-in asks who it is."""
    return render_template("oidc.html", signed_out=True)
