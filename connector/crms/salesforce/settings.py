"""The settings of a connected org and its channels: every CONNECTOR_SALESFORCE_… variable is defined here.

The pipeline reads only the org's settings; only the web process reads the channels'. See environment.FromEnvironment.
"""

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, SecretStr, ValidationInfo, field_validator

from connector import environment, setting_types, settings
from connector.expected import matching

ENV_PREFIX = f"{environment.PREFIX}SALESFORCE_"


# Endings of addresses of an org that serve pages and not the API.
# https://help.salesforce.com/s/articleView?id=xcloud.domain_name_url_formats.htm
PAGES = (".force.com", ".salesforce-setup.com", ".visualforce.com", ".salesforce-sites.com", ".site.com")
MY_DOMAIN = "the org's My Domain (Setup > My Domain), such as https://acme.my.salesforce.com"
ORG_ID = "the org's id, 15 or 18 letters and digits that begin with 00D (Setup > Company Information)"
LOG_IN = ("login.salesforce.com", "test.salesforce.com", "www.salesforce.com")


def _my_domain(given: object) -> object:
    """Refuse other addresses that people copy from the browser instead of the org's My Domain."""
    text = str(given)
    try:
        host = urlsplit(text if "//" in text else f"//{text}").hostname or ""
    except ValueError:
        return given  # refused later, as an invalid address
    words = f"expected {MY_DOMAIN}"
    if host.endswith(".lightning.force.com"):
        raise ValueError(f"{words}; in the address of a page, write .my.salesforce.com for .lightning.force.com")
    if host.endswith(PAGES):
        raise ValueError(f"{words}; this is the address of pages, which does not answer the API")
    if host in LOG_IN:
        raise ValueError(f"{words}; this is where people log in")
    return given


ClientName = Annotated[str, matching(r"[\w.-]+", "expected letters, digits, dots, underscores and hyphens alone")]
OrganizationId = Annotated[str, matching(r"00D[a-zA-Z0-9]{12}(?:[a-zA-Z0-9]{3})?", f"expected {ORG_ID}")]


class Settings(environment.FromEnvironment):
    """The settings of the org: either `client_secret`, or `jwt_key` and `username`.

    `url` is the org's My Domain; `jwt_key` is a private key in PEM. Timeouts in seconds.
    """

    model_config = {"env_prefix": ENV_PREFIX}

    url: Annotated[setting_types.HttpsUrl, BeforeValidator(_my_domain)] = Field(description=MY_DOMAIN)
    api_version: Annotated[str, matching(r"[0-9]{2,3}\.0", "expected a version of the API, such as 67.0")] = "67.0"
    """Version of the REST API."""
    client_id: str = Field(min_length=1, description="the consumer key of the org's external client app")
    jwt_key: SecretStr | None = None
    """Private key in PEM (quoted, over several lines), for JWT bearer. Required unless
    `CONNECTOR_SALESFORCE_CLIENT_SECRET` is set.
    """
    username: str | None = None
    """The integration user's name, for JWT bearer."""
    client_secret: SecretStr | None = Field(default=None, validate_default=True)
    """The external client app's consumer secret, for client credentials."""
    jwt_audience: str = "https://login.salesforce.com"
    """`https://test.salesforce.com` for a sandbox org."""
    client_name: ClientName = "ccai-sms-connector"
    """Client name in `Sforce-Call-Options`."""
    connect_timeout: float = Field(default=5, gt=0, le=300)
    """Seconds to establish a connection."""
    read_timeout: float = Field(default=30, gt=0, le=3600)
    """Seconds to receive the whole response."""

    @field_validator("jwt_key", mode="after")
    @classmethod
    def _in_lines(cls, key: SecretStr | None) -> SecretStr | None:
        """Restore the lines of a PEM file from an environment variable: one line, quotes, or other line ends."""
        if key is None:
            return None
        text = key.get_secret_value().strip().strip("\"'").replace("\\r", "").replace("\\n", "\n")
        return SecretStr("\n".join(text.strip().splitlines()) + "\n")

    @field_validator("client_secret")
    @classmethod
    def _or_a_key(cls, secret: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if secret or (info.data.get("jwt_key", "refused already") and info.data.get("username")):
            return secret
        raise ValueError(
            f"expected the app's secret, or {ENV_PREFIX}JWT_KEY (PEM) and {ENV_PREFIX}USERNAME for JWT bearer"
        )


class Address(environment.FromEnvironment):
    """The org's address alone, for commands that need no other setting of the org."""

    model_config = {"env_prefix": ENV_PREFIX}

    url: str = ""


class Hooks(environment.FromEnvironment):
    """The settings of webhooks. Several tokens, secrets and keys are valid at once; at least one is required.

    `organization_id` is the org's id, 15 or 18 characters.
    """

    model_config = {"env_prefix": ENV_PREFIX}

    organization_id: OrganizationId = Field(description=ORG_ID)
    webhook_secrets: setting_types.SigningSecrets = []
    """Standard Webhooks secrets for JSON events, in base64, with or without `whsec_`."""
    webhook_keys: setting_types.Secrets = []
    """Bearer keys for JSON events, each of at least 24 characters."""
    outbound_message_tokens: setting_types.Secrets = Field(default=[], validate_default=True)
    """Tokens in the address of the outbound message, each of at least 24 characters. Tokens, bearer keys or
    webhook secrets are required.
    """

    @field_validator("outbound_message_tokens")
    @classmethod
    def _or_another(cls, tokens: list[SecretStr], info: ValidationInfo) -> list[SecretStr]:
        others = ("webhook_secrets", "webhook_keys")
        if tokens or any(info.data.get(name, "refused already") for name in others):
            return tokens
        raise ValueError(f"expected at least one token, or {ENV_PREFIX}WEBHOOK_SECRETS, or {ENV_PREFIX}WEBHOOK_KEYS")


class Canvas(environment.FromEnvironment):
    """The agent page in a frame of the org: the consumer secrets of the canvas app, several during a rotation.

    `canvas_seconds`: the maximum age of a signed request.
    """

    model_config = {"env_prefix": ENV_PREFIX}

    organization_id: str = ""
    canvas_secrets: setting_types.Secrets = []
    """Consumer secrets of the app that shows the page for agents through [Canvas](agents.md#salesforce-canvas)."""
    canvas_seconds: int = Field(default=300, ge=30, le=86_400)
    """Maximum age of Canvas requests, in seconds."""


class ApiTokens(environment.FromEnvironment):
    """The org's tokens for the API: its certificates (paths of PEM files), the issuer, the audience."""

    model_config = {"env_prefix": f"{ENV_PREFIX}API_"}

    certificates: setting_types.Words = []
    """Paths of the org's certificates (PEM), which verify its [JWTs](api.md#who-may-call) for the API."""
    issuer: str = Field(default="", max_length=500, validate_default=True)
    """Issuer of these JWTs. Required with certificates."""
    audience: str = Field(default="", max_length=500, validate_default=True)
    """Audience of these JWTs. Required with certificates."""

    @field_validator("issuer", "audience")
    @classmethod
    def _with_certificates(cls, value: str, info: ValidationInfo) -> str:
        if info.data.get("certificates") and not value:
            raise ValueError(f"expected, because {ENV_PREFIX}API_CERTIFICATES is set")
        return value


def load() -> Settings:
    """Return the settings of the org, from the environment. Raises BadSettings."""
    return settings.load(Settings)


def load_address() -> str:
    """Return the configured address of the org, valid or not; empty where none is set."""
    return settings.load(Address).url
