"""Every statement that gives a text another state counts it, or leaves no state that is counted."""

import re
from pathlib import Path

import pytest

import connector
from connector.store import queries

PACKAGE = Path(connector.__file__).parent
CHANGES = re.compile(r"delete from texts\b|update texts set\b(?:(?!\bwhere\b).)*?[\s,]state =", re.DOTALL)
# By file and name: why the statement counts nothing.
EXEMPT = {
    ("texts.sql", "queue_decided"): "from received or queued to queued: neither is counted",
    ("retention.sql", "texts_of_later"): "moves the times of received and queued texts: neither is counted",
}


def statements() -> list[tuple[str, str, str]]:
    """(file, name, SQL) of each statement that changes the state of a text, or deletes texts."""
    found = []
    for path in sorted(PACKAGE.rglob("*.sql")):
        if path.parent.name == "migrations":
            continue
        for name, sql in queries.load(str(path)).items():
            if CHANGES.search(sql):
                found.append((path.name, name, sql))
    return found


def test_the_statements_are_found() -> None:
    found = {(file, name) for file, name, _ in statements()}

    assert found >= {("texts.sql", "move"), ("sending_claims.sql", "claim"), ("plans.sql", "give_back"), *EXEMPT}


@pytest.mark.parametrize(("file", "name", "sql"), statements())
def test_a_change_of_state_is_counted(file: str, name: str, sql: str) -> None:
    assert "insert into roll_up_changes" in sql or (file, name) in EXEMPT


def test_no_python_code_changes_states() -> None:
    """Statements stand in .sql files, where these tests find them."""
    changed = [path for path in PACKAGE.rglob("*.py") if re.search(r"update texts|delete from texts", path.read_text())]

    assert changed == []
