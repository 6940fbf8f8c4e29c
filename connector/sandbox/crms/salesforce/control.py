"""Salesforce's part of the control plane: cases, tokens, outbound messages."""

from typing import Any

from flask import Blueprint, Response, jsonify, request
from pydantic import BaseModel, ConfigDict, Field

from connector.sandbox import control
from connector.sandbox.crms.salesforce import api, errors, outbound, schema

routes = Blueprint("salesforce_control", __name__, url_prefix="/_sandbox/salesforce")
control.explain(routes)


class NewCases(BaseModel):
    """`values` are fields of each case, `contact` fields of each contact."""

    model_config = ConfigDict(extra="forbid")

    count: int = Field(ge=1, le=100_000)
    values: dict[str, Any] = {}
    contact: dict[str, Any] = {}


@routes.errorhandler(errors.ApiError)
def refuse(error: errors.ApiError) -> tuple[Response, int]:
    return jsonify(message=f"{error.code}: {error.message}"), error.status


@routes.get("")
def state() -> dict[str, Any]:
    """The org: its id and users, and its settings."""
    org = api.org()
    users = {"own_user_id": org.own_user_id, "human_user_id": org.human_user_id, "queue_id": org.queue_id}
    return {"organization_id": org.organization_id, **users, "settings": org.settings.model_dump()}


@routes.get("/cases")
def list_cases() -> Response:
    """Every case with all its fields; `limit` and `offset` (the first 200 if not said)."""
    org, thing = api.org(), schema.OBJECTS["Case"]
    start, count = request.args.get("offset", 0, int), request.args.get("limit", 200, int)
    return jsonify([org.show(thing, record) for record in org.store.rows(thing)[start : start + count]])


@routes.post("/cases")
def make_cases() -> tuple[dict[str, Any], int]:
    """Create `count` cases, each with a contact of its own and a valid mobile number."""
    asked = control.read(NewCases)
    return {"ids": api.org().make_cases(asked.count, contact=asked.contact, **asked.values)}, 201


@routes.get("/cases/<case_id>")
def show_case(case_id: str) -> dict[str, Any]:
    """One case with all its fields."""
    return api.org().case(case_id)


@routes.patch("/cases/<case_id>")
def edit_case(case_id: str) -> dict[str, Any]:
    """Change a case's fields as the human agent: the package's flow runs."""
    api.org().edit(case_id, control.read_object())
    return api.org().case(case_id)


@routes.post("/tokens/expire")
def expire_tokens() -> dict[str, int]:
    """Make every access token worthless now."""
    return {"expired": api.org().tokens.expire()}


@routes.get("/outbound-messages")
def outbound_messages() -> dict[str, Any]:
    """Every outbound message with its attempts, how many wait, and the settings."""
    messages = api.org().messages
    names = outbound.Settings.model_fields
    settings = {name: getattr(messages.settings, name) for name in names}
    return {
        "settings": settings,
        "waiting": messages.waiting,
        "messages": [each.as_json() for each in list(messages.log)],
    }


@routes.patch("/outbound-messages")
def configure_outbound_messages() -> dict[str, Any]:
    """Change how outbound messages are delivered."""
    api.org().messages.configure(control.read_object())
    return outbound_messages()
