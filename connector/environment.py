"""Reads the environment for all settings: CONNECTOR_… variables, an .env file in the working folder, secret files.

And says of its variables which are not known, and of its files which are open to others.
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
# What the tests read is nobody's setting.
OF_TESTS = f"{PREFIX}TEST_"


class FromEnvironment(BaseSettings):
    """What all settings have in common. A CRM's own settings are of this kind too, with an env_prefix of their own.

    All of them stand in connector/crms/, those of its webhooks too: every process knows by them which variables exist.
    Each SecretStr is also CONNECTOR_<FIELD>_FILE, the name of a file that holds it.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=ENV_FILE,
        env_file_encoding="utf-8-sig",
        env_ignore_empty=True,
        extra="ignore",
        hide_input_in_errors=True,
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
        """The environment, with the files that it names, wins over the .env file, with those that it names."""
        # pydantic-settings passes these kinds, and declares what they have in common.
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
    """Variables that many programs read. They count only where CONNECTOR_TRUST_ENVIRONMENT is set."""

    model_config = SettingsConfigDict(env_ignore_empty=True, extra="ignore", hide_input_in_errors=True)


def prefix(kind: type[BaseSettings]) -> str:
    """What the variables of these settings begin with."""
    return kind.model_config["env_prefix"]


@contextlib.contextmanager
def reading() -> Iterator[None]:
    """Raises BadSettings when the .env file cannot be read in here."""
    try:
        yield
    except UnicodeDecodeError:
        raise BadSettings(f"{ENV_FILE}: expected text in UTF-8; save the file in that encoding") from None
    except OSError as error:
        raise BadSettings(f"{ENV_FILE} cannot be read: {error.strerror}") from None


def unknown() -> list[str]:
    """Variables that are set and that no settings know, in words: a misspelt one would just have no effect.

    Settings are known once their modules are loaded: see connector/preflight.py.
    """
    names = {f"{prefix(kind)}{name}".upper() for kind in kinds() for name in kind.model_fields}
    names |= {f"{secret}{secret_files.SUFFIX}" for kind in kinds() for secret in secret_files.secrets_of(kind)}
    strange = {name.upper() for name in _variables() if name.upper().startswith(PREFIX)} - names
    return [_strange(name, names) for name in sorted(strange) if not name.startswith(OF_TESTS)]


def kinds(kind: type[FromEnvironment] = FromEnvironment) -> Iterator[type[FromEnvironment]]:
    """All settings whose modules are loaded."""
    yield kind
    for more in kind.__subclasses__():
        yield from kinds(more)


def _variables() -> Mapping[str, str | None]:
    with reading():
        return {**DotEnvSettingsSource(FromEnvironment).env_vars, **EnvSettingsSource(FromEnvironment).env_vars}


def _strange(name: str, names: Iterable[str]) -> str:
    """The likeness is that of what follows the prefix: all have that."""
    rest = {one.removeprefix(PREFIX): one for one in names}
    near = difflib.get_close_matches(name.removeprefix(PREFIX), rest, 1, cutoff=0.7)
    return f"{name} is not known and has no effect" + (f"; did you mean {rest[near[0]]}?" if near else "")


def exposed() -> list[str]:
    """The files with secrets that others can read, in words: the .env file, and those that variables name."""
    found = dict.fromkeys(line for kind in kinds() for line in secret_files.exposed(kind, _variables()))
    if secret_files.readable(ENV_FILE, stat.S_IRWXG | stat.S_IRWXO):
        return [f"{ENV_FILE} is open to others than its owner: chmod 600 {ENV_FILE}", *found]
    return list(found)
