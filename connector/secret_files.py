"""Secrets from files: CONNECTOR_CCAIP_TOKEN_FILE names the file that holds CONNECTOR_CCAIP_TOKEN.

Docker, Kubernetes and systemd provide secrets in this way.
"""

import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

SUFFIX = "_FILE"
# Maximum size of a secret file in bytes. A larger file was named by mistake.
MAX_BYTES = 100_000


@dataclass(frozen=True, slots=True)
class Unusable:
    """A placeholder for a secret that cannot be read, with the reason. Its setting refuses it."""

    words: str


def secrets_of(kind: type[BaseSettings]) -> Iterator[str]:
    """Yield the secret settings of this class, as variables in capitals."""
    prefix = kind.model_config["env_prefix"]
    yield from (f"{prefix}{name}".upper() for name, field in kind.model_fields.items() if _secret(field.annotation))


def _secret(annotation: Any) -> bool:
    return annotation is SecretStr or any(_secret(part) for part in get_args(annotation))


class SecretFiles(PydanticBaseSettingsSource):
    """A source of secrets: the files that these variables name, in lower case like pydantic's other sources."""

    def __init__(self, kind: type[BaseSettings], variables: Mapping[str, str | None]) -> None:
        super().__init__(kind)
        self._prefix, self._variables = kind.model_config["env_prefix"].lower(), variables
        self._secrets = set(secrets_of(kind))

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Return the file's content, or why there is none; None: no file is named."""
        variable = f"{self._prefix}{field_name}".lower()
        file = self._variables.get(f"{variable}{SUFFIX}".lower())
        if variable.upper() not in self._secrets or not file:
            return None, field_name, False
        if self._variables.get(variable):
            both = f"is set twice, by itself and by {variable.upper()}{SUFFIX}: remove one of the two"
            return Unusable(both), field_name, False
        return _content(Path(file), f"{variable.upper()}{SUFFIX}"), field_name, False

    def __call__(self) -> dict[str, Any]:
        """Return the values that are present, by field, as pydantic requires."""
        fields = self.settings_cls.model_fields.items()
        found = {name: self.get_field_value(field, name)[0] for name, field in fields}
        return {name: value for name, value in found.items() if value is not None}


def _content(path: Path, variable: str) -> str | Unusable:
    try:
        if path.exists() and not path.is_file():
            return Unusable(f"{variable} names {path}, which is no file")
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        text = data.decode("utf-8-sig").rstrip("\r\n")
    except OSError as error:
        return Unusable(f"{variable} names {path}, which cannot be read: {error.strerror}")
    except ValueError:
        return Unusable(f"{variable} names {path}, which holds no text in UTF-8")
    if len(data) > MAX_BYTES or "\0" in text:
        return Unusable(f"{variable} names {path}, which is no file of a secret")
    return text if text.strip() else Unusable(f"{variable} names {path}, which is empty")


def exposed(kind: type[BaseSettings], variables: Mapping[str, str | None]) -> Iterator[str]:
    """Describe the secret files of this class that every user can read."""
    for secret in secrets_of(kind):
        file = variables.get(f"{secret}{SUFFIX}".lower())
        if file and readable(Path(file), stat.S_IRWXO):
            yield f"{secret}{SUFFIX} names {file}, which everybody can read: chmod o= {file}"


def readable(path: Path, by: int) -> bool:
    """Return whether the file grants any of these permissions; False where there is no file."""
    try:
        return bool(path.stat().st_mode & by)
    except (OSError, ValueError):
        return False
