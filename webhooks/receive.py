"""Takes in what a CRM sends: verified and parsed by the CRM's own module, committed here, acknowledged after that."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
import structlog
from flask import Blueprint, Response, request
from psycopg_pool import ConnectionPool
from werkzeug.exceptions import HTTPException

from connector.errors import NotAuthentic, Unreadable
from connector.intake import Intake
from connector.ledger import TakenIn
from connector.model import TicketEvent

log = structlog.get_logger()

# Where all of this is.
PREFIX = "/webhooks/"
# What a message's sender hears once its events are committed.
Answer = Callable[[Sequence[TakenIn]], Response]


@dataclass(frozen=True, slots=True)
class Message:
    """What came in: the body as bytes, the headers, and the token of the address where it has one."""

    body: bytes
    headers: Mapping[str, str]
    token: str


@dataclass(frozen=True, slots=True)
class Entrance:
    """One address of a CRM. A module in webhooks/crms/ lists its own in `entrances(file)`.

    `parse` raises NotAuthentic (nothing is kept) or Unreadable. What is authentic but unreadable is answered 400; where
    the sender would repeat it for hours, `keep_as` gives it an id by its bytes, and it is kept and acknowledged.
    """

    path: str
    parse: Callable[[Message], Sequence[TicketEvent]]
    answer: Answer
    keep_as: Callable[[bytes], str] | None = None


def blueprint(stem: str, entrances: Sequence[Entrance], pool: ConnectionPool) -> Blueprint:
    """The addresses /webhooks/<stem>/…."""
    intake = Intake(pool)
    doors = Blueprint(f"webhooks_{stem}", __name__, url_prefix=f"{PREFIX}{stem}")
    for entrance in entrances:
        name = entrance.path.split("/")[1]
        doors.add_url_rule(entrance.path, name, _view(stem, name, entrance, intake), methods=["POST"])
    return doors


class Acknowledgement(Response):
    """The answer to a message: these events are committed first. Any WSGI server can give it; a server that has an
    event loop awaits `committed`, and commits what arrives together in one.
    """

    def __init__(self, events: Sequence[TicketEvent], intake: Intake, answer: Answer) -> None:
        super().__init__()
        self._events, self._intake, self._answer = events, intake, answer

    async def committed(self) -> Response:
        """What to answer."""
        try:
            return self._answer(await self._intake.together(self._events))
        except psycopg.Error as error:
            return _not_kept(error)

    def __call__(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        try:
            answer = self._answer(self._intake.alone(self._events))
        except psycopg.Error as error:
            answer = _not_kept(error)
        return answer(environ, start_response)


def _view(stem: str, name: str, entrance: Entrance, intake: Intake) -> Callable[..., Response]:
    def receive(token: str = "") -> Response:
        message = Message(request.get_data(cache=False), request.headers, token)
        if request.content_length not in (None, len(message.body)):
            return _problem(400, "the message is not complete")
        try:
            events = entrance.parse(message)
        except NotAuthentic as error:
            log.warning("a message was refused", crm=stem, door=name, why=str(error))
            return _problem(error.status, str(error))
        except Unreadable as error:
            if entrance.keep_as is None:
                return _problem(400, str(error))
            log.error("a message cannot be read; it is kept", crm=stem, why=str(error))
            events = [TicketEvent(stem, entrance.keep_as(message.body), None, problem=str(error), raw=message.body)]
        return Acknowledgement(events, intake, entrance.answer)

    return receive


def _not_kept(error: psycopg.Error) -> Response:
    log.error("a message could not be kept", why=type(error).__name__)
    return _problem(503, "the database does not answer; send it again")


def _problem(status: int, why: str) -> Response:
    wait = {"Retry-After": "5"} if status == 503 else {}
    return Response(json.dumps({"error": why}), status, wait, content_type="application/json")


def too_large(error: HTTPException) -> Response:
    """413, in the form of all other errors."""
    return _problem(413, "the message is larger than CONNECTOR_MAX_BODY_BYTES")
