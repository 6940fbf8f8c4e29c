"""The documents that say where things are name files that exist, and all of them."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MODULE = re.compile(r"[a-z_]+")


def rows(document: str, heading: str) -> list[list[str]]:
    """The cells of the table below this heading, without its head."""
    text = (ROOT / document).read_text(encoding="utf-8").partition(f"{heading}\n")[2]
    lines = [line for line in text.partition("\n## ")[0].splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def quoted(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


TO_CHANGE = rows("CONTRIBUTING.md", "### Where to change what")
TREE = rows("docs/architecture.md", "## The tree")


@pytest.mark.parametrize("row", TO_CHANGE, ids=lambda row: row[0])
def test_what_to_open_exists_and_is_at_most_two_files(row: list[str]) -> None:
    paths = [path for cell in row[1:] for path in [*quoted(cell), *re.findall(r"\]\(([^)#]+)", cell)] if "/" in path]

    assert 1 <= len(paths) <= 2
    assert [path for path in paths if not (ROOT / path).exists()] == []


def places(cell: str) -> Iterator[Path]:
    """The paths of a cell. A path without a folder is beside the one before it."""
    folder = ROOT
    for path in quoted(cell):
        place = ROOT / path if (ROOT / path).exists() and "/" in path else folder / path
        folder = place if path.endswith("/") and "/" in path.rstrip("/") else place.parent
        yield place


@pytest.mark.parametrize("row", TREE, ids=lambda row: row[0])
def test_the_tree_names_what_exists(row: list[str]) -> None:
    named = list(places(row[0]))

    assert [place for place in named if not place.exists()] == []
    if len(named) == 1 and named[0].is_dir():
        modules = [name for name in quoted(row[1]) if MODULE.fullmatch(name)]
        assert [name for name in modules if not list(named[0].glob(f"{name}*"))] == []


@pytest.mark.parametrize("package", ["connector", "webhooks"])
def test_the_tree_has_every_part(package: str) -> None:
    named = {place for row in TREE for place in places(row[0])}
    parts = {path for path in (ROOT / package).iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()}

    assert {path.name for path in parts - named if not path.name.startswith("__")} == set()
