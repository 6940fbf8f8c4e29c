"""The only place that reads the environment: CONNECTOR_… variables, or an .env file in the working folder.

Unsafe or missing settings are refused at start, with the variable's name. Secrets are SecretStr: they show as
asterisks wherever a settings object is printed or logged.
"""

import base64
import difflib
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import urlsplit

import platformdirs
from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, StringConstraints, ValidationError
from pydantic_settings import BaseSettings, DotEnvSettingsSource, EnvSettingsSource, NoDecode, SettingsConfigDict

from connector import phone
from connector.errors import BadSettings, Problems

PREFIX = "CONNECTOR_"
ENV_FILE = Path(".env")
# What the tests read is nobody's setting.
OF_TESTS = f"{PREFIX}TEST_"
LOOPBACK = {"127.0.0.1", "localhost", "::1"}

Kind = TypeVar("Kind", bound=BaseSettings)


def _words(value: object) -> object:
    """Splits what the environment has as one text, by spaces and commas."""
    return value.replace(",", " ").split() if isinstance(value, str) else value


def https_or_loopback(url: str) -> str:
    """The URL without a trailing slash. Plain http carries secrets in the clear: for this machine only."""
    try:
        parts = urlsplit(url)
        more = "@" in parts.netloc or parts.query or parts.fragment or parts.path.strip("/") or parts.port == 0
    except ValueError:
        raise ValueError("expected an address such as https://host") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or more:
        raise ValueError("expected an address such as https://host")
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        raise ValueError("expected https://; plain http is for addresses of this machine only")
    return url.rstrip("/")


def _country(code: str) -> str:
    if code not in phone.EVERY_COUNTRY:
        raise ValueError('expected ISO 3166 country codes in capitals, such as "US, CA"')
    return code


def long_enough(secret: SecretStr) -> SecretStr:
    """Refuses a secret that could be guessed."""
    if len(secret.get_secret_value()) < 24:
        raise ValueError("expected at least 24 characters; make one with: openssl rand -hex 24")
    return secret


def _base64(secret: SecretStr) -> SecretStr:
    try:
        base64.b64decode(secret.get_secret_value().removeprefix("whsec_"), validate=True)
    except ValueError:
        raise ValueError('expected "whsec_" and base64; make one with: echo whsec_$(openssl rand -base64 24)') from None
    return secret


Country = Annotated[str, AfterValidator(_country)]
# Not relative: a library that is told such a runtime folder falls back to one that all users share.
Folder = Annotated[Path, AfterValidator(Path.absolute)]
HttpsUrl = Annotated[str, AfterValidator(https_or_loopback)]
LongSecret = Annotated[SecretStr, AfterValidator(long_enough)]
# Several at once, separated by spaces or commas, so that secrets can be rotated without a gap.
Secrets = Annotated[list[LongSecret], NoDecode, BeforeValidator(_words)]
SigningSecret = Annotated[SecretStr, AfterValidator(long_enough), AfterValidator(_base64)]
SigningSecrets = Annotated[list[SigningSecret], NoDecode, BeforeValidator(_words)]
# Whose pages may show one of ours in a frame: it goes into a header as it is.
Origins = Annotated[
    list[Annotated[str, StringConstraints(pattern=r"^https://[A-Za-z0-9.-]+(:[0-9]{1,5})?$")]],
    NoDecode, BeforeValidator(_words),
]  # fmt: skip
Words = Annotated[list[str], NoDecode, BeforeValidator(_words)]
Countries = Annotated[list[Country], NoDecode, BeforeValidator(_words), Field(min_length=1)]


class FromEnvironment(BaseSettings):
    """What all settings have in common. A CRM's own settings are of this kind too, with an env_prefix of their own.

    All of them stand in connector/crms/, those of its doors too: every process knows by them which variables there are.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_file=ENV_FILE, env_ignore_empty=True, extra="ignore", hide_input_in_errors=True
    )


class Settings(FromEnvironment):
    """Everything but the CRMs' own settings. Each field is the variable CONNECTOR_<FIELD>."""

    data_dir: Folder = Field(default_factory=lambda: platformdirs.user_data_path("ccai-sms-connector"))
    database_url: SecretStr | None = None
    pseudonym_key: LongSecret | None = None
    mappings: Path | None = None

    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=1, le=65535)
    web_threads: int = Field(default=16, ge=1, le=256)
    max_body_bytes: int = Field(default=1_000_000, ge=1_000)
    receive_seconds: float = Field(default=30, ge=1, le=300)
    trusted_proxy: str = ""
    public_url: HttpsUrl | None = None
    frame_ancestors: Origins = []

    ccaip_subdomain: str = Field(default="", pattern=r"^[A-Za-z0-9-]*$")
    ccaip_domain: str = Field(default="", pattern=r"^[A-Za-z0-9.-]*$")
    ccaip_url: HttpsUrl | None = None
    ccaip_token: SecretStr = SecretStr("")
    ccaip_outbound_number: str = ""
    ccaip_chat_type: str = "Messaging (SMS)"
    ccaip_agent_spelling: Literal["agentId", "agent_id"] = "agentId"
    ccaip_requests_per_second: float = Field(default=10, ge=0, allow_inf_nan=False)
    ccaip_requests_at_once: int = Field(default=100, ge=1, le=400)
    ccaip_connect_timeout: float = Field(default=5, gt=0)
    ccaip_read_timeout: float = Field(default=30, gt=0)

    countries: Countries = ["US"]
    write_back_hold_seconds: float = Field(default=10, ge=0, le=60)
    busy_seconds: float = Field(default=14_400, ge=0)
    unknown_try_again: bool = False
    unknown_from_chats: bool = False
    batch_share: float = Field(default=0.8, gt=0, le=1)
    batch_calls_share: float = Field(default=0.8, ge=0, le=1)
    trial_without: Annotated[list[Literal["hours", "window"]], NoDecode, BeforeValidator(_words)] = []
    retention_days: float = Field(default=30, ge=0, le=36_500)

    @property
    def ccaip_address(self) -> str:
        """https://{subdomain}.{domain}, or the address that was given outright (the sandbox's)."""
        return self.ccaip_url or f"https://{self.ccaip_subdomain}.{self.ccaip_domain}"

    @property
    def batch_rate(self) -> float:
        """Texts a second that batches have; 0: without limit."""
        return self.ccaip_requests_per_second * self.batch_share

    @property
    def mappings_dir(self) -> Path:
        """The folder of mapping files: the one that was given, or those that are shipped."""
        return self.mappings or Path(__file__).resolve().parent.parent / "mappings"


