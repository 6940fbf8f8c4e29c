"""Rows for queries: records as JSON that PostgreSQL can store."""

import json
import re
from typing import Any

from psycopg.types.json import Jsonb

# The NUL escape, which PostgreSQL cannot store. After an escaped backslash it is plain text.
NUL = re.compile(r"(\\\\)|\\u0000")


def jsonb(rows: object) -> Jsonb:
    """Rows as a query parameter, without characters that PostgreSQL cannot store: one text must not fail a batch."""
    return Jsonb(rows, dumps=_storable)


def fields(one: Any) -> dict[str, Any]:
    """The fields of a record, by name. Unlike `asdict`, makes no deep copy of their values."""
    return {name: getattr(one, name) for name in one.__slots__}


def _storable(rows: object) -> bytes:
    text = json.dumps(rows, ensure_ascii=False)
    if "\\u0000" in text:
        text = NUL.sub(lambda found: found[1] or "�", text)
    return text.encode("utf-8", "replace")
