"""Links to the agent page, and sessions. Each is for one agent and one ticket and expires; a link opens once."""

import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace

import structlog
from psycopg_pool import ConnectionPool

from connector.store import agent_requests, page_links
from webhooks import signed_values
from webhooks.problems import Problem
from webhooks.signed_values import BadSignature, Purpose

log = structlog.get_logger()

# The lifetime of a link, and of the session that it opens.
LINK_SECONDS, SESSION_SECONDS = 300, 1800
AGAIN = "Open the page again from the ticket. Nothing was sent."


@dataclass(frozen=True, slots=True)
class AgentSession:
    """One agent at one ticket. `id` is part of the page's address and not secret. `until`: seconds since the epoch.

    `after` is the ticket's newest text when the page was opened: the first form is for the text after it. A link, or a
    request signed by a CRM, creates a session. `number` is the ticket's number for people, once it is known.
    """

    id: str
    crm: str
    ticket_id: str
    until: float
    agent_name: str = ""
    agent_email: str = ""
    agent_id: int = 0
    number: str = ""
    after: int | None = None

    @property
    def agent(self) -> str:
        """The agent's name for people."""
        return self.agent_email or self.agent_name or (f"agent {self.agent_id}" if self.agent_id else "an agent")

    @property
    def caller(self) -> str:
        """The agent's key for rate limits. Agents whom the CRM does not name are told apart by ticket."""
        named = self.agent_email or self.agent_name or self.agent_id
        return f"page:{self.agent}" if named else f"page:{self.crm}:{self.ticket_id}"


def unopened(crm: str, ticket_id: str, agent_name: str, agent_email: str, agent_id: int) -> AgentSession:
    """A session that can be opened within LINK_SECONDS."""
    until = int(time.time()) + LINK_SECONDS
    return AgentSession(secrets.token_urlsafe(16), crm, ticket_id, until, agent_name, agent_email, agent_id)


class AgentSessions:
    """Thread-safe. All web processes share one secret."""

    def __init__(self, pool: ConnectionPool, clock: Callable[[], float] = time.time) -> None:
        self._pool, self._clock = pool, clock

    def seal(self, purpose: Purpose, session: AgentSession) -> str:
        """The signed value for a link or a cookie."""
        return signed_values.seal(self._secret(), purpose, asdict(session))

    def open(self, token: str) -> AgentSession:
        """Open the session of a link, once. Raises Problem 403 or 410."""
        return self.begin(self._unsealed(Purpose.LINK, token))

    def begin(self, session: AgentSession) -> AgentSession:
        """Begin a session, once and before it expires. The link is used when this returns. Raises Problem 410."""
        if session.until < self._clock():
            raise Problem(410, f"A link opens the page within five minutes. {AGAIN}")
        with self._pool.connection() as connection:
            if not page_links.use(connection, session.id, session.until):
                raise Problem(410, f"A link opens the page once. {AGAIN}")
            after = agent_requests.newest(connection, session.crm, session.ticket_id)
        log.info("the page was opened", crm=session.crm, ticket=session.ticket_id)
        return replace(session, until=int(self._clock()) + SESSION_SECONDS, after=after)

    def session(self, page: str, cookie: str) -> AgentSession:
        """The session that has this page open. Raises Problem 403 or 410."""
        if not cookie:
            raise Problem(403, f"This page is not open in this browser. {AGAIN}")
        found = self._unsealed(Purpose.SESSION, cookie)
        if not signed_values.same(found.id, page):
            raise Problem(403, f"This page belongs to another ticket. {AGAIN}")
        if found.until < self._clock():
            raise Problem(410, f"The page stays open for half an hour. {AGAIN}")
        return found

    def form_token(self, of: AgentSession) -> str:
        """The CSRF token of this page's forms."""
        return signed_values.seal(self._secret(), Purpose.FORM, of.id)

    def seal_findings(self, of: AgentSession, ids: Sequence[str]) -> str:
        """The signed list of the findings shown with a form. A reason covers only these."""
        return signed_values.seal(self._secret(), Purpose.FINDINGS, [of.id, *ids])

    def findings(self, of: AgentSession, sealed: str) -> tuple[str, ...]:
        """The findings shown with this page's form. Empty when the signature is wrong."""
        try:
            page, *ids = signed_values.unseal(self._secret(), Purpose.FINDINGS, sealed)
        except BadSignature:
            return ()
        return tuple(ids) if page == of.id else ()

    def _unsealed(self, purpose: Purpose, sealed: str) -> AgentSession:
        try:
            return AgentSession(**signed_values.unseal(self._secret(), purpose, sealed))
        except (BadSignature, TypeError):  # TypeError: signed by another version of the connector
            log.warning("a link or session was refused", purpose=purpose.value)
            raise Problem(403, f"This link was not made by the connector, or not all of it arrived. {AGAIN}") from None

    def _secret(self) -> bytes:
        with self._pool.connection() as connection:
            return page_links.secret(connection)
