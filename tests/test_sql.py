"""Queries by name: each is whole, and what several have in common is said once."""

from pathlib import Path

import pytest

from connector.store import queries

FILES = sorted(path.stem for path in Path(queries.__file__).parent.glob("*.sql"))


@pytest.mark.parametrize("stem", FILES)
def test_every_query_is_whole(stem: str) -> None:
    queries = queries.load(stem)
    source = (Path(queries.__file__).parent / f"{stem}.sql").read_text(encoding="utf-8")
    assert list(queries) == [line.removeprefix("-- name: ") for line in source.splitlines() if line[:9] == "-- name: "]
    assert not any(mark in query for query in queries.values() for mark in ("{", "}", "-- name", "-- part"))


def test_what_is_said_once_stands_in_every_query_that_names_it() -> None:
    seen, of_ticket = (queries.load("texts")[name] for name in ("seen", "seen_of_ticket"))
    assert "as leaves_at\nfrom text join event on event.id = text.event\nwhere text.id = %(id)s" in seen
    assert seen.partition("where")[0].partition("select")[2] == of_ticket.partition("where")[0].partition("select")[2]
