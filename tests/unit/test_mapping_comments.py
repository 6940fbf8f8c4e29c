"""What stands in a comment or in the documentation to be copied works when it is."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from connector.mapping import hints, loader

ROOT = Path(__file__).parent.parent.parent
SHIPPED = {path: path.read_text(encoding="utf-8") for path in sorted((ROOT / "mappings").glob("*.toml"))}
# A key or a header behind a comment's sign.
COMMENTED = re.compile(r"^# ?(?=[\w.\"']+ *= *\S|\[+[\w.]+\]+ *(?:#|$))", re.MULTILINE)
LINES = [(path, found.start()) for path, text in SHIPPED.items() for found in COMMENTED.finditer(text)]
TOML = re.compile(r"^```toml\n(.*?)^```", re.MULTILINE | re.DOTALL)
EXAMPLES = [
    (path, example)
    for path in [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md"]
    for example in TOML.findall(path.read_text(encoding="utf-8"))
]


def loads(text: str, path: Path) -> None:
    file = loader.parse(tomllib.loads(text), path.name, text)
    assert hints.of(file, text) == []


def test_there_are_lines_and_examples_to_try() -> None:
    assert len(LINES) > 5
    assert EXAMPLES


@pytest.mark.parametrize(
    ("path", "start"), LINES, ids=lambda value: value.name if isinstance(value, Path) else str(value)
)
def test_each_line_of_a_shipped_mapping_works_when_it_is_uncommented(path: Path, start: int) -> None:
    text = SHIPPED[path]
    loads(text[:start] + COMMENTED.sub("", text[start:], count=1), path)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_all_lines_of_a_shipped_mapping_work_together(path: Path) -> None:
    loads(COMMENTED.sub("", SHIPPED[path]), path)


@pytest.mark.parametrize("commented", [False, True], ids=["as it stands", "uncommented"])
@pytest.mark.parametrize(("path", "example"), EXAMPLES, ids=lambda value: getattr(value, "name", "example"))
def test_each_example_of_the_documentation_works_in_the_shipped_mapping(
    path: Path, example: str, commented: bool
) -> None:
    raw = tomllib.loads(COMMENTED.sub("", example) if commented else example)
    for shipped, text in SHIPPED.items():
        loader.parse(merged(tomllib.loads(text), raw), shipped.name)


def merged(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """The tables of both; where both have a key, the other's."""
    both = {
        key: merged(value, other[key]) if isinstance(value, dict) and isinstance(other.get(key), dict) else value
        for key, value in one.items()
    }
    return both | {key: value for key, value in other.items() if not isinstance(both.get(key), dict)}
