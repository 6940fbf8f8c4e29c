"""Faults: failures of coming calls, ordered in advance."""

import json
import threading
from typing import Any, Literal

from flask import Response, request
from pydantic import BaseModel, ConfigDict, Field

from connector.sandbox import clock, server

Kind = Literal["delay", "status", "drop_before", "drop_after", "malformed", "lock_row"]

BEFORE = ("status", "drop_before")
AFTER = ("drop_after", "malformed")

MALFORMED = "<html><body><h1>Bad gateway</h1></body></html>"


class Fault(BaseModel):
    """A failure of the next `times` calls that match.

    - `delay`: waits `seconds`, then proceeds (any other kind may wait as well);
    - `status`: answers with `status`, `headers` and `body`, and does nothing;
    - `drop_before`, `drop_after`: closes the connection without an answer, before or after the call takes effect;
    - `malformed`: the call takes effect, and the answer is 200 with an unreadable body;
    - `lock_row`: writing `record_id` (or any record) fails with UNABLE_TO_LOCK_ROW. Counted per record.

    `route` also matches routes with that prefix: `update` matches `update_many`.
    """

    model_config = ConfigDict(extra="forbid")

    kind: Kind
    side: str = "any"
    route: str = "any"
    times: int = Field(default=1, ge=1)
    seconds: float = Field(default=0.0, ge=0, le=600)
    status: int = Field(default=503, ge=100, le=599)
    body: dict[str, Any] | list[Any] | str | None = None
    headers: dict[str, str] = {}
    record_id: str | None = None
    match: str | None = Field(default=None, description="only calls whose path, query or body contains this text")

    def fits(self, side: str, route: str) -> bool:
        same_route = self.route in ("any", route) or route.startswith(f"{self.route}_")
        return self.side in ("any", side) and same_route

    def answer(self, response: Response) -> Response:
        """Turn `response` into the answer of this fault."""
        body = MALFORMED if self.kind == "malformed" and self.body is None else self.body
        response.status_code = 200 if self.kind == "malformed" else self.status
        if isinstance(body, (dict, list)):
            response.set_data(json.dumps(body))
            response.content_type = "application/json"
        else:
            response.set_data(body or "")
            response.content_type = "text/html" if (body or "").startswith("<") else "text/plain"
        response.headers.update(self.headers)
        return response


class Faults:
    """The pending faults. A call triggers the first one that matches."""

    def __init__(self, time: clock.Clock) -> None:
        self._clock = time
        self._lock = threading.Lock()
        self._waiting: list[Fault] = []
        self.routes: dict[str, set[str]] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, kind: Kind, **details: Any) -> Fault:
        """Add a fault; see `Fault`. Raises ValueError for an unknown side or route."""
        fault = Fault(kind=kind, **details)
        if fault.side not in ("any", *self.routes):
            raise ValueError(f"there is no side {fault.side!r}; there are any, {', '.join(sorted(self.routes))}")
        sides = self.routes if fault.side == "any" else [fault.side]
        routes = {route for side in sides for route in self.routes[side]}
        if not any(fault.fits(fault.side, route) for route in routes):
            raise ValueError(f"there is no route {fault.route!r}; there are any, {', '.join(sorted(routes))}")
        with self._lock:
            self._waiting.append(fault)
        return fault

    def clear(self) -> None:
        with self._lock:
            self._waiting.clear()

    def waiting(self) -> list[Fault]:
        with self._lock:
            return [fault.model_copy() for fault in self._waiting]

    def before(self, side: str, route: str) -> tuple[Fault | None, Response | None]:
        """Apply the part of a fault that precedes the call. Return the fault, and the answer that replaces the call."""
        if not self._waiting:
            return None, None
        fault = self._take(lambda fault: fault.kind != "lock_row" and fault.fits(side, route) and _matches(fault))
        if fault is None:
            return None, None
        if fault.seconds:
            self._clock.sleep(fault.seconds)
        if fault.kind not in BEFORE:
            return fault, None
        request.environ[server.DROP] = fault.kind == "drop_before"
        return fault, fault.answer(Response())

    def after(self, fault: Fault | None, response: Response) -> Response:
        """Apply the part of a fault that follows the call."""
        if fault is None or fault.kind not in AFTER:
            return response
        request.environ[server.DROP] = fault.kind == "drop_after"
        return fault.answer(response)

    def locks(self, side: str, route: str, record_id: str) -> bool:
        """Whether this record is locked for this write."""
        return bool(self._waiting) and bool(
            self._take(
                lambda fault: (
                    fault.kind == "lock_row"
                    and fault.fits(side, route)
                    and (fault.record_id or record_id)[:15] == record_id[:15]
                )
            )
        )

    def _take(self, fits: Any) -> Fault | None:
        with self._lock:
            fault = next(filter(fits, self._waiting), None)
            if fault is not None:
                fault.times -= 1
                if fault.times == 0:
                    self._waiting.remove(fault)
            return fault


def _matches(fault: Fault) -> bool:
    return fault.match is None or fault.match in request.full_path or fault.match.encode() in request.get_data()
