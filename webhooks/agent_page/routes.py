"""The agent page "Text customer", /agents/…, for CRMs without such an action, for trials and for the demo.

A link or a CRM's signature opens it. It works without JavaScript: by forms, and pages that reload.
"""

import time
from typing import Any

import psycopg
import structlog
from flask import Blueprint, Response, jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException

from connector import __version__
from connector.errors import NotAuthentic
from webhooks import refusals
from webhooks.agent_page import advice, forms, progress
from webhooks.agent_page.access import PER_MINUTE, PageAccess, SessionReaders
from webhooks.agent_page.forms import Draft
from webhooks.agent_page.presenter import OTHER_LANGUAGE, Presenter, part
from webhooks.agent_page.sessions import AGAIN, AgentSession
from webhooks.agent_page.ticket_texts import TicketTexts
from webhooks.api import serializers
from webhooks.problems import Problem

log = structlog.get_logger()

# The longest wait of a poll, in seconds.
MAX_WAIT = 15.0
# Between two polls of the page's script, which use half of an agent's rate limit.
POLL_MS = 2 * 60_000 // PER_MINUTE
TITLES = {
    403: "This page is not open",
    404: "There is nothing here",
    410: "This page is no longer open",
    413: "That was too much",
    429: "One moment, please",
    503: "Not right now",
}


def blueprint(access: PageAccess, presenter: Presenter, texts: TicketTexts, known: SessionReaders) -> Blueprint:
    """The routes /agents/…."""
    pages = Blueprint("agents", __name__, url_prefix="/agents", static_folder="static", template_folder="templates")
    _add_frame(pages, access)
    _add_ways_in(pages, access, known)
    _add_writing(pages, access, presenter)
    _add_watching(pages, access, presenter, texts)
    return pages


def _add_frame(pages: Blueprint, access: PageAccess) -> None:
    """Add what all pages share: headers, filters, and error pages."""
    pages.add_app_template_filter(forms.sentence, "sentence")

    @pages.context_processor
    def shared() -> dict[str, Any]:
        return {
            "version": __version__,
            "poll_ms": POLL_MS,
            "form_token": access.sessions.form_token,
            "seal_findings": access.sessions.seal_findings,
        }

    @pages.after_request
    def protect(response: Response) -> Response:
        return access.security.protect(response, kept=request.endpoint == "agents.static")

    @pages.errorhandler(Problem)
    def closed(problem: Problem) -> Any:
        title = TITLES.get(problem.status, "That did not work")
        words = forms.sentence(problem.detail)
        body = render_template("agents/closed.html", title=title, words=words, typed=_unsent(access, problem))
        return body, problem.status, problem.headers

    @pages.errorhandler(psycopg.Error)
    def away(error: psycopg.Error) -> Any:
        log.error("the database does not answer", why=type(error).__name__)
        return closed(Problem(503, "The connector cannot reach its database. Try again in a moment"))

    @pages.errorhandler(HTTPException)
    def refused(error: HTTPException) -> Any:
        return closed(Problem(error.code or 500, error.description or error.name))


def _add_ways_in(pages: Blueprint, access: PageAccess, known: SessionReaders) -> None:
    @pages.get("/text")
    def nothing() -> Response:
        raise Problem(403, f"This page is opened from a ticket. {AGAIN}")

    @pages.post("/canvas/<crm_name>")
    def canvas(crm_name: str) -> Response:
        """Open the page by a request that the CRM signed for an agent."""
        if crm_name not in known:
            raise Problem(404, "This way in has not been set up")
        try:
            session = known[crm_name](request.form.get("signed_request", ""), time.time())
        except NotAuthentic as error:
            refusals.log("a signed request was refused", crm=crm_name, why=str(error))
            raise Problem(403, f"{crm_name.capitalize()} has not vouched for you: {error}. {AGAIN}") from None
        return access.opened(access.sessions.begin(session))

    @pages.get("/canvas/<crm_name>")
    def canvas_unsigned(crm_name: str) -> Response:
        raise Problem(403, "The CRM sent no signed request: an admin has to approve who may use the app, in advance")


