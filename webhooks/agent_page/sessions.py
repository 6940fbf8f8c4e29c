"""Links to the hosted page and the sessions they open: for one agent and one ticket, short, and each opened once."""

import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace

import structlog
from psycopg_pool import ConnectionPool

from connector.store import agent_requests, page_links
from webhooks.agent_page import signed_values
from webhooks.agent_page.signed_values import BadSignature, Purpose
from webhooks.problems import Problem

log = structlog.get_logger()

# How long a link opens the page, and how long the page stays open after that.
LINK_SECONDS, SESSION_SECONDS = 300, 1800
AGAIN = "Open the page again from the ticket. Nothing was sent."


@dataclass(frozen=True, slots=True)
class AgentSession:
    """One agent at one ticket. `id` stands in the page's address and is no secret; `until` in seconds since the epoch.

    `after` is the ticket's newest text when the page was opened: its first form is for the text after that one.
    Made by a link of ours, or by a CRM that signs for its agent. `number` is what people call the ticket by, once that
    is known.
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
        """Who it is, for people."""
        return self.agent_email or self.agent_name or (f"agent {self.agent_id}" if self.agent_id else "an agent")

    @property
    def caller(self) -> str:
        """Who it is, for counting: agents whom the CRM does not name are told apart by their tickets."""
        named = self.agent_email or self.agent_name or self.agent_id
        return f"page:{self.agent}" if named else f"page:{self.crm}:{self.ticket_id}"


def visit(crm: str, ticket_id: str, agent_name: str, agent_email: str, agent_id: int) -> AgentSession:
    """A visit that may begin within a link's life."""
    until = int(time.time()) + LINK_SECONDS
    return AgentSession(secrets.token_urlsafe(16), crm, ticket_id, until, agent_name, agent_email, agent_id)


class AgentSessions:
    """For all threads of a web process; all web processes have the same secret."""

    def __init__(self, pool: ConnectionPool, clock: Callable[[], float] = time.time) -> None:
        self._pool, self._clock = pool, clock

    def seal(self, purpose: Purpose, wanted: AgentSession) -> str:
        """What the link or the cookie carries."""
        return signed_values.seal(self._secret(), purpose, asdict(wanted))

    def open(self, token: str) -> AgentSession:
        """The session that this link opens, this once. Raises Problem 403 or 410."""
        return self.begin(self._unsealed(Purpose.LINK, token))

    def begin(self, wanted: AgentSession) -> AgentSession:
        """The session of a visit that has not begun before and still may. Raises Problem 410."""
        if wanted.until < self._clock():
            raise Problem(410, f"A link opens the page within five minutes. {AGAIN}")
        with self._pool.connection() as connection:
            if not page_links.use(connection, wanted.id, wanted.until):
                raise Problem(410, f"A link opens the page once. {AGAIN}")
            after = agent_requests.newest(connection, wanted.crm, wanted.ticket_id)
        log.info("the page was opened", crm=wanted.crm, ticket=wanted.ticket_id)
        return replace(wanted, until=int(self._clock()) + SESSION_SECONDS, after=after)

    def session(self, page: str, cookie: str) -> AgentSession:
        """Who has this page open. Raises Problem 403 or 410."""
        if not cookie:
            raise Problem(403, f"This page is not open in this browser. {AGAIN}")
        found = self._unsealed(Purpose.SESSION, cookie)
        if not signed_values.same(found.id, page):
            raise Problem(403, f"This page belongs to another ticket. {AGAIN}")
        if found.until < self._clock():
            raise Problem(410, f"The page stays open for half an hour. {AGAIN}")
        return found

    def form_token(self, of: AgentSession) -> str:
        """What each form of this page carries, and no other site can know."""
        return signed_values.seal(self._secret(), Purpose.FORM, of.id)

    def seal_findings(self, of: AgentSession, ids: Sequence[str]) -> str:
        """What a form carries of the findings that were shown with it: a reason is given for these."""
        return signed_values.seal(self._secret(), Purpose.FINDINGS, [of.id, *ids])

    def findings(self, of: AgentSession, sealed: str) -> tuple[str, ...]:
        """The findings that were shown with this page's form; none where we have not sealed it."""
        try:
            page, *ids = signed_values.unseal(self._secret(), Purpose.FINDINGS, sealed)
        except BadSignature:
            return ()
        return tuple(ids) if page == of.id else ()

    def _unsealed(self, purpose: Purpose, sealed: str) -> AgentSession:
        try:
            return AgentSession(**signed_values.unseal(self._secret(), purpose, sealed))
        except (BadSignature, TypeError):  # the latter: sealed by another version of ours
            log.warning("a link or session was refused", purpose=purpose.value)
            raise Problem(403, f"This link was not made by the connector, or not all of it arrived. {AGAIN}") from None

    def _secret(self) -> bytes:
        with self._pool.connection() as connection:
            return page_links.secret(connection)
