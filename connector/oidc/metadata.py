"""The metadata of an identity provider: where its parts are, and what it can do.

https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderMetadata
"""

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from connector import addresses
from connector.errors import Unavailable

PATH = "/.well-known/openid-configuration"
# Signatures with a public key. With others, whoever knows the client secret could sign, or nobody has to.
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512")
BASIC, POST = "client_secret_basic", "client_secret_post"


def _endpoint(url: str) -> str:
    """Require https, or this machine. An endpoint may have a query."""
    addresses.https_or_loopback_path(url.partition("?")[0])
    return url


Endpoint = Annotated[str, AfterValidator(_endpoint)]


class Metadata(BaseModel):
    """The metadata that are used here. A list that is absent has its default of the specification."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    issuer: str
    authorization_endpoint: Endpoint
    token_endpoint: Endpoint
    jwks_uri: Endpoint
    userinfo_endpoint: Endpoint | None = None
    end_session_endpoint: Endpoint | None = None
    response_types_supported: list[str]
    code_challenge_methods_supported: list[str] = ["S256"]
    id_token_signing_alg_values_supported: list[str] = ["RS256"]
    token_endpoint_auth_methods_supported: list[str] = [BASIC]
    authorization_response_iss_parameter_supported: bool = False

    @property
    def algorithms(self) -> list[str]:
        """The algorithms that the provider may sign with."""
        return [name for name in ALGORITHMS if name in self.id_token_signing_alg_values_supported]

    @property
    def auth_method(self) -> str:
        """How the client authenticates at the token endpoint."""
        return BASIC if BASIC in self.token_endpoint_auth_methods_supported else POST


def read(content: object, issuer: str) -> Metadata:
    """Return the metadata of this issuer. Raises Unavailable with everything that does not fit."""
    try:
        found = Metadata.model_validate(content)
    except ValidationError as error:
        names = sorted({".".join(map(str, each["loc"][:1])) or "JSON" for each in error.errors()})
        raise Unavailable(f"the identity provider's metadata are not usable: {', '.join(names)}") from None
    misfits = list(_misfits(found, issuer))
    if misfits:
        raise Unavailable(f"the identity provider's metadata do not fit: {'; '.join(misfits)}")
    return found


def _misfits(found: Metadata, issuer: str) -> list[str]:
    secure = urlsplit(issuer).scheme == "https"
    endpoints = (found.authorization_endpoint, found.token_endpoint, found.jwks_uri, found.userinfo_endpoint)
    checks = {
        f"it calls itself {found.issuer}; CONNECTOR_OIDC_ISSUER has to be the same": found.issuer == issuer,
        "an endpoint has no https": not secure or all(urlsplit(url).scheme == "https" for url in endpoints if url),
        "it has no authorization code flow": "code" in found.response_types_supported,
        "it has no PKCE with S256": "S256" in found.code_challenge_methods_supported,
        f"it signs with none of {', '.join(ALGORITHMS)}": bool(found.algorithms),
        "it takes no client secret": {BASIC, POST} & set(found.token_endpoint_auth_methods_supported) != set(),
    }
    return [words for words, fits in checks.items() if not fits]
