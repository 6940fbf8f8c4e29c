"""The routes /console/…: the frame that all pages share, and the pages."""

from typing import Any

import psycopg
import structlog
from flask import Blueprint, Response, g, request
from flask.typing import ResponseReturnValue
from psycopg_pool import ConnectionPool
from werkzeug.exceptions import HTTPException

from connector import __version__
from connector.mapping.rules import Mapping as TicketMapping
from connector.settings import Settings
from webhooks.browser_security import BrowserSecurity
from webhooks.console import (
    audit_trail,
    backfills,
    bulk,
    decide_again,
    filters,
    keys,
    oidc,
    opt_outs,
    overview,
    pauses,
    person,
    reason,
    roles,
    search,
    sign_in,
    text,
    try_mapping,
    unknowns,
)
from webhooks.console.access import STATIC, Access
from webhooks.console.page import Console
from webhooks.console.roles import Role
from webhooks.problems import Problem
from webhooks.text_service import TextService

log = structlog.get_logger()

NAME = "console"
# The pages. Each module has add(pages, console).
PAGES = (
    overview,
    search,
    text,
    reason,
    decide_again,
    unknowns,
    opt_outs,
    person,
    bulk,
    pauses,
    backfills,
    try_mapping,
    audit_trail,
    keys,
)
TITLES = {
    400: "That cannot be meant",
    401: "Sign in again",
    403: "You may not do that",
    404: "There is nothing here",
    405: "That is not possible here",
    409: "That is not possible now",
    413: "That was too much",
    429: "One moment, please",
    503: "Not right now",
}


def blueprint(
    pool: ConnectionPool, mappings: dict[str, TicketMapping], settings: Settings, texts: TextService
) -> Blueprint:
    """The routes /console/…. Building the application fails where a view names no role."""
    pages = Blueprint(NAME, __name__, url_prefix="/console", static_folder="static", template_folder="templates")
    console = Console(pool, mappings, settings, texts)
    access = Access(pool, BrowserSecurity(settings.public_url, ()))
    _add_frame(pages, console, access)
    sign_in.add(pages, console, access)
    oidc.add(pages, console, access)
    for page in PAGES:
        page.add(pages, console)
    _add_nothing(pages)
    pages.record(lambda state: roles.check(state.app, NAME))
    return pages


def _add_frame(pages: Blueprint, console: Console, access: Access) -> None:
    """Add what all pages share: access, headers, filters, and error pages."""
    pages.before_request(access.check)
    for name, function in filters.FILTERS.items():
        pages.add_app_template_filter(function, name)

    @pages.context_processor
    def shared() -> dict[str, Any]:
        return {"version": __version__, "form_token": lambda: access.form_token(g.viewer), "address": _address()}

    @pages.after_request
    def protect(response: Response) -> Response:
        return access.security.protect(response, kept=request.endpoint == STATIC)

    @pages.errorhandler(Problem)
    def refused(problem: Problem) -> Any:
        title = TITLES.get(problem.status, "That did not work")
        page = console.render("console/problem.html", title=title, words=problem.detail)
        return page, problem.status, problem.headers

    @pages.errorhandler(psycopg.Error)
    def away(error: psycopg.Error) -> Any:
        log.error("the database does not answer", why=type(error).__name__)
        return refused(Problem(503, "The connector cannot reach its database. Try again in a moment."))

    @pages.errorhandler(psycopg.DataError)
    def unusable(error: psycopg.DataError) -> Any:
        return refused(Problem(400, "A number in this request is too large, or a text has a sign that none can have."))

    @pages.errorhandler(HTTPException)
    def not_there(error: HTTPException) -> Any:
        return refused(Problem(error.code or 500, error.description or error.name))


def _add_nothing(pages: Blueprint) -> None:
    """Answer addresses that no page has with one of the console's pages."""

    @pages.get("/<path:address>")
    @roles.needs(Role.VIEW)
    def nothing(address: str) -> ResponseReturnValue:
        raise Problem(404, "No page has this address.")


def _address() -> str:
    """The address of this page, for forms that return to it."""
    return request.full_path.rstrip("?")
