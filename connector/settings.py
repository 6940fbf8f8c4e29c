"""All settings except the CRMs' own. connector/environment.py reads them.

Unsafe or missing settings are refused at start, with the variable's name. Secrets are SecretStr: they show as asterisks
wherever a settings object is printed or logged.
"""

import contextlib
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, overload

import platformdirs
from pydantic import AfterValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings

from connector import addresses, environment, expected, send_at
from connector.environment import FromEnvironment
from connector.errors import BadSettings, Problems
from connector.setting_types import (
    Countries,
    Folder,
    HttpsUrl,
    LongSecret,
    Messages,
    Origins,
    Secrets,
    SkippedChecks,
    WebhookSecret,
    Words,
)

Kind = TypeVar("Kind", bound=BaseSettings)


class Settings(FromEnvironment):
    """All settings except those of the CRMs and of http/config.py. Each field is the variable CONNECTOR_<FIELD>."""

    data_dir: Folder = Field(default_factory=lambda: platformdirs.user_data_path("ccai-sms-connector"))
    """Folder of the embedded database. Default: `ccai-sms-connector` in the user's data folder."""
    database_url: SecretStr | None = None
    """URL of your PostgreSQL database. Without it, the embedded database is used."""
    pseudonym_key: LongSecret | None = None
    """Becomes part of the key of the [pseudonyms](operations.md#pseudonyms) stored in place of numbers. At least 24
    characters; set before the first start and never changed.
    """
    mappings: Path | None = None
    """Folder of mapping files. Default: the shipped `mappings`."""

    host: str = "127.0.0.1"
    """Address on which the web process listens."""
    port: int = Field(default=8080, ge=1, le=65535)
    """Port on which the web process listens."""
    web_threads: int = Field(default=16, ge=1, le=256)
    """Requests that the web process handles concurrently, and its database connections, in addition to 4 for saving
    events.
    """
    max_body_bytes: int = Field(default=1_000_000, ge=1_000)
    """Size limit of a request's body, in bytes."""
    receive_seconds: float = Field(default=30, ge=1, le=300)
    """Seconds within which a request must arrive in full."""
    trusted_proxy: str = ""
    """Address of the reverse proxy whose `X-Forwarded-For` gives the caller's address in the log."""
    shutdown_delay_seconds: float = Field(default=0, ge=0, le=8)
    """Seconds for which a stopping web process still accepts requests while `/readyz` answers 503, so that a balancer
    stops sending to it.
    """
    metrics_keys: Secrets = []
    """Keys, at least 24 characters, for [`GET /metrics`](metrics.md), sent as a bearer token. Without a key, the web
    process has no such address.
    """
    worker_metrics_port: int | None = Field(default=None, ge=1, le=65535)
    """Port on which a worker serves [`GET /metrics`](metrics.md). Without it, a worker opens no port. Several workers
    on one machine need different ports.
    """
    worker_metrics_host: str = "127.0.0.1"
    """Address for that port. Other addresses than those of this machine require `CONNECTOR_METRICS_KEYS`."""
    public_url: HttpsUrl | None = None
    """Address of the web process as browsers see it. Links to the [page for agents](agents.md) begin with it. Default:
    the request's address.
    """
    frame_ancestors: Origins = []
    """Origins, `https://…`, whose pages may show the page for agents in a frame."""

    ccaip_subdomain: Annotated[str, AfterValidator(addresses.subdomain)] = ""
    """Subdomain of the tenant's address; also the API user name. Required."""
    ccaip_domain: Annotated[str, AfterValidator(addresses.domain)] = ""
    """The rest of the address, such as `uc1.ccaiplatform.com`. Required."""
    ccaip_url: HttpsUrl | None = None
    """Full address, instead of subdomain and domain. The subdomain is still the user name."""
    ccaip_token: SecretStr = SecretStr("")
    """The API credential's token. Required."""
    ccaip_outbound_number: str = ""
    """One of the tenant's SMS numbers, E.164. Required."""
    ccaip_chat_type: str = "Messaging (SMS)"
    """`chat_type` in each request."""
    ccaip_agent_spelling: Literal["agentId", "agent_id"] = "agentId"
    """How a request spells the agent: `agentId` or `agent_id`."""
    ccaip_opted_out_messages: Messages = []
    """CCAI Platform's refusals that mean [opted out or blocked](opt-outs.md#entries-and-their-sources), separated by
    semicolons. None is documented.
    """
    ccaip_requests_per_second: float = Field(default=10, ge=0)
    """Texts a second, for all workers together. 0: no limit."""
    ccaip_requests_at_once: int = Field(default=100, ge=1, le=400)
    """Concurrent SMS requests of one worker."""
    ccaip_connect_timeout: float = Field(default=5, gt=0, le=300)
    """Seconds to establish a connection."""
    ccaip_read_timeout: float = Field(default=30, gt=0, le=3600)
    """Seconds to receive the whole response."""
    ccaip_webhook_primary_secret: WebhookSecret | None = None
    """Primary secret of [chat events](chat-events.md), which CCAI Platform generated. Without a secret they are
    refused.
    """
    ccaip_webhook_secondary_secret: WebhookSecret | None = None
    """Secondary secret of chat events. Either secret may sign either signature."""
    ccaip_webhook_tolerance_seconds: float = Field(default=300, ge=1, le=86_400)
    """Seconds by which the time of a chat event's signature may lie in the past or in the future. Other events are
    refused.
    """
    ccaip_customer_senders: Annotated[Words, Field(min_length=1)] = ["customer", "end_user"]
    """Sender types of chat messages that mean the customer."""

    countries: Countries = ["US"]
    """Countries that may be texted: ISO 3166 codes, separated by spaces or commas."""
    write_back_hold_seconds: float = Field(default=10, ge=0, le=60)
    """Seconds that an outcome waits so that several are written in one call."""
    busy_seconds: float = Field(default=14_400, ge=0, le=2_592_000)
    """Seconds that a text waits for the customer's other session to end."""
    unknown_try_again: bool = False
    """`true`: a text whose outcome is unknown is sent once more;
    [it may arrive twice](operations.md#texts-that-are-unknown).
    """
    unknown_from_chats: bool = False
    """`true`: search CCAI Platform's list of chats for the chat of an unknown text."""
    send_at_days: float = Field(default=send_at.DEFAULT_DAYS, ge=1, le=365)
    """Days ahead for which a text may be [scheduled](api.md#at-a-later-time)."""
    chat_poll_seconds: float = Field(default=30, ge=0, le=3600)
    """Seconds between two reads of CCAI Platform's list of changed chats, while [a chat is
    followed](chat-status.md); 0: the list is not read.
    """
    chat_write_seconds: float = Field(default=60, ge=1, le=3600)
    """Seconds between two writes of changed chat statuses to the CRM."""
    chat_calls_share: float = Field(default=0.7, ge=0, le=1)
    """Chat statuses and notes of pauses wait once the CRM's daily API calls are used up to this share."""
    batch_share: float = Field(default=0.8, gt=0, le=1)
    """Share of the texts a second that batches may use."""
    batch_calls_share: float = Field(default=0.8, ge=0, le=1)
    """Batches wait once the CRM's daily API calls are used up to this share."""
    trial_without: SkippedChecks = []
    """`hours`, `window`: checks of the policy to skip. Allowed only with a sandbox on this machine."""
    retention_days: float = Field(default=30, ge=0, le=36_500)
    """Days until phone numbers, messages and events are erased. 0: never."""
    audit_retention_days: float = Field(default=730, ge=0, le=36_500)
    """Days until entries of the [audit trail](operations.md#audit-trail) are deleted. 0: never."""

    @property
    def ccaip_address(self) -> str:
        """Return https://{subdomain}.{domain}, or the address that is set directly (the sandbox's)."""
        return self.ccaip_url or f"https://{self.ccaip_subdomain}.{self.ccaip_domain}"

    @property
    def ccaip_webhook_secrets(self) -> list[SecretStr]:
        """Return the secrets that sign chat webhooks. Empty: chat webhooks are off."""
        return [one for one in (self.ccaip_webhook_primary_secret, self.ccaip_webhook_secondary_secret) if one]

    @property
    def batch_rate(self) -> float:
        """Return the texts per second that batches may send; 0: no limit."""
        return self.ccaip_requests_per_second * self.batch_share

    @property
    def mappings_dir(self) -> Path:
        """Return the folder of mapping files: the configured one, or the shipped one."""
        return self.mappings or Path(__file__).resolve().parent.parent / "mappings"


