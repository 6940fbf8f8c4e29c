"""Named queries. Each stands in a .sql file under a line `-- name: …` and a sentence that says what it is for."""

import re
from pathlib import Path


def load(stem: str) -> dict[str, str]:
    """The queries of connector/sql/<stem>.sql by name."""
    source = (Path(__file__).parent / f"{stem}.sql").read_text(encoding="utf-8")
    parts = re.split(r"^-- name: (\w+)\n", source, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))
