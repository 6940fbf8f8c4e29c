"""Secrets from files: CONNECTOR_CCAIP_TOKEN_FILE names the file that holds CONNECTOR_CCAIP_TOKEN.

That is how Docker, Kubernetes and systemd hand secrets over.
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
# Bytes of a secret file at most: what is larger was named by mistake.
MAX_BYTES = 100_000


@dataclass(frozen=True, slots=True)
class Unusable:
    """Stands for a secret that cannot be had, and says why. Its setting refuses it."""

    words: str


def secrets_of(kind: type[BaseSettings]) -> Iterator[str]:
    """The secret settings of this kind, as variables in capitals."""
    prefix = kind.model_config["env_prefix"]
    yield from (f"{prefix}{name}".upper() for name, field in kind.model_fields.items() if _secret(field.annotation))


def _secret(annotation: Any) -> bool:
    return annotation is SecretStr or any(_secret(part) for part in get_args(annotation))


class SecretFiles(PydanticBaseSettingsSource):
    """The secrets whose files these variables name; in small letters, like those of pydantic's other sources."""

    def __init__(self, kind: type[BaseSettings], variables: Mapping[str, str | None]) -> None:
        super().__init__(kind)
        self._prefix, self._variables = kind.model_config["env_prefix"].lower(), variables
        self._secrets = set(secrets_of(kind))

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """The file's content, or why there is none; None: no file is named."""
        variable = f"{self._prefix}{field_name}".lower()
        file = self._variables.get(f"{variable}{SUFFIX}".lower())
        if variable.upper() not in self._secrets or not file:
            return None, field_name, False
        if self._variables.get(variable):
            both = f"is set twice, by itself and by {variable.upper()}{SUFFIX}: remove one of the two"
            return Unusable(both), field_name, False
        return _content(Path(file), f"{variable.upper()}{SUFFIX}"), field_name, False

    def __call__(self) -> dict[str, Any]:
        """What pydantic asks for: the values that are there, by field."""
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
    """The secret files of this kind that everybody can read, in words."""
    for secret in secrets_of(kind):
        file = variables.get(f"{secret}{SUFFIX}".lower())
        if file and readable(Path(file), stat.S_IRWXO):
            yield f"{secret}{SUFFIX} names {file}, which everybody can read: chmod o= {file}"


def readable(path: Path, by: int) -> bool:
    """Whether these others than its owner may do anything with a file; no, where there is none."""
    try:
        return bool(path.stat().st_mode & by)
    except (OSError, ValueError):
        return False
