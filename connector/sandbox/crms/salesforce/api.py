"""The common part of all REST routes: blueprint, token check, usage header, error format."""

from typing import TYPE_CHECKING, Any, cast

from flask import Blueprint, Response, g, jsonify, request

from connector.sandbox import journal
from connector.sandbox.crms.salesforce import errors, schema
from connector.sandbox.faults import Faults

if TYPE_CHECKING:
    from connector.sandbox.crms.salesforce import Side

routes = Blueprint("salesforce", __name__)
journal.keep(routes)

DATA = "/services/data/v<version>"
OPEN_ROUTES = frozenset({"salesforce.token", "salesforce.versions"})


def org() -> "Side":
    """The org that received this request."""
    return cast("Side", journal.box().salesforce)


def user_id() -> str:
    """The id of the user for whom this request's token acts."""
    return cast(str, g.user_id)


def thing(name: str) -> schema.SObject:
    """The object that a path names. Raises NOT_FOUND."""
    found = schema.named(name)
    if found is None:
        raise errors.no_such_record()
    return found


def body() -> dict[str, Any]:
    """The request's JSON object. Raises JSON_PARSER_ERROR."""
    content = request.get_json(force=True, silent=True)
    if not isinstance(content, dict):
        raise errors.ApiError(400, "JSON_PARSER_ERROR", "The request body is not a JSON object")
    return content


@routes.before_request
def admit() -> None:
    if request.endpoint not in OPEN_ROUTES:
        here = org()
        g.user_id = here.authenticate(request.headers.get("Authorization", ""))
        if request.path.startswith("/services/data"):
            here.spend_call()


@routes.after_request
def add_usage(response: Response) -> Response:
    here = org()
    response.headers["Sforce-Limit-Info"] = f"api-usage={here.api_usage}/{here.settings.daily_api_calls}"
    return response


@routes.errorhandler(errors.ApiError)
def refuse(error: errors.ApiError) -> tuple[Response, int]:
    return jsonify([error.rest()]), error.status


def faults() -> Faults:
    """The pending faults."""
    return journal.box().faults


def thing_by_prefix(identifier: str) -> schema.SObject:
    """The object whose key prefix begins this id. Raises NOT_FOUND."""
    found = next((each for each in schema.OBJECTS.values() if identifier.startswith(each.prefix)), None)
    if found is None:
        raise errors.no_such_record()
    return found
