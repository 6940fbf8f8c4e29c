"""Assemble the routes into one WSGI application."""

import logging
from functools import partial

import psycopg
import structlog
from flask import Flask, Response, request
from flask_openapi3.models.info import Info
from flask_openapi3.models.security_scheme import SecurityScheme
from flask_openapi3.openapi import OpenAPI
from psycopg_pool import ConnectionPool
from pydantic import ValidationError
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.wrappers import Response as AnyResponse

from connector import __version__, bootstrap, expected, logs, tracing
from connector.metrics.exposition import Metrics
from connector.metrics.readings import Readings
from connector.settings import Settings
from connector.store import gauges
from webhooks import assets, crm_hooks, health, receive, refusals, spans, strict_json
from webhooks.agent_page import routes as agent_page
from webhooks.agent_page.access import PageAccess
from webhooks.agent_page.presenter import Presenter
from webhooks.agent_page.security import PageSecurity
from webhooks.agent_page.sessions import AgentSessions
from webhooks.agent_page.ticket_texts import TicketTexts
from webhooks.api import auth, openapi, schemas
from webhooks.api import routes as api
from webhooks.ccaip import chat_events
from webhooks.console import routes as console
from webhooks.health import Stopping
from webhooks.problems import Problem
from webhooks.text_service import TextService

log = structlog.get_logger()

# Where the server finds the application's Stopping among its extensions.
STOPPING = "connector.stopping"
TITLE = "Text customers through CCAI Platform"


def create_app(settings: Settings, pool: ConnectionPool, events: ConnectionPool | None = None) -> Flask:
    """The WSGI application. `events`: the pool for saving events. Raises BadSettings or BadMapping."""
    app = OpenAPI(
        __name__,
        static_folder=None,
        info=Info(title=TITLE, version=__version__),
        security_schemes={"bearer": SecurityScheme(type="http", scheme="bearer")},
        validation_error_callback=_not_valid,
        validation_error_model=schemas.Problem,
        doc_ui=False,
    )
    app.json = strict_json.Provider(app)
    app.config["MAX_CONTENT_LENGTH"] = settings.max_body_bytes
    mappings = bootstrap.mappings(settings)
    found = crm_hooks.opened(settings, mappings)
    stopping = app.extensions[STOPPING] = Stopping()
    app.register_blueprint(health.blueprint(events or pool, stopping))
    if settings.metrics_keys:
        read = partial(gauges.read, str(pool.conninfo), bootstrap.budgets(mappings.values()))
        metrics = Metrics(Readings(read, logs.errors.copy))
        app.register_blueprint(health.metrics_blueprint(settings.metrics_keys, metrics.text))
    for crm_name, routes in found.routes.items():
        app.register_blueprint(receive.blueprint(crm_name, routes, events or pool))
    app.register_blueprint(chat_events.blueprint(settings, events or pool))
    text_service = TextService(pool, mappings, settings.send_at_days)
    known = auth.Callers(found.verifiers)
    sessions, security = AgentSessions(pool), PageSecurity(settings.public_url, settings.frame_ancestors)
    app.register_api(api.blueprint(text_service, known, pool, sessions, security))
    texts = TicketTexts(text_service)
    access, presenter = PageAccess(text_service, sessions, security), Presenter(text_service, texts)
    app.register_blueprint(assets.blueprint(security))
    app.register_blueprint(agent_page.blueprint(access, presenter, texts, found.session_readers))
    app.register_blueprint(console.blueprint(pool, mappings, settings, text_service))
    app.add_url_rule("/v1/openapi.json", "openapi", lambda: openapi.document(app))
    if tracing.active():
        spans.trace_requests(app)
    app.register_error_handler(HTTPException, _answer_http)
    app.register_error_handler(Problem, Problem.answer)
    app.register_error_handler(psycopg.Error, _answer_database)
    app.register_error_handler(Exception, _answer_unexpected)
    return app


def _not_valid(error: ValidationError) -> Response:
    """Answer flask-openapi3's validation errors. Names the key, never the value."""
    first = error.errors(include_input=False, include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return Problem(422, f"{where or 'the body'}: {expected.words(first)}").answer()


def _answer_http(error: HTTPException) -> AnyResponse:
    """Answer Flask's HTTP errors in the format of the route: a problem for the API, JSON for webhooks."""
    if error.response is not None:
        return error.get_response()
    if error.code == 413:
        refusals.log("a body was too large", route=_route(), bytes=request.content_length)
    if request.path.startswith("/v1/"):
        return Problem(error.code or 500, error.description or "", _allowed(error)).answer()
    if error.code == 413:
        return receive.too_large()
    return error.get_response()


def _allowed(error: HTTPException) -> dict[str, str]:
    methods = error.valid_methods if isinstance(error, MethodNotAllowed) else None
    return {"Allow": ", ".join(sorted(methods))} if methods else {}


def _route() -> str:
    """The method and URL rule of this request. Not its URL, which may hold a token."""
    return f"{request.method} {request.url_rule.rule if request.url_rule else '(no route)'}"


def _answer_unexpected(error: Exception) -> Response:
    """Answer an unexpected error with 500. The log has its type and place, not its message, which may hold any data."""
    logging.getLogger(__name__).error("a request failed: %s", _route(), exc_info=error)
    if request.path.startswith("/v1/"):
        return Problem(500, "something went wrong in the connector; its log says where").answer()
    return Response("internal error\n", 500, content_type="text/plain")


def _answer_database(error: psycopg.Error) -> Response:
    log.error("the database does not answer", why=type(error).__name__)
    return Problem(503, "the database does not answer; try again", {"Retry-After": "5"}).answer()
