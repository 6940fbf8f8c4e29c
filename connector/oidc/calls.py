"""Calls to an identity provider, over the connector's transport. Redirects are not followed.

Its parts may be on several hosts, and sign-ins are rare: each call has a connection of its own.
"""

from contextlib import closing
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import requests
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from requests.adapters import BaseAdapter

from connector.errors import SignInRefused, Unavailable
from connector.http import for_requests
from connector.http.config import Network
from connector.http.exchange import Bounds, NeverSent, NoResponse
from connector.http.transport import Caller, Connections
from connector.oidc.metadata import Metadata
from connector.oidc.settings import Settings

BOUNDS = Bounds(connect_seconds=5, answer_seconds=10)


class OwnTransport(BaseAdapter):
    """Sends each request by a connection that is closed after it."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self._network = network

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        """Send the request. Raises NeverSent or NoResponse."""
        parts = urlsplit(request.url or "")
        connections = Connections(f"{parts.scheme}://{parts.netloc}", BOUNDS, self._network)
        with closing(Caller(connections)) as caller:
            return for_requests.send(caller, request)

    def close(self) -> None:
        """Do nothing: no connection is kept."""


def session(settings: Settings, network: Network, metadata: Metadata | None = None) -> OAuth2Session:
    """Return Authlib's client for this provider."""
    secret = settings.client_secret.get_secret_value() if settings.client_secret else ""
    made = OAuth2Session(
        settings.client_id,
        secret,
        token_endpoint_auth_method=metadata and metadata.auth_method,
        scope=" ".join(settings.scopes),
        code_challenge_method="S256",
        trust_env=False,
    )
    made.adapters.clear()
    for scheme in ("https://", "http://"):
        made.mount(scheme, OwnTransport(network))
    return made


def read_json(client: OAuth2Session, url: str, what: str, bearer: str = "") -> Any:
    """Return the JSON at this address. `what` names it in errors. Raises Unavailable."""
    headers = {"Accept": "application/json"} | ({"Authorization": f"Bearer {bearer}"} if bearer else {})
    try:
        response = client.request("GET", url, withhold_token=True, headers=headers, allow_redirects=False)
        if response.status_code != requests.codes.ok:
            raise Unavailable(f"the identity provider answers {response.status_code} for {what}")
        return response.json()
    except (NeverSent, NoResponse) as error:
        raise Unavailable(f"the identity provider does not answer for {what} ({error})") from None
    except (ValueError, RecursionError):
        raise Unavailable(f"the identity provider's {what} cannot be read") from None


@dataclass(frozen=True, slots=True)
class Tokens:
    """What the token endpoint gave for a code."""

    id_token: str = field(repr=False)
    access: str = field(repr=False)


def redeem(client: OAuth2Session, metadata: Metadata, code: str, verifier: str, redirect_uri: str) -> Tokens:
    """Return the tokens for a code. Raises SignInRefused, or Unavailable."""
    try:
        given = client.fetch_token(
            metadata.token_endpoint,
            grant_type="authorization_code",
            code=code,
            code_verifier=verifier,
            redirect_uri=redirect_uri,
            allow_redirects=False,
        )
    except OAuthError as error:
        raise SignInRefused(f"the identity provider refused the sign-in ({error_code(error.error)})") from None
    except (NeverSent, NoResponse) as error:
        raise Unavailable(f"the identity provider does not answer for a token ({error})") from None
    except (requests.RequestException, ValueError, RecursionError, TypeError):
        raise Unavailable("the identity provider's answer for a token cannot be read") from None
    tokens = Tokens(given.get("id_token"), given.get("access_token"))
    if not isinstance(tokens.id_token, str) or not isinstance(tokens.access, str):
        raise SignInRefused("the identity provider gave no ID token")
    return tokens


def error_code(given: object) -> str:
    """Return an error code of OAuth, or a word in place of anything else, which could be any text."""
    words = str(given)
    return words if words.isascii() and words.replace("_", "").isalpha() and len(words) <= 40 else "unknown error"
