"""Access to the agent page: by a link or a CRM's signature, then by the page's cookie and its form tokens."""

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from flask import Response, make_response, redirect, request, url_for

from webhooks import rate_limit
from webhooks.agent_page.presenter import Shown
from webhooks.agent_page.security import PageSecurity
from webhooks.agent_page.sessions import AGAIN, AgentSession, AgentSessions
from webhooks.problems import Problem
from webhooks.signed_values import Purpose, same
from webhooks.text_service import TextService

# Requests per agent and minute, including polls.
PER_MINUTE = 120

# Reads a CRM's signed request at a time, in seconds since the epoch. Raises NotAuthentic.
Read = Callable[[str, float], AgentSession]
SessionReaders = Mapping[str, Read]


def session_readers(crm_names: Sequence[str]) -> SessionReaders:
    """The readers of signed requests, for the CRMs that have one set up. Raises BadSettings."""
    modules = {crm_name: importlib.import_module(f"webhooks.crms.{crm_name}") for crm_name in crm_names}
    found = {
        crm_name: module.session_reader() for crm_name, module in modules.items() if hasattr(module, "session_reader")
    }
    return {crm_name: read for crm_name, read in found.items() if read}


class PageAccess:
    """Checks access for the current request."""

    def __init__(self, text_service: TextService, sessions: AgentSessions, security: PageSecurity) -> None:
        self._text_service, self.sessions, self.security = text_service, sessions, security

    def opened(self, session: AgentSession) -> Response:
        """Redirect to the page, with the cookie set and without the link's token in the address."""
        return self._with_cookie(make_response(redirect(url_for("agents.write", page=session.id), 303)), session)

    def answered(self, session: AgentSession, shown: Shown) -> Response:
        """An answer of the page. Stores the ticket's number in the session, so that every page can show it."""
        response = make_response(shown.body, shown.status)
        if shown.number in ("", session.number):
            return response
        return self._with_cookie(response, replace(session, number=shown.number))

    def _with_cookie(self, response: Response, session: AgentSession) -> Response:
        self.security.set_cookie(request, response, session, self.sessions.seal(Purpose.SESSION, session))
        return response

    def admit(self, page: str) -> AgentSession:
        """The session that has this page open. Counts the request. Raises Problem."""
        session = self.sessions.session(page, self.security.cookie(request))
        self._text_service.database(lambda connection: rate_limit.count(connection, session.caller, PER_MINUTE))
        return session

    def admit_form(self, page: str) -> AgentSession:
        """The session of a submitted form. Checks its origin and its token for this page. Raises Problem."""
        self.security.refuse_strangers(request)
        session = self.admit(page)
        if not same(self.sessions.form_token(session), request.form.get("token", "")):
            raise Problem(403, f"This form does not belong to this page. {AGAIN}")
        return session

    def open(self, page: str, token: str) -> Response:
        """Open the page by a link. Raises Problem."""
        try:
            return self.opened(self.sessions.open(token))
        except Problem:
            # The link was used, but an agent with the page's cookie has only navigated back.
            if not self.security.cookie(request):
                raise
            return make_response(redirect(url_for("agents.write", page=self.admit(page).id), 303))
