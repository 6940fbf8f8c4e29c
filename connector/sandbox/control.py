"""The control plane, `/_sandbox`: logs of calls, faults, switches and statistics.

Each side adds its own part (`ccaip/control.py`, `crms/<crm>/control.py`).
"""

from collections import Counter
from dataclasses import asdict
from typing import Any, TypeVar

from flask import Blueprint, Response, abort, current_app, jsonify, request
from pydantic import BaseModel, ValidationError

from connector.sandbox import clock, faults, journal

routes = Blueprint("control", __name__, url_prefix="/_sandbox")

Model = TypeVar("Model", bound=BaseModel)
UNLISTED = frozenset({"HEAD", "OPTIONS"})


def explain(blueprint: Blueprint) -> None:
    """Make a blueprint answer unusable input with 400 and a message."""
    blueprint.register_error_handler(ValidationError, _invalid)
    blueprint.register_error_handler(ValueError, lambda error: (jsonify(message=str(error)), 400))


def read_object() -> dict[str, Any]:
    """The request's JSON object. Aborts with 400 for anything else."""
    content = request.get_json(force=True, silent=True)
    if not isinstance(content, dict):
        abort(400, "The request body is not a JSON object.")
    return content


def read(model: type[Model]) -> Model:
    """The request's JSON object, validated. Raises ValidationError, also for unknown keys."""
    return model(**read_object())


def _invalid(error: ValidationError) -> tuple[Response, int]:
    wrong = [f"{'.'.join(map(str, each['loc'])) or 'body'}: {each['msg']}" for each in error.errors()]
    return jsonify(message="; ".join(wrong)), 400


explain(routes)


@routes.get("")
def index() -> dict[str, Any]:
    """Every address of the control plane, and what it is for."""
    found = {
        f"{method} {rule.rule}": (current_app.view_functions[rule.endpoint].__doc__ or "").partition("\n")[0]
        for rule in current_app.url_map.iter_rules()
        if rule.rule.startswith("/_sandbox")
        for method in sorted((rule.methods or set()) - UNLISTED)
    }
    return {"sandbox": "Both remote sides, emulated. All times are UTC.", "addresses": dict(sorted(found.items()))}


@routes.get("/faults")
def list_faults() -> Response:
    """The faults that wait for their call."""
    return jsonify([fault.model_dump() for fault in journal.box().faults.waiting()])


@routes.post("/faults")
def add_fault() -> tuple[dict[str, Any], int]:
    """Let something go wrong with the next calls."""
    asked = read(faults.Fault)
    return journal.box().faults.add(**asked.model_dump(exclude_unset=True)).model_dump(), 201


@routes.delete("/faults")
def clear_faults() -> tuple[str, int]:
    """Forget the faults that were not played."""
    journal.box().faults.clear()
    return "", 204


@routes.get("/switches")
def list_switches() -> Response:
    """What the vendors leave open, and the answer in force."""
    switches = journal.box().switches
    return jsonify(
        [asdict(switch) | {"value": switches[name], "guess": True} for name, switch in switches.known.items()]
    )


@routes.patch("/switches")
def set_switches() -> dict[str, Any]:
    """Choose other answers."""
    switches = journal.box().switches
    switches.update(read_object())
    return dict(switches)


@routes.post("/reset")
def reset() -> tuple[str, int]:
    """Everything as it was at the start."""
    journal.box().reset()
    return "", 204


@routes.get("/stats")
def stats() -> dict[str, Any]:
    """How often each route was called and answered how, texts, and tickets that were texted more than once."""
    answer: dict[str, Any] = {}
    for name, side in journal.box().sides.items():
        calls = list(side.calls)
        answer[name] = {
            "calls": len(calls),
            "routes": Counter(call.route for call in calls),
            "statuses": Counter(str(call.status) for call in calls),
            "records": sum(call.records for call in calls),
            **side.stats(),
        }
    return answer


@routes.get("/calls")
def calls() -> Response:
    """The log of calls of all sides in order of arrival; `side` and `route` pick some, `limit` the last so many."""
    picks = {name: request.args[name] for name in ("side", "route") if name in request.args}
    found = [call for side in journal.box().sides.values() for call in list(side.calls)]
    found = [call for call in found if all(getattr(call, name) == wanted for name, wanted in picks.items())]
    found.sort(key=lambda call: call.monotonic)
    last = found[-request.args.get("limit", 200, int) :]
    return jsonify([asdict(call) | {"at": clock.timestamp(call.at)} for call in last])
