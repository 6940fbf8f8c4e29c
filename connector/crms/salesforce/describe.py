"""The org's `describe`: which objects and fields exist, in the org's own spelling.

https://developer.salesforce.com/docs/atlas.en-us.api.meta/api/sforce_api_calls_describesobjects_describesobjectresult.htm
Names of objects, fields and relationships are not case-sensitive in Salesforce.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from connector.errors import RefusalScope, Refused, Unavailable
from connector.mapping.schema import MappingFile

# Salesforce's response to the describe of an object, by the object's name.
Describe = Callable[[str], Any]
Field = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Thing:
    """A described object. `fields` by their names, `relationships` by theirs, both in lower case."""

    name: str
    described: Mapping[str, Any]
    fields: Mapping[str, Field]
    relationships: Mapping[str, Field]

    @classmethod
    def of(cls, answer: Any) -> "Thing":
        """Return the object of a describe. Raises Unavailable where the response is not one."""
        fields = answer.get("fields") if isinstance(answer, Mapping) else None
        if not isinstance(fields, list) or not fields or not all(_is_field(field) for field in fields):
            raise Unavailable("Salesforce's answer to a describe was not understood")
        by_relationship = {str(one["relationshipName"]).lower(): one for one in fields if one.get("relationshipName")}
        return cls(str(answer.get("name") or ""), answer, {one["name"].lower(): one for one in fields}, by_relationship)

    def lengths(self) -> dict[str, int]:
        """Return the maximum length of each text field in UTF-16 units, by its name in lower case."""
        return {
            name: field["length"]
            for name, field in self.fields.items()
            if field["type"] in TEXTS and isinstance(field.get("length"), int) and field["length"] > 0
        }


# Field types that hold text of any kind. Values that are too long for them are cut.
TEXTS = ("string", "textarea", "email", "url", "phone", "encryptedstring", "combobox")


def _is_field(field: Any) -> bool:
    return isinstance(field, Mapping) and isinstance(field.get("name"), str) and isinstance(field.get("type"), str)


class Things:
    """The org's objects. Each is described once."""

    def __init__(self, describe: Describe) -> None:
        self._describe = describe
        self._known: dict[str, Thing | None] = {}

    def named(self, name: str) -> Thing | None:
        """Return the object; None where the org has none that this user can see. Raises like Session.call."""
        if name.lower() not in self._known:
            try:
                self._known[name.lower()] = Thing.of(self._describe(name))
            except Refused as refused:
                if refused.scope is not RefusalScope.SETTINGS or "NOT_FOUND" not in str(refused):
                    raise
                self._known[name.lower()] = None
        return self._known[name.lower()]

    def field(self, kind: str, path: str) -> Field | str:
        """Return the field at the end of this path from this kind of record, or a message about what is missing.

        A lookup to several kinds of record (Owner: User or Group) has the fields of any of them.
        """
        kinds = [kind]
        *relationships, last = path.split(".")
        for relationship in relationships:
            lookup = self._first(kinds, lambda thing: thing.relationships, relationship)
            if lookup is None:
                return f"{' or '.join(kinds)} has no relationship {relationship} that this user can see"
            kinds = [str(name) for name in lookup.get("referenceTo") or ()]
        found = self._first(kinds, lambda thing: thing.fields, last)
        return found or f"{' or '.join(kinds)} has no field {last} that this user can see"

    def target(self, kind: str, relationships: Sequence[str]) -> str | None:
        """Return the kind of record at the end of these relationships; None where it is none, or one of several."""
        for relationship in relationships:
            thing = self.named(kind)
            lookup = thing.relationships.get(relationship.lower()) if thing else None
            kinds: Sequence[object] = (lookup.get("referenceTo") or ()) if lookup else ()
            if len(kinds) != 1:
                return None
            kind = str(kinds[0])
        return kind

    def _first(self, kinds: list[str], among: Callable[[Thing], Mapping[str, Field]], name: str) -> Field | None:
        things = (self.named(kind) for kind in kinds)
        return next((field for thing in things if thing and (field := among(thing).get(name.lower()))), None)


def path_of(file: MappingFile, path: str) -> str:
    """Return the path without the object's own name, which may precede it: Case.Subject."""
    own, _, rest = path.partition(".")
    return rest if rest and own.lower() == file.ticket.object.lower() else path


def paths(file: MappingFile) -> list[str]:
    """Return the paths that are read of a record, each once in any spelling, the id first."""
    once = {"id": "Id"}
    for path in file.fields.values():
        once.setdefault(path_of(file, path).lower(), path_of(file, path))
    return list(once.values())


def kinds(file: MappingFile, things: Things) -> dict[str, str]:
    """Return the field type of each path in lower case. Raises Refused where the org lacks one."""
    found = dict[str, str]()
    for path in paths(file):
        field = things.field(file.ticket.object, path)
        if isinstance(field, str):
            raise Refused(f"Salesforce: {field}", RefusalScope.SETTINGS)
        found[path.lower()] = field["type"]
    return found


def unreadable(file: MappingFile, things: Things) -> Iterator[str]:
    """Yield a message for each field of the mapping that cannot be read."""
    for name, path in file.fields.items():
        field = things.field(file.ticket.object, path_of(file, path))
        if isinstance(field, str):
            yield f"fields.{name}: {field}"
