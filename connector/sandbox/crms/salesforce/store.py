"""The org's records: validated writes, hooks for the package's flow, and values by path."""

import copy
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from connector.sandbox import clock
from connector.sandbox.crms.salesforce import errors, ids, schema

Record = dict[str, Any]

CREATE_DEFAULTS: dict[str, Record] = {"Case": {"Status": "New", "Priority": "Medium"}, "User": {"IsActive": True}}


@dataclass(frozen=True, slots=True)
class Change:
    """A write of a record. `old` is None for a new record; `user_id` is the author."""

    thing: schema.SObject
    old: Record | None
    new: Record
    user_id: str


class Store:
    """All records, by object and 18-character id. `before_save` may amend a change; `after_save` receives it."""

    def __init__(self, time: clock.Clock) -> None:
        self.clock = time
        self.lock = threading.RLock()
        self.tables: dict[str, dict[str, Record]] = {name: {} for name in schema.OBJECTS}
        self.before_save: Callable[[Change], None] = lambda _: None
        self.after_save: Callable[[Change], None] = lambda _: None
        self._ids = {name: ids.series(thing.prefix) for name, thing in schema.OBJECTS.items()}
        self._case_number = 1025

    def get(self, thing: schema.SObject, identifier: str) -> Record:
        """A record that is not deleted. Raises NOT_FOUND or ENTITY_IS_DELETED."""
        complete = ids.long(identifier)
        record = self.tables[thing.name].get(complete or "")
        if record is None:
            raise errors.no_such_record()
        if record["IsDeleted"]:
            raise errors.ApiError(404, "ENTITY_IS_DELETED", "entity is deleted")
        return record

    def rows(self, thing: schema.SObject, only: list[str] | None = None) -> list[Record]:
        """The records that are not deleted. `only` selects 18-character ids without a scan."""
        with self.lock:
            table = self.tables[thing.name]
            found = (
                list(table.values()) if only is None else [table[each] for each in dict.fromkeys(only) if each in table]
            )
        return [record for record in found if not record["IsDeleted"]]

    def value(self, thing: schema.SObject, record: Record, name: str) -> Any:
        """A field's value. A formula takes the value at the end of its path."""
        formula = thing.fields[name].formula
        if not formula:
            return record.get(name)
        relationship, _, target = formula.partition(".")
        parent = self.parent(thing.relationships[relationship], record)
        return parent and self.value(parent[0], parent[1], target)

    def parent(self, reference: schema.Field, record: Record) -> tuple[schema.SObject, Record] | None:
        """The record that a reference field points to, with its object."""
        identifier = record.get(reference.name) or ""
        for name in reference.refers_to if identifier else ():
            parent = self.tables[name].get(identifier)
            if parent is not None:
                return schema.OBJECTS[name], parent
        return None

    def create(self, thing: schema.SObject, values: Mapping[str, Any], user_id: str) -> str:
        """Create a record and return its id. Raises ApiError."""
        with self.lock:
            record = dict.fromkeys(thing.fields) | CREATE_DEFAULTS.get(thing.name, {}) | self.check(thing, values)
            now = self.clock.now()
            record |= {
                "Id": next(self._ids[thing.name]),
                "IsDeleted": False,
                "CreatedDate": now,
                "CreatedById": user_id,
            }
            if thing.name == "Case":
                self._case_number += 1
                record["CaseNumber"] = f"{self._case_number:08d}"
                record["OwnerId"] = record["OwnerId"] or user_id
            return self._save(Change(thing, None, record, user_id), now)

    def update(self, thing: schema.SObject, identifier: str, values: Mapping[str, Any], user_id: str) -> None:
        """Change a record's fields. Raises ApiError, and changes nothing, when any of them may not be changed so."""
        with self.lock:
            old = self.get(thing, identifier)
            new = copy.copy(old) | self.check(thing, values)
            self._save(Change(thing, old, new, user_id), self.clock.now())

    def delete(self, thing: schema.SObject, identifier: str, user_id: str) -> None:
        """Mark a record as deleted. A later read by id raises ENTITY_IS_DELETED."""
        with self.lock:
            old = self.get(thing, identifier)
            now = self.clock.now()
            stamps = {"IsDeleted": True, "SystemModstamp": now, "LastModifiedById": user_id}
            self.tables[thing.name][old["Id"]] = old | stamps

    def check(self, thing: schema.SObject, values: Mapping[str, Any]) -> Record:
        """The values in stored form, by the fields' own names. Raises ApiError for the first wrong one."""
        return dict(self._checked(thing, values))

    def _save(self, change: Change, now: datetime) -> str:
        record = change.new
        record |= {"LastModifiedDate": now, "SystemModstamp": now, "LastModifiedById": change.user_id}
        if "FirstName" in record:
            record["Name"] = " ".join(filter(None, (record["FirstName"], record["LastName"])))
        self.before_save(change)
        identifier: str = record["Id"]
        self.tables[change.thing.name][identifier] = record
        self.after_save(change)
        return identifier

    def _checked(self, thing: schema.SObject, values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
        for name, value in values.items():
            field = thing.named(name)
            if field is None:
                message = f"No such column '{name}' on sobject of type {thing.name}"
                raise errors.ApiError(400, "INVALID_FIELD", message)
            if not field.writable:
                message = (
                    f"Unable to create/update fields: {field.name}. Please check the security settings of this field "
                    "and verify that it is read/write for your profile or permission set."
                )
                raise errors.ApiError(400, "INVALID_FIELD_FOR_INSERT_UPDATE", message, [field.name])
            yield field.name, None if value in (None, "") else self._fit(field, value)

    def _fit(self, field: schema.Field, value: Any) -> Any:
        if field.type == "reference":
            return self._reference(field, value)
        if field.type == "datetime":
            return _moment(field, value)
        if field.type == "boolean":
            return value if isinstance(value, bool) else str(value).lower() == "true"
        if not isinstance(value, str):
            kind = "BOOLEAN" if isinstance(value, bool) else "NUMBER"
            message = f"Cannot deserialize instance of string from VALUE_{kind} value {value}"
            raise errors.ApiError(400, "JSON_PARSER_ERROR", message)
        if field.restricted and value not in field.picklist:
            message = f"{field.label}: bad value for restricted picklist field: {value}"
            raise errors.ApiError(400, "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", message, [field.name])
        if field.length and len(value.encode("utf-16-le")) > 2 * field.length:  # Apex counts a String in UTF-16 units
            message = f"{field.label}: data value too large: {value} (max length={field.length})"
            raise errors.ApiError(400, "STRING_TOO_LONG", message, [field.name])
        return value

    def _reference(self, field: schema.Field, value: Any) -> str:
        complete = ids.long(str(value))
        if complete is None:
            message = f"{field.label}: id value of incorrect type: {value}"
            raise errors.ApiError(400, "MALFORMED_ID", message, [field.name])
        if not any(complete in self.tables[name] for name in field.refers_to):
            raise errors.ApiError(400, "INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id", [field.name])
        return complete


def _moment(field: schema.Field, value: Any) -> datetime:
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        message = f"Cannot deserialize instance of datetime from VALUE_STRING value {value}"
        raise errors.ApiError(400, "JSON_PARSER_ERROR", message, [field.name]) from None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def as_rest(value: Any) -> Any:
    """A field's value in the format of REST answers."""
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds").replace("+00:00", "+0000")
    return value
