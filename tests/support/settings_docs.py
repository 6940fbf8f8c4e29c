"""docs/settings.md, made of the settings' own descriptions: python -m tests.support.settings_docs."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from connector import environment, secret_files
from connector.crms.salesforce import settings as salesforce
from connector.http import config as network
from connector.oidc import settings as oidc
from connector.settings import Settings

PATH = Path(__file__).parent.parent.parent / "docs" / "settings.md"
HEAD = """# Settings

Every setting is an environment variable, or a line of the file `.env` in the folder that the connector is started
from.
Environment variables override `.env`. An empty variable counts as not set.
Separate several values with spaces or commas, unless the table says otherwise. Several secrets are valid at once, so
that one can be replaced without a gap.

The value of a *secret* can be kept in [a file of its own](deployment.md#secrets-in-files): add `_FILE` to the
variable's name, for example `CONNECTOR_CCAIP_TOKEN_FILE`. Setting both is an error.

A `CONNECTOR_…` variable that is not listed here has no effect: `connector check` reports it with the likely intended
name, and `run`, `serve` and `worker` log a warning.
`connector check` also finds every value that `connector run` would refuse. `openssl rand -hex 24` generates a key.

This page is made by `python -m tests.support.settings_docs`.
"""
PLATFORM = "ccaip_"
LIMITS = {"ge": "at least {}", "gt": "greater than {}", "le": "at most {}", "lt": "less than {}"}


def page() -> str:
    """The whole page."""
    fields = list(_rows(Settings))
    own = [row for name, row in fields if not name.startswith(PLATFORM)]
    platform = [row for name, row in fields if name.startswith(PLATFORM)]
    crm: list[type[BaseSettings]] = [salesforce.Settings, salesforce.Hooks, salesforce.ApiTokens, salesforce.Canvas]
    sections = {
        "CCAI Platform": platform,
        "Salesforce": list(dict.fromkeys(row for kind in crm for _, row in _rows(kind))),
        "The connector": own,
        "Sign-in to the console": [row for _, row in _rows(oidc.Settings)],
        "The network": [row for _, row in _rows(network.Settings)],
    }
    return HEAD + "".join(_section(title, rows) for title, rows in sections.items())


def _section(title: str, rows: list[str]) -> str:
    return f"\n## {title}\n\n| variable | meaning | default |\n|---|---|---|\n" + "\n".join(rows) + "\n"


def _rows(kind: type[BaseSettings]) -> Iterator[tuple[str, str]]:
    secrets = set(secret_files.secrets_of(kind))
    for name, field in kind.model_fields.items():
        variable = f"{environment.prefix(kind)}{name}".upper()
        if not field.description:  # described where it is required
            continue
        words = " ".join(field.description.split())
        if field.is_required():
            words = f"{words[0].upper()}{words[1:]}. Required."
        words += "".join(f" {limit}." for limit in [_limits(field)] if limit)
        words += " *Secret.*" if variable in secrets else ""
        yield name, f"| `{variable}` | {words} | {_default(field.default)} |"


def _limits(field: FieldInfo) -> str:
    limits = ((words, getattr(one, name, None)) for one in field.metadata for name, words in LIMITS.items())
    said = ", ".join(words.format(_number(limit)) for words, limit in limits if limit is not None)
    return said[:1].upper() + said[1:]


def _number(value: Any) -> str:
    return f"{value:,}".removesuffix(".0")


def _default(value: Any) -> str:
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, float):
        value = _number(value)
    if isinstance(value, list):
        value = " ".join(map(str, value))
    return f"`{value}`" if isinstance(value, (int, float, str)) and value != "" else ""


if __name__ == "__main__":
    PATH.write_text(page(), encoding="utf-8")
