"""Locate the keys of a mapping file and name them for people: `rules.0.when` is line 41, rule "requested", when.

Each TOML statement, a header or a key with its value, is a TOML document of its own. The statements are parsed one by
one to get the keys of each.
"""

import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

# Lists whose entries are called by their names.
CALLED = {"rules": "rule", "templates": "template"}
# Each line of a statement has it read once more, from its beginning.
MAX_LINES = 300
ENTRY = re.compile(r"(\w+)\.(\d+)(?:\.(.+))?", re.DOTALL)

Path = tuple[str, ...]


@dataclass(slots=True)
class Places:
    """The line of each key, by its dotted name. `tables` are those with a header of their own."""

    keys: dict[str, int] = field(default_factory=dict)
    tables: dict[str, int] = field(default_factory=dict)

    def line(self, key: str) -> int | None:
        """Return the line of the key, else that of its nearest parent; None: the file has neither."""
        while key and key not in self.keys:
            key = key.rpartition(".")[0]
        return self.keys.get(key)


def places(text: str) -> Places:
    """Return the places of valid TOML text, up to a statement of more than MAX_LINES."""
    found, counts, table = Places(), Counter[Path](), Path()
    statement, first = "", 1
    for number, line in enumerate(text.split("\n"), 1):
        statement += f"{line}\n"
        try:
            content = tomllib.loads(statement)
        except tomllib.TOMLDecodeError:
            if number - first < MAX_LINES:
                continue  # the statement continues in the next line
            break
        if statement.lstrip().startswith("["):
            table = _table(content, counts)
            found.tables.setdefault(".".join(table), first)
            found.keys.setdefault(".".join(table), first)
        else:
            for path in _inside(content):
                found.keys.setdefault(".".join(table + path), first)
        statement, first = "", number + 1
    return found


def _table(content: Any, counts: Counter[Path]) -> Path:
    """Return the path of a header; in a list, with the number of the current entry."""
    path = Path()
    while content:
        [(name, content)] = content.items()
        path += (name,)
        if isinstance(content, list):
            content = content[0]
            counts[path] += 1
        if counts[path]:
            path += (str(counts[path] - 1),)
    return path


def _inside(content: Any) -> Iterator[Path]:
    entries = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for name, value in entries:
        yield (str(name),)
        yield from ((str(name), *rest) for rest in _inside(value))


def called(key: str, raw: Mapping[str, Any]) -> str:
    """Return the key as people call it: a rule or a template by its name."""
    found = ENTRY.fullmatch(key)
    if not found or found[1] not in CALLED:
        return key
    listed, index = raw.get(found[1]), int(found[2])
    entry = listed[index] if isinstance(listed, list) and index < len(listed) else None
    name = entry.get("name") if isinstance(entry, dict) else None
    what = CALLED[found[1]]
    who = f'{what} "{name}"' if isinstance(name, str) and name.isprintable() else f"{what} {index + 1}"
    return f"{who}, {found[3]}" if found[3] else who
