"""What was called, and the faults that were waiting for the call: the same for every side the sandbox plays."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, cast

from flask import Blueprint, Response, current_app, g, request

from connector.sandbox import server

if TYPE_CHECKING:
    from connector.sandbox import Sandbox

KEPT_HEADERS = ("content-type", "user-agent", "sforce-auto-assign", "sforce-call-options", "sforce-query-options")


@dataclass(slots=True)
class Call:
    """One request: when it came, what it was for, how many records it touched, and how it was answered.

    `status` is None while the call runs, and for good when the connection was closed without an answer.
    """

    side: str
    route: str
    method: str
    path: str
    at: datetime
    monotonic: float
    headers: dict[str, str] = field(default_factory=dict)
    records: int = 0
    status: int | None = None


def box() -> "Sandbox":
    """The sandbox that this request came to."""
    return cast("Sandbox", current_app.extensions["sandbox"])


def keep(routes: Blueprint) -> None:
    """Log every call of a side and play its faults. The blueprint's name is the side, its functions the routes."""
    routes.before_request(_arrive)
    routes.after_request(_leave)


def count(records: int) -> None:
    """Note how many records the call at hand touched."""
    g.call.records = records


def _arrive() -> Response | None:
    here = box()
    side, _, route = (request.endpoint or "").rpartition(".")
    headers = {name: request.headers[name] for name in KEPT_HEADERS if name in request.headers}
    g.call = Call(side, route, request.method, request.path, here.clock.now(), here.clock.monotonic(), headers)
    here.sides[side].calls.append(g.call)
    g.fault, answer = here.faults.before(side, route)
    return answer


def _leave(response: Response) -> Response:
    if "call" not in g:
        return response  # refused at the channel: a stranger's call is no call
    response = box().faults.after(g.fault, response)
    g.call.status = None if request.environ.get(server.DROP) else response.status_code
    return response
