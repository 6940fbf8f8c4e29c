"""Takes in what a CRM sends: verified and parsed by the CRM's own module, committed here, acknowledged after that."""

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import psycopg
import structlog
from flask import Blueprint, Response, jsonify, request
from psycopg_pool import ConnectionPool
from werkzeug.exceptions import HTTPException

from connector import ledger
from connector.errors import NotAuthentic, Unreadable
from connector.intake import Intake
from connector.ledger import TakenIn
from connector.mapping_file import MappingFile
from connector.model import TicketEvent

log = structlog.get_logger()


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
    answer: Callable[[Sequence[TakenIn]], Response]
    keep_as: Callable[[bytes], str] | None = None


def blueprint(stem: str, file: MappingFile, pool: ConnectionPool) -> Blueprint:
    """The addresses /webhooks/<stem>/…. Raises BadSettings where the CRM's module lacks a secret."""
    module = importlib.import_module(f"webhooks.crms.{stem}")
    intake = Intake(pool, stem)
    doors = Blueprint(f"webhooks_{stem}", __name__, url_prefix=f"/webhooks/{stem}")
    for entrance in module.entrances(file):
        doors.add_url_rule(
            entrance.path, entrance.path.split("/")[1], _view(stem, entrance, pool, intake), methods=["POST"]
        )
    return doors


def _view(stem: str, entrance: Entrance, pool: ConnectionPool, intake: Intake) -> Callable[..., Response]:
    def receive(token: str = "") -> Response:
        message = Message(request.get_data(cache=False), request.headers, token)
        if request.content_length not in (None, len(message.body)):
            return _problem(400, "the message is not complete")
        try:
            try:
                events = entrance.parse(message)
            except Unreadable as error:
                if entrance.keep_as is None:
                    return _problem(400, str(error))
                with pool.connection() as connection:
                    ledger.keep_unreadable(connection, stem, entrance.keep_as(message.body), message.body, str(error))
                log.error("a message could not be read; it is kept", crm=stem, why=str(error))
                return entrance.answer([])
            taken = intake.take_in(events)
        except NotAuthentic as error:
            log.warning("a message was refused", crm=stem, door=entrance.path.split("/")[1], why=str(error))
            return _problem(error.status, str(error))
        except psycopg.Error as error:
            log.error("a message could not be kept", crm=stem, why=type(error).__name__)
            return _problem(503, "the database does not answer; send it again")
        return entrance.answer(taken)

    return receive


def _problem(status: int, why: str) -> Response:
    response = jsonify({"error": why})
    response.status_code = status
    if status == 503:
        response.headers["Retry-After"] = "5"
    return response


def too_large(error: HTTPException) -> Response:
    """413, in the form of all other errors."""
    return _problem(413, "the message is larger than CONNECTOR_MAX_BODY_BYTES")
