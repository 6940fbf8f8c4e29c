"""The REST routes for many things in one call: up to 200 records, or up to 25 requests."""

import re
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from flask import Response, current_app, g, jsonify, request

from connector.sandbox import journal
from connector.sandbox.crms.salesforce import api, errors, selection, store, writes

MAX_RECORDS = 200
MAX_REQUESTS = 25
"""From memory; not verified in Salesforce's documentation."""

REFERENCE = re.compile(r"@\{(\w+)\.(\w+)\}")


@api.routes.post(f"{api.DATA}/composite/sobjects")
def create_many(version: str) -> Response:
    body = api.body()
    listed = _records(body)
    plans = [(None, partial(lambda record: writes.create(_thing_of(record), record), record)) for record in listed]
    return jsonify(writes.many(plans, bool(body.get("allOrNone"))))


@api.routes.patch(f"{api.DATA}/composite/sobjects")
def update_many(version: str) -> Response:
    """Change up to 200 records. The status is 200 even when every record is refused."""
    body, seen = api.body(), set[str]()

    def prepare(record: dict[str, Any]) -> writes.Commit:
        identifier = _id_of(record)
        if not identifier:
            raise errors.ApiError(400, "MISSING_ARGUMENT", "Id not specified in an update call", ["Id"])
        writes.refuse_twice(seen, identifier)
        fields = {name: value for name, value in record.items() if name.lower() != "id"}
        return writes.update(_thing_of(record), identifier, fields)

    plans = [(_id_of(record) or None, partial(prepare, record)) for record in _records(body)]
    return jsonify(writes.many(plans, bool(body.get("allOrNone"))))


@api.routes.delete(f"{api.DATA}/composite/sobjects")
def delete_many(version: str) -> Response:
    listed, seen = request.args.get("ids", "").split(","), set[str]()
    _check_count(len(listed))

    def prepare(identifier: str) -> writes.Commit:
        writes.refuse_twice(seen, identifier)
        return writes.delete(api.thing_by_prefix(identifier), identifier)

    plans = [(each, partial(prepare, each)) for each in listed]
    return jsonify(writes.many(plans, request.args.get("allOrNone", "").lower() == "true"))


@api.routes.get(f"{api.DATA}/composite/sobjects/<name>")
@api.routes.post(f"{api.DATA}/composite/sobjects/<name>")
def read_many(version: str, name: str) -> Response:
    """Records by id; null for those that do not exist."""
    thing, here = api.thing(name), api.org()
    asked = api.body() if request.method == "POST" else {k: v.split(",") for k, v in request.args.items()}
    listed, fields = asked.get("ids", []), asked.get("fields", [])
    _check_count(len(listed))
    names = [field.name for each in fields if (field := thing.named(each))]
    if len(names) < len(fields):
        raise errors.ApiError(400, "INVALID_FIELD", f"No such column on sobject of type {thing.name}")

    def show(identifier: str) -> dict[str, Any] | None:
        try:
            record = here.store.get(thing, identifier)
        except errors.ApiError:
            return None
        values = {each: store.as_rest(here.store.value(thing, record, each)) for each in names}
        return {"attributes": selection.attributes(thing.name, record["Id"], version), **values}

    return jsonify([show(each) for each in listed])


@api.routes.post(f"{api.DATA}/composite")
def composite(version: str) -> dict[str, Any]:
    """Run several requests in order. Each can use the results of earlier ones."""
    asked = api.body().get("compositeRequest", [])
    if not isinstance(asked, list) or len(asked) > MAX_REQUESTS:
        raise errors.ApiError(400, "INVALID_INPUT", f"A composite request holds at most {MAX_REQUESTS} subrequests")
    results: dict[str, Any] = {}
    answers = []
    for each in asked:
        answer = _subrequest(each, results)
        results[each.get("referenceId", "")] = answer["body"]
        answers.append(answer)
    return {"compositeResponse": answers}


def _subrequest(asked: dict[str, Any], results: dict[str, Any]) -> dict[str, Any]:
    """Run a part as its own request to this app, with the outer request's token and headers."""
    parts = urlsplit(_resolve(asked.get("url", ""), results))
    kept = ("Authorization", "Sforce-Auto-Assign", "Sforce-Call-Options")
    headers = {name: request.headers[name] for name in kept if name in request.headers} | asked.get("httpHeaders", {})
    outer = g.call, g.fault  # the part shares the application context and sets its own call and fault
    answer = current_app.test_client().open(
        parts.path,
        method=asked.get("method", "GET"),
        query_string=parts.query,
        json=_resolve(asked["body"], results) if "body" in asked else None,
        headers=headers,
        base_url=request.host_url,
    )
    g.call, g.fault = outer
    api.org().refund_call()
    return {
        "body": answer.get_json(silent=True),
        "httpHeaders": {},
        "httpStatusCode": answer.status_code,
        "referenceId": asked.get("referenceId"),
    }


def _resolve(value: Any, results: dict[str, Any]) -> Any:
    """Replace each `@{reference.field}` with the value that the earlier part answered."""
    if isinstance(value, dict):
        return {key: _resolve(each, results) for key, each in value.items()}
    if isinstance(value, list):
        return [_resolve(each, results) for each in value]
    if isinstance(value, str):
        return REFERENCE.sub(lambda match: str((results.get(match[1]) or {}).get(match[2], "")), value)
    return value


def _records(body: dict[str, Any]) -> list[dict[str, Any]]:
    listed = body.get("records")
    if not isinstance(listed, list) or not all(isinstance(record, dict) for record in listed):
        raise errors.ApiError(400, "JSON_PARSER_ERROR", "records must be a list of objects")
    _check_count(len(listed))
    return listed


def _check_count(count: int) -> None:
    if count > MAX_RECORDS:
        message = f"record limit reached. cannot submit more than {MAX_RECORDS} records in this request"
        raise errors.ApiError(400, "EXCEEDED_ID_LIMIT", message)
    journal.count(count)


def _id_of(record: dict[str, Any]) -> str:
    return str(record.get("id") or record.get("Id") or "")


def _thing_of(record: dict[str, Any]) -> Any:
    attributes = record.get("attributes")
    if not isinstance(attributes, dict) or not attributes.get("type"):
        raise errors.ApiError(400, "INVALID_INPUT", "Include an entity type with each record: attributes.type")
    return api.thing(str(attributes["type"]))
