"""Read all settings from CONNECTOR_… variables, the .env file in the working directory, and secret files.

Report unknown variables, and secret files that other users can read.
"""

import contextlib
import difflib
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import cast

from pydantic import field_validator
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from connector import secret_files
from connector.errors import BadSettings

PREFIX = "CONNECTOR_"
ENV_FILE = Path(".env")
# Variables of the test suite: not reported as unknown.
OF_TESTS = f"{PREFIX}TEST_"


class FromEnvironment(BaseSettings):
    """Base class of all settings. A CRM's own settings use it too, with their own env_prefix.

    All settings of CRMs, including those of their webhooks, are defined in connector/crms/, so that every process knows
    which variables exist. Each SecretStr can also be set by CONNECTOR_<FIELD>_FILE, the name of a file that holds it.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=ENV_FILE,
        env_file_encoding="utf-8-sig",
        env_ignore_empty=True,
        extra="ignore",
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
        allow_inf_nan=False,
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order the sources: the environment and its secret files override the .env file and its secret files."""
        # pydantic-settings passes these classes, and declares their common base class.
        of_environment = secret_files.SecretFiles(settings_cls, cast(EnvSettingsSource, env_settings).env_vars)
        of_env_file = secret_files.SecretFiles(settings_cls, cast(DotEnvSettingsSource, dotenv_settings).env_vars)
        return init_settings, of_environment, env_settings, of_env_file, dotenv_settings

    @field_validator("*", mode="before")
    @classmethod
    def _usable(cls, value: object) -> object:
        if not isinstance(value, secret_files.Unusable):
            return value
        raise ValueError(value.words)


class OfAllPrograms(BaseSettings):
    """Variables shared with other programs. Those of the network are read only with CONNECTOR_TRUST_ENVIRONMENT."""

    model_config = SettingsConfigDict(env_ignore_empty=True, extra="ignore", hide_input_in_errors=True)


class OpenTelemetry(OfAllPrograms):
    """OpenTelemetry's own variables for where traces are sent. Its library reads these, and all others."""

    otel_exporter_otlp_endpoint: str | None = None
    otel_exporter_otlp_traces_endpoint: str | None = None

    @property
    def wanted(self) -> bool:
        """Whether traces are to be sent."""
        return bool(self.otel_exporter_otlp_endpoint or self.otel_exporter_otlp_traces_endpoint)


def prefix(kind: type[BaseSettings]) -> str:
    """Return the prefix of the variables of these settings."""
    return kind.model_config["env_prefix"]


@contextlib.contextmanager
def reading() -> Iterator[None]:
    """Raise BadSettings when the .env file cannot be read within the block."""
    try:
        yield
    except UnicodeDecodeError:
        raise BadSettings(f"{ENV_FILE}: expected text in UTF-8; save the file in that encoding") from None
    except OSError as error:
        raise BadSettings(f"{ENV_FILE} cannot be read: {error.strerror}") from None


def unknown() -> list[str]:
    """Describe the variables that are set but belong to no settings. A misspelt variable would otherwise go unnoticed.

    Only settings whose modules are loaded are known: see connector/preflight.py.
    """
    names = {f"{prefix(kind)}{name}".upper() for kind in kinds() for name in kind.model_fields}
    names |= {f"{secret}{secret_files.SUFFIX}" for kind in kinds() for secret in secret_files.secrets_of(kind)}
    strange = {name.upper() for name in _variables() if name.upper().startswith(PREFIX)} - names
    return [_strange(name, names) for name in sorted(strange) if not name.startswith(OF_TESTS)]


def kinds(kind: type[FromEnvironment] = FromEnvironment) -> Iterator[type[FromEnvironment]]:
    """Yield every settings class whose module is loaded."""
    yield kind
    for more in kind.__subclasses__():
        yield from kinds(more)


def _variables() -> Mapping[str, str | None]:
    with reading():
        return {**DotEnvSettingsSource(FromEnvironment).env_vars, **EnvSettingsSource(FromEnvironment).env_vars}


def _strange(name: str, names: Iterable[str]) -> str:
    """Name the unknown variable and the most similar known one. The common prefix is left out of the comparison."""
    rest = {one.removeprefix(PREFIX): one for one in names}
    near = difflib.get_close_matches(name.removeprefix(PREFIX), rest, 1, cutoff=0.7)
    return f"{name} is not known and has no effect" + (f"; did you mean {rest[near[0]]}?" if near else "")


def exposed() -> list[str]:
    """Describe the secret files that other users can read: the .env file, and the files that variables name."""
    found = dict.fromkeys(line for kind in kinds() for line in secret_files.exposed(kind, _variables()))
    if secret_files.readable(ENV_FILE, stat.S_IRWXG | stat.S_IRWXO):
        return [f"{ENV_FILE} is open to others than its owner: chmod 600 {ENV_FILE}", *found]
    return list(found)
