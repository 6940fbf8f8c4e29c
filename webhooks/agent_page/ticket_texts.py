"""The texts of the ticket that an agent has open, and no others."""

from collections.abc import Sequence

from flask import request

from connector.model import Channel
from connector.store.audit import Actor, Source
from connector.store.text_views import TextStatus
from webhooks.agent_page.sessions import AgentSession
from webhooks.problems import Problem
from webhooks.text_service import TextService


class TicketTexts:
    """Reads and cancels the texts of a session's ticket."""

    def __init__(self, text_service: TextService) -> None:
        self._text_service = text_service

    def all(self, session: AgentSession) -> Sequence[TextStatus]:
        """The ticket's texts, newest first."""
        return self._text_service.seen_of_ticket(session.crm, session.ticket_id)

    def get(self, session: AgentSession, text: int, wait: float = 0) -> TextStatus:
        """One of the ticket's texts. Raises Problem 404 for any other text."""
        found = self._text_service.seen(text, 0)
        if (found.crm, found.ticket_id) != (session.crm, session.ticket_id):
            raise Problem(404, "there is no such text")
        return self._text_service.seen(text, wait, session.caller) if wait else found

    def cancel(self, session: AgentSession, text: int) -> None:
        """Cancel a text that was not sent yet. Raises Problem 404."""
        self.get(session, text)
        try:
            self._text_service.cancel(text, session.agent, Actor(session.agent, Source.PAGE, request.remote_addr or ""))
        except Problem as problem:
            if problem.status != 409:  # too late: the page shows the outcome
                raise

    def newer(self, session: AgentSession, after: int) -> list[TextStatus]:
        """Those that were requested after this text, newest first."""
        return [found for found in self.all(session) if found.id > after]

    def newest(self, session: AgentSession) -> int:
        """The id of the newest; 0: there is none."""
        return max((found.id for found in self.all(session)), default=0)


def requested(newer: Sequence[TextStatus]) -> TextStatus | None:
    """The first text that an agent requested after the form was loaded. Submitting the form again means this text."""
    return next((found for found in reversed(newer) if found.channel is Channel.AGENT), None)