def _add_writing(pages: Blueprint, access: PageAccess, presenter: Presenter) -> None:
    @pages.get("/text/<page>")
    def write(page: str) -> Any:
        """The form. With a link's token, a redirect to it."""
        token = request.args.get("link")
        if token is not None and request.method == "HEAD":
            return "", 204  # a HEAD request must not use up the link
        if token is not None:
            return access.open(page, token)
        session = access.admit(page)
        after = forms.number(request.args.get("after", ""))
        return access.answered(session, presenter.fresh(session, session.after if after is None else after))

    @pages.post("/text/<page>")
    def submit(page: str) -> Any:
        """Send, start from a template, change the language, or preview the draft."""
        session, draft = _typed(access, page)
        before = forms.language(request.form.get("language_before", ""))
        match request.form.get("do"):
            case "send" if draft.language != before:
                shown = presenter.in_language(session, draft, before, OTHER_LANGUAGE)
            case "send":
                shown = presenter.send(session, draft)
            case "template":
                shown = presenter.started_from(session, draft)
            case "language":
                shown = presenter.in_language(session, draft, before)
            case _:
                shown = presenter.form(session, draft, forms.too_long(draft))
        return access.answered(session, shown)

    @pages.post("/text/<page>/preview")
    def preview(page: str) -> Response:
        """Preview for the page's script: the parts that change."""
        session, draft = _typed(access, page)
        if found := forms.too_long(draft):
            raise Problem(422, found.message or found.override)
        seen = presenter.preview(session, draft, typing=True)
        return jsonify(
            preview=part("preview", seen),
            verdict=part("verdict", seen, forms.outdated(seen, draft)),
            texts=presenter.texts(session, access.sessions.form_token(session)),
            stopped=bool(advice.final(seen)),
            wants_reason=forms.wants_reason(seen, draft),
            after=presenter.after(session, draft, seen),
            findings=access.sessions.seal_findings(session, forms.overridable(seen)),
        )


def _unsent(access: PageAccess, problem: Problem) -> str:
    """The message of a form that failed, so that the error page can return it to the agent."""
    if request.endpoint != "agents.submit" or problem.status == 413 or not access.security.from_us(request):
        return ""
    return request.form.get("message", "")


def _typed(access: PageAccess, page: str) -> tuple[AgentSession, Draft]:
    """The session and the draft of a submitted form. Raises Problem."""
    session = access.admit_form(page)
    return session, forms.read(request.form, access.sessions.findings(session, request.form.get("findings", "")))


def _add_watching(pages: Blueprint, access: PageAccess, presenter: Presenter, texts: TicketTexts) -> None:
    @pages.get("/text/<page>/texts/<int:text>")
    def watch(page: str, text: int) -> Any:
        """The progress of a text."""
        session = access.admit(page)
        return access.answered(session, presenter.watch(session, text, again=request.args.get("again") == "1"))

    @pages.get("/text/<page>/texts/<int:text>/news")
    def news(page: str, text: int) -> Response:
        """The progress for the page's script, once there is an outcome or after `wait` seconds."""
        session = access.admit(page)
        wait = request.args.get("wait", 0.0, float)
        found = texts.get(session, text, min(wait, MAX_WAIT) if wait > 0 else 0.0)
        return jsonify(
            said=serializers.text(found).said,
            progress=part("progress", serializers.text(found), progress.steps(found)),
            texts=presenter.texts(session, access.sessions.form_token(session)),
            final=found.is_final,
            done=progress.done(found),
            waits=progress.waits(found),
        )

    @pages.post("/text/<page>/texts/<int:text>/cancel")
    def cancel(page: str, text: int) -> ResponseReturnValue:
        """Cancel a text that was not sent yet, and redirect to its progress."""
        session = access.admit_form(page)
        texts.cancel(session, text)
        return redirect(url_for("agents.watch", page=session.id, text=text), 303)
