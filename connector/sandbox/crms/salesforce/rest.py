"""The REST routes for single things: versions, limits, object descriptions, records."""

from typing import Any
from urllib.parse import unquote

from flask import Response, jsonify, request

from connector.sandbox import journal
from connector.sandbox.crms.salesforce import api, errors, ids, schema, selection, store, writes

VERSIONS = {"Winter '26": "65.0", "Spring '26": "66.0", "Summer '26": "67.0", "Winter '27": "68.0"}
RESOURCES = ("sobjects", "query", "queryAll", "composite", "limits", "jobs")
METHODS = ("GET", "POST", "PATCH", "PUT", "DELETE")


@api.routes.get("/services/data")
def versions() -> Response:
    """The API versions. Needs no token."""
    return jsonify([{"label": label, "url": f"/services/data/v{v}", "version": v} for label, v in VERSIONS.items()])


@api.routes.get(api.DATA)
def resources(version: str) -> dict[str, str]:
    return {name: f"/services/data/v{version}/{name}" for name in RESOURCES}


@api.routes.get(f"{api.DATA}/limits")
def limits(version: str) -> dict[str, Any]:
    org = api.org()
    most = org.settings.daily_api_calls
    return {"DailyApiRequests": {"Max": most, "Remaining": most - org.api_usage}}


@api.routes.get(f"{api.DATA}/sobjects")
def objects(version: str) -> dict[str, Any]:
    """The objects of the org."""
    return {
        "encoding": "UTF-8",
        "maxBatchSize": 200,
        "sobjects": [_summary(thing, version) for thing in schema.OBJECTS.values()],
    }


@api.routes.get(f"{api.DATA}/sobjects/<name>")
def object_info(version: str, name: str) -> dict[str, Any]:
    return {"objectDescribe": _summary(api.thing(name), version), "recentItems": []}


@api.routes.get(f"{api.DATA}/sobjects/<name>/describe")
def describe(version: str, name: str) -> dict[str, Any]:
    """The fields of an object."""
    thing = api.thing(name)
    fields = [field.describe() for field in thing.fields.values()]
    return {**_summary(thing, version), "fields": fields, "recordTypeInfos": [], "childRelationships": []}


@api.routes.post(f"{api.DATA}/sobjects/<name>")
def create(version: str, name: str) -> tuple[Response, int]:
    identifier = writes.create(api.thing(name), api.body())()
    journal.count(1)
    return jsonify(id=identifier, success=True, errors=[]), 201


@api.routes.get(f"{api.DATA}/sobjects/<name>/<identifier>")
def read(version: str, name: str, identifier: str) -> dict[str, Any]:
    """A record with all of its fields, or those that `fields` names."""
    thing, here = api.thing(name), api.org()
    record = here.store.get(thing, identifier)
    wanted = request.args.get("fields")
    fields = [_field(thing, each.strip()) for each in wanted.split(",")] if wanted else list(thing.fields)
    journal.count(1)
    values = {field: store.as_rest(here.store.value(thing, record, field)) for field in fields}
    return {"attributes": selection.attributes(thing.name, record["Id"], version), **values}


@api.routes.patch(f"{api.DATA}/sobjects/<name>/<identifier>")
def update(version: str, name: str, identifier: str) -> tuple[str, int]:
    writes.update(api.thing(name), identifier, api.body())()
    journal.count(1)
    return "", 204


@api.routes.delete(f"{api.DATA}/sobjects/<name>/<identifier>")
def delete(version: str, name: str, identifier: str) -> tuple[str, int]:
    writes.delete(api.thing(name), identifier)()
    journal.count(1)
    return "", 204


@api.routes.get(f"{api.DATA}/sobjects/<name>/<key>/<path:value>")
def read_by(version: str, name: str, key: str, value: str) -> dict[str, Any]:
    """A record by an external id."""
    thing = api.thing(name)
    return read(version, name, _by_external_id(thing, key, value) or "")


@api.routes.patch(f"{api.DATA}/sobjects/<name>/<key>/<path:value>")
def upsert(version: str, name: str, key: str, value: str) -> tuple[Response, int]:
    """Change the record with this external id, or create it."""
    thing, values = api.thing(name), api.body()
    journal.count(1)
    found = _by_external_id(thing, key, value)
    if found:
        writes.update(thing, found, values)()
        return jsonify(id=found, success=True, errors=[], created=False), 200
    identifier = writes.create(thing, values | {key: unquote(value)})()
    return jsonify(id=identifier, success=True, errors=[], created=True), 201


@api.routes.route("/services/data/<path:rest>", methods=METHODS)
def unknown(rest: str) -> Response:
    raise errors.no_such_record()


def _summary(thing: schema.SObject, version: str) -> dict[str, Any]:
    base = f"/services/data/v{version}/sobjects/{thing.name}"
    urls = {"sobject": base, "describe": f"{base}/describe", "rowTemplate": f"{base}/{{ID}}"}
    able = dict.fromkeys(("createable", "updateable", "deletable", "queryable", "retrieveable", "searchable"), True)
    names = {"name": thing.name, "label": thing.label, "labelPlural": thing.plural, "keyPrefix": thing.prefix}
    return {**names, "custom": False, **able, "urls": urls}


def _field(thing: schema.SObject, name: str) -> str:
    field = thing.named(name)
    if field is None:
        raise errors.ApiError(400, "INVALID_FIELD", f"No such column '{name}' on sobject of type {thing.name}")
    return field.name


def _by_external_id(thing: schema.SObject, key: str, value: str) -> str | None:
    """The id of the record with this external id. The key may also be `Id`."""
    field = thing.named(key)
    if field is None or not (field.external_id or field.name == "Id"):
        raise errors.ApiError(
            404, "NOT_FOUND", f"Provided external ID field does not exist or is not accessible: {key}"
        )
    if field.name == "Id":
        return ids.long(value)
    wanted = unquote(value).lower()
    return next((r["Id"] for r in api.org().store.rows(thing) if (r[field.name] or "").lower() == wanted), None)
