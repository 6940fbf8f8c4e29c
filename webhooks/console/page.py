"""What all pages of the console share: the viewer, the database, rendering, and the way back after an action."""

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import psycopg
from flask import current_app, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from psycopg_pool import ConnectionPool

from connector.mapping.rules import Mapping as TicketMapping
from connector.settings import Settings
from connector.store import console_sessions
from connector.store.audit import Actor, Source
from connector.store.console_sessions import Method, Notice, Session
from webhooks.console.roles import Role
from webhooks.text_service import TextService

# The pages in the navigation: label, endpoint, the role that it needs.
NAVIGATION = [
    ("Overview", "console.overview", Role.VIEW),
    ("Texts", "console.search", Role.VIEW),
    ("Unknown", "console.unknowns", Role.VIEW),
    ("Opt-outs", "console.opt_outs", Role.VIEW),
    ("Person", "console.person", Role.VIEW),
    ("Back-fills", "console.backfills", Role.VIEW),
    ("Bulk actions", "console.bulk_list", Role.VIEW),
    ("Pauses", "console.pauses", Role.VIEW),
    ("Try a mapping", "console.try_mapping", Role.ACT),
    ("Audit", "console.audit_trail", Role.VIEW),
    ("Keys", "console.keys", Role.MANAGE_KEYS),
]
# Sent by the script of a page that refreshes itself.
LIVE_HEADER = "X-Live"


@dataclass(frozen=True, slots=True)
class Viewer:
    """The person who looks at this page. `notice`: what the page before left to say."""

    session: Session
    roles: frozenset[Role]
    notice: Notice | None = None

    @property
    def who(self) -> str:
        return self.session.who

    @property
    def actor(self) -> Actor:
        """For the audit trail."""
        name = f"key:{self.who}" if self.session.method == Method.KEY else self.who
        return Actor(name, Source.CONSOLE, request.remote_addr or "")

    def may(self, role: Role) -> bool:
        return role in self.roles


def viewer() -> Viewer:
    """The viewer of the current request, in a view that needs a role."""
    found: Viewer = g.viewer
    return found


def live() -> bool:
    """Whether a page that refreshes itself asks."""
    return LIVE_HEADER in request.headers


class Console:
    """One per web process. Thread-safe."""

    def __init__(
        self, pool: ConnectionPool, mappings: Mapping[str, TicketMapping], settings: Settings, texts: TextService
    ) -> None:
        self.pool, self.mappings, self.settings, self.texts = pool, mappings, settings, texts

    def read(self) -> AbstractContextManager[psycopg.Connection]:
        """A connection for this block."""
        return self.pool.connection()

    def page(self, template: str, *, status: int = 200, **values: Any) -> ResponseReturnValue:
        """Answer with a page."""
        return self.render(template, **values), status

    def render(self, template: str, **values: Any) -> str:
        """Render a page, with what all pages share."""
        shown = [(label, endpoint) for label, endpoint, role in NAVIGATION if _visible(endpoint, role)]
        shared = {"navigation": shown, "section": _section(shown), "viewer": g.get("viewer"), "Role": Role}
        return render_template(template, **shared, endpoints=current_app.view_functions, **values)

    def done(self, words: str, to: str | None = None) -> ResponseReturnValue:
        """Return to the page that the form came from, or to `to`, which then shows these words once."""
        return self._back(Notice(words), to)

    def refused(self, words: str, to: str | None = None) -> ResponseReturnValue:
        """The same for an action that was refused: the person keeps the page and reads why."""
        return self._back(Notice(words, problem=True), to)

    def _back(self, notice: Notice, to: str | None) -> ResponseReturnValue:
        with self.read() as connection:
            console_sessions.notify(connection, viewer().session.id, notice)
        return redirect(to or inside(request.form.get("back", "")) or url_for("console.overview"), 303)


def _visible(endpoint: str, role: Role) -> bool:
    return endpoint in current_app.view_functions and "viewer" in g and role in g.viewer.roles


def _section(shown: Iterable[tuple[str, str]]) -> str | None:
    """The page of the navigation that this page is, or is below."""
    addresses = {url_for(endpoint): endpoint for _, endpoint in shown}
    below = [endpoint for address, endpoint in addresses.items() if f"{request.path}/".startswith(f"{address}/")]
    return addresses.get(request.path) or next(iter(below), None)


def inside(address: str) -> str | None:
    """Return an address that a browser sent, if it is one of the console's pages. Never another site's."""
    safe = address.startswith("/console/") and "\\" not in address and address.isprintable()
    return address if safe and "//" not in address.partition("?")[0] else None
