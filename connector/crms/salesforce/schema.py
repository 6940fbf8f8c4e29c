"""What the org's `describe` says of the mapping: which fields exist, which can be written, how long they are."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from connector.errors import Blame, Refused
from connector.mapping_file import MappingFile
from connector.model import OUTCOMES

Describe = Callable[[str], Mapping[str, Any]]


def lengths(described: Mapping[str, Any]) -> dict[str, int]:
    """Field name → the longest text it takes. Longer values are cut: a refused write would tell the ticket nothing."""
    return {field["name"]: field["length"] for field in described["fields"] if field.get("length")}


def kinds(file: MappingFile, describe: Describe) -> dict[str, str]:
    """Path in lower case → the field's type. Paths that the org does not know are missing."""
    found, cache = {}, dict[str, Mapping[str, Any]]()
    for path in {"Id", *file.fields.values()}:
        kind: str | None = file.ticket.object
        *relationships, last = path.split(".")
        for relationship in relationships:
            field = _find(_cached(cache, kind, describe), "relationshipName", relationship) if kind else None
            kind = field["referenceTo"][0] if field else None
        if kind and (field := _find(_cached(cache, kind, describe), "name", last)):
            found[path.lower()] = field["type"]
    return found


def _cached(cache: dict[str, Mapping[str, Any]], name: str, describe: Describe) -> Mapping[str, Any]:
    if name not in cache:
        cache[name] = describe(name)
    return cache[name]


def check(file: MappingFile, describe: Describe) -> list[str]:
    """What of the mapping does not fit the org, in words. Raises what `describe` raises."""
    cache: dict[str, Mapping[str, Any]] = {}

    def cached(name: str) -> Mapping[str, Any]:
        return _cached(cache, name, describe)

    try:
        cached(file.ticket.object)
    except Refused as refused:
        if refused.blame is Blame.SETTINGS and "NOT_FOUND" in str(refused):
            return [f"ticket.object: the org has no {file.ticket.object} that this user can see"]
        raise
    return [*_unreadable(file, cached), *_unwritable(file, cached)]


def _unreadable(file: MappingFile, describe: Describe) -> Iterator[str]:
    for name, path in file.fields.items():
        kind = file.ticket.object
        *relationships, last = path.split(".")
        for relationship in relationships:
            field = _find(describe(kind), "relationshipName", relationship)
            if field is None:
                yield f"fields.{name}: {kind} has no relationship {relationship} that this user can see"
                break
            kind = field["referenceTo"][0]
        else:
            if _find(describe(kind), "name", last) is None:
                yield f"fields.{name}: {kind} has no field {last} that this user can see"


def _unwritable(file: MappingFile, describe: Describe) -> Iterator[str]:
    described = describe(file.ticket.object)
    for state in OUTCOMES:
        for name in file.write_back.of(state):
            field = _find(described, "name", name)
            if field is None:
                yield f"write_back.{state}.{name}: {file.ticket.object} has no such field that this user can see"
            elif not field.get("updateable"):
                yield f"write_back.{state}.{name}: this user may not write it"


def _find(described: Mapping[str, Any], key: str, value: str) -> Mapping[str, Any] | None:
    """Names of fields do not tell upper from lower case in Salesforce."""
    return next((field for field in described["fields"] if str(field.get(key)).lower() == value.lower()), None)
