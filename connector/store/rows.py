"""Rows for queries: what a record holds, as JSON that PostgreSQL can store."""

import json
import re
from typing import Any

import structlog
from psycopg.types.json import Jsonb

log = structlog.get_logger()
# What JSON can say and PostgreSQL cannot keep; an escaped backslash before it is no escape.
NUL = re.compile(r"(\\\\)|\\u0000")


def jsonb(rows: object) -> Jsonb:
    """Rows for a query. One odd character of one text must not hold up all that are committed with it."""
    return Jsonb(rows, dumps=_storable)


def fields(one: Any) -> dict[str, Any]:
    """Its fields by their names. Not by `asdict`, which copies what they hold, however deep it is."""
    return {name: getattr(one, name) for name in one.__slots__}


def _storable(rows: object) -> bytes:
    text = json.dumps(rows, ensure_ascii=False)
    if "\\u0000" in text:
        text = NUL.sub(lambda found: found[1] or "�", text)
    return text.encode("utf-8", "replace")