def load(kind: type[Kind] = Settings, **given: Any) -> Kind:
    """Settings of this kind. `given` wins over the environment. Raises BadSettings, which lists every problem."""
    try:
        return kind(**given)
    except ValidationError as error:
        raise BadSettings("\n".join(_problem(one, _prefix(kind)) for one in error.errors())) from None


def look(problems: Problems, **given: Any) -> Settings:
    """The settings, with defaults in place of what is wrong, which is noted: so that the rest can be looked at too."""
    try:
        return Settings(**given)
    except ValidationError as error:
        wrong = {str(one["loc"][0]): _problem(one, PREFIX) for one in error.errors()}
    problems.extend(wrong.values())
    fields = Settings.model_fields
    return Settings(**given | {name: fields[name].get_default(call_default_factory=True) for name in wrong})


def _prefix(kind: type[BaseSettings]) -> str:
    return kind.model_config["env_prefix"]


def _problem(error: Any, prefix: str) -> str:
    name = "_".join(str(part) for part in error["loc"][:1])
    words = "expected; see the README" if error["type"] == "missing" else error["msg"].removeprefix("Value error, ")
    return f"{prefix}{name.upper()}: {words}"


def unknown() -> list[str]:
    """Variables that are set and that no settings know, in words: a misspelt one would just have no effect.

    Settings are known once their modules are loaded: see connector/refusals.py.
    """
    names = {f"{_prefix(kind)}{name}".upper() for kind in _kinds(FromEnvironment) for name in kind.model_fields}
    found = {**DotEnvSettingsSource(FromEnvironment).env_vars, **EnvSettingsSource(FromEnvironment).env_vars}
    strange = {name.upper() for name in found if name.upper().startswith(PREFIX)} - names
    return [_strange(name, names) for name in sorted(strange) if not name.startswith(OF_TESTS)]


def _kinds(kind: type[BaseSettings]) -> Iterator[type[BaseSettings]]:
    yield kind
    for more in kind.__subclasses__():
        yield from _kinds(more)


def _strange(name: str, names: Iterable[str]) -> str:
    """The likeness is that of what follows the prefix: all have that."""
    rest = {one.removeprefix(PREFIX): one for one in names}
    near = difflib.get_close_matches(name.removeprefix(PREFIX), rest, 1, cutoff=0.7)
    return f"{name} is not known and has no effect" + (f"; did you mean {rest[near[0]]}?" if near else "")


def exposed() -> str | None:
    """That the file with the secrets can be read by others, in words; None: it cannot, or there is none."""
    try:
        mode = ENV_FILE.stat().st_mode
    except OSError:
        return None
    others = mode & (stat.S_IRWXG | stat.S_IRWXO)
    return f"{ENV_FILE} is open to others than its owner: chmod 600 {ENV_FILE}" if others else None


def require_ccaip(settings: Settings) -> None:
    """Refuses to go on without what a text needs. Raises BadSettings."""
    checks: list[tuple[str, Callable[[], object], str]] = [
        ("CCAIP_SUBDOMAIN", lambda: settings.ccaip_subdomain, "the subdomain of your CCAI Platform address"),
        ("CCAIP_DOMAIN", lambda: settings.ccaip_domain or settings.ccaip_url, "its rest, such as uc1.ccaiplatform.com"),
        ("CCAIP_TOKEN", settings.ccaip_token.get_secret_value, "an API credential token of CCAI Platform"),
        ("CCAIP_OUTBOUND_NUMBER", lambda: settings.ccaip_outbound_number, "an SMS number of your tenant, E.164"),
    ]
    missing = [f"{PREFIX}{name}: expected {words}" for name, value, words in checks if not value()]
    if settings.trial_without and urlsplit(settings.ccaip_address).hostname not in LOOPBACK:
        missing.append(f"{PREFIX}TRIAL_WITHOUT: expected nothing; it is for trials with the sandbox, on this machine")
    number = settings.ccaip_outbound_number
    if number and not phone.E164.fullmatch(number):
        missing.append(f"{PREFIX}CCAIP_OUTBOUND_NUMBER: expected a number in E.164, such as +16285550199")
    if missing:
        raise BadSettings("\n".join(missing))
