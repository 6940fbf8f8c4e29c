"""Queries by name: each is whole, and what several have in common is said once."""

from pathlib import Path

import pytest

import connector
from connector.store import queries, text_views

MODULES = sorted(path for path in Path(connector.__file__).parent.rglob("*.sql") if path.parent.name != "migrations")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_every_query_is_whole(path: Path) -> None:
    loaded = queries.load(str(path))
    source = path.read_text(encoding="utf-8")
    assert list(loaded) == [line.removeprefix("-- name: ") for line in source.splitlines() if line[:9] == "-- name: "]
    assert not any(mark in query for query in loaded.values() for mark in ("{", "}", "-- name", "-- part"))


def test_what_is_said_once_stands_in_every_query_that_names_it() -> None:
    seen, of_ticket = (queries.load(text_views.__file__)[name] for name in ("seen", "seen_of_ticket"))
    assert "as leaves_at\nfrom texts join events on events.id = texts.event\nwhere texts.id = %(id)s" in seen
    assert seen.partition("where")[0].partition("select")[2] == of_ticket.partition("where")[0].partition("select")[2]
