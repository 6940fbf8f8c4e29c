"""The log of calls and the playing of faults, shared by all sides."""

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
    """A request: its arrival, its route, the number of records touched, and the status of the answer.

    `status` is None while the call runs, and stays None when the connection was closed without an answer.
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
    """The sandbox that received this request."""
    return cast("Sandbox", current_app.extensions["sandbox"])


def keep(routes: Blueprint) -> None:
    """Log each call to a side and play its faults. The blueprint names the side, its view functions the routes."""
    routes.before_request(_arrive)
    routes.after_request(_leave)


def count(records: int) -> None:
    """Record how many records the current call touched."""
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
        return response  # app.refuse_strangers refused it before it reached a side
    response = box().faults.after(g.fault, response)
    g.call.status = None if request.environ.get(server.DROP) else response.status_code
    return response