@overload
def load(**given: Any) -> Settings: ...
@overload
def load(kind: type[Kind], **given: Any) -> Kind: ...
def load(kind: type[BaseSettings] = Settings, **given: Any) -> BaseSettings:
    """Return settings of this class. `given` overrides the environment. Raises BadSettings with every problem."""
    try:
        with environment.reading():
            return kind(**given)
    except ValidationError as error:
        raise BadSettings("\n".join(_problem(one, kind) for one in error.errors())) from None


def load_with_defaults(problems: Problems, **given: Any) -> Settings:
    """Return the settings, with defaults in place of invalid values, so that the rest can be checked too.

    Each invalid value is added to `problems`. Raises BadSettings where the .env file cannot be read.
    """
    try:
        with environment.reading():
            return Settings(**given)
    except ValidationError as error:
        wrong = {str(one["loc"][0]): _problem(one, Settings) for one in error.errors()}
    problems.extend(wrong.values())
    fields = Settings.model_fields
    return Settings(**given | {name: fields[name].get_default(call_default_factory=True) for name in wrong})


def values_in_clear() -> dict[str, str]:
    """Return all settings of the loaded modules by variable, secrets in clear: for fingerprints only."""
    found = dict[str, str]()
    for kind in environment.kinds():
        with contextlib.suppress(BadSettings):  # settings of a CRM that is not set up
            found |= {f"{environment.prefix(kind)}{name}".upper(): _clear(value) for name, value in load(kind)}
    return found


def _clear(value: object) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return " ".join(map(_clear, value)) if isinstance(value, list) else str(value)


def _problem(error: Any, kind: type[BaseSettings]) -> str:
    name = "_".join(str(part) for part in error["loc"][:1])
    words = f"expected {kind.model_fields[name].description}" if error["type"] == "missing" else expected.words(error)
    return f"{environment.prefix(kind)}{name.upper()}: {words}"
