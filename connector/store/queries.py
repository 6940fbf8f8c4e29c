"""Named queries. Each is in a .sql file under a line `-- name: …`, with a sentence that says what it does.

Text that several queries share is written once under `-- part: …` and included as `{part}`: in their own file, or in
queries.sql for queries of several files. A part may include parts above it.
"""

import re
from collections.abc import Mapping
from pathlib import Path

SHARED = Path(__file__).with_suffix(".sql")


def load(module: str) -> dict[str, str]:
    """The queries of the .sql file beside this module (its `__file__`), by name."""
    source = "\n".join(path.read_text(encoding="utf-8") for path in (SHARED, Path(module).with_suffix(".sql")))
    found = re.findall(r"^-- (name|part): (\w+)\n(.*?)(?=^-- (?:name|part): |\Z)", source, re.MULTILINE | re.DOTALL)
    parts = dict[str, str]()
    for kind, name, body in found:
        if kind == "part":
            parts[name] = _with_parts(body.strip(), parts)
    return {name: _with_parts(body, parts) for kind, name, body in found if kind == "name"}


def _with_parts(body: str, parts: Mapping[str, str]) -> str:
    return re.sub(r"\{(\w+)\}", lambda used: parts[used[1]], body)
