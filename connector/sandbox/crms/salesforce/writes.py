"""Writes through the API in two phases: prepare validates and may refuse, commit writes.

The phases make many writes all or none, and let a locked row refuse one of them.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from flask import g, request

from connector.sandbox.crms.salesforce import api, errors, ids, schema

Commit = Callable[[], str]
Prepare = Callable[[], Commit]

ROLLED_BACK = errors.ApiError(
    400,
    "ALL_OR_NONE_OPERATION_ROLLED_BACK",
    "Record rolled back because not all records were valid and the request was using AllOrNone header",
)


def create(thing: schema.SObject, values: Mapping[str, Any]) -> Commit:
    """Prepare a new record. The commit returns its id."""
    org, user_id = api.org(), api.user_id()
    fields = without_attributes(values)
    org.store.check(thing, fields)
    return lambda: org.store.create(thing, fields, user_id)


def update(thing: schema.SObject, identifier: str, values: Mapping[str, Any]) -> Commit:
    """Prepare a change of a record. The assignment rule changes a case's owner unless `Sforce-Auto-Assign` is FALSE."""
    org, user_id = api.org(), api.user_id()
    fields = without_attributes(values)
    record = org.store.get(thing, identifier)
    org.store.check(thing, fields)
    _refuse_locked(record["Id"])
    wanted = request.headers.get("Sforce-Auto-Assign", "TRUE").upper() != "FALSE"
    if wanted and thing.name == "Case" and org.settings.assignment_rule_active:
        fields["OwnerId"] = org.queue_id

    def commit() -> str:
        org.store.update(thing, record["Id"], fields, user_id)
        return str(record["Id"])

    return commit


def delete(thing: schema.SObject, identifier: str) -> Commit:
    """Prepare a deletion."""
    org, user_id = api.org(), api.user_id()
    record = org.store.get(thing, identifier)
    _refuse_locked(record["Id"])

    def commit() -> str:
        org.store.delete(thing, record["Id"], user_id)
        return str(record["Id"])

    return commit


def many(preparations: Iterable[tuple[str | None, Prepare]], all_or_none: bool) -> list[dict[str, Any]]:
    """Write many records, each given with its id if it has one. Return a result for each, in order."""
    with api.org().store.lock:
        prepared = [(identifier, _try(prepare)) for identifier, prepare in preparations]
        spoilt = all_or_none and any(isinstance(each, errors.ApiError) for _, each in prepared)
        return [_result(identifier, each, spoilt) for identifier, each in prepared]


def refuse_twice(seen: set[str], identifier: str) -> None:
    """Raise DUPLICATE_VALUE for a record that this call has named before."""
    complete = ids.long(identifier) or identifier
    if complete in seen:
        raise errors.ApiError(400, "DUPLICATE_VALUE", f"duplicate id in list: {identifier}", ["Id"])
    seen.add(complete)


def without_attributes(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name != "attributes"}


def _try(prepare: Prepare) -> Commit | errors.ApiError:
    try:
        return prepare()
    except errors.ApiError as error:
        return error


def _result(identifier: str | None, prepared: Commit | errors.ApiError, spoilt: bool) -> dict[str, Any]:
    if not isinstance(prepared, errors.ApiError) and not spoilt:
        return {"id": prepared(), "success": True, "errors": []}
    error = prepared if isinstance(prepared, errors.ApiError) else ROLLED_BACK
    known = {"id": identifier} if identifier else {}
    return {**known, "success": False, "errors": [error.per_record()]}


def _refuse_locked(identifier: str) -> None:
    """Raise UNABLE_TO_LOCK_ROW when a pending `lock_row` fault matches this record."""
    if api.faults().locks("salesforce", g.call.route, identifier):
        message = f"unable to obtain exclusive access to this record or 1 records: {identifier}"
        raise errors.ApiError(400, "UNABLE_TO_LOCK_ROW", message, [])
