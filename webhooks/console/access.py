"""Who may open the console: sessions by cookie, roles, the origin and token of forms, and rate limits."""

from flask import Response, current_app, g, redirect, request, url_for
from flask.typing import ResponseReturnValue
from psycopg_pool import ConnectionPool

from connector.store import console_sessions, page_links
from connector.store.console_sessions import HOURS, Method
from webhooks import rate_limit, refusals, signed_values
from webhooks.browser_security import BrowserSecurity
from webhooks.console.page import Viewer, live
from webhooks.console.roles import WORDS, Role, required
from webhooks.problems import Problem
from webhooks.signed_values import Purpose

COOKIE = "console"
# Requests per session and minute, refreshes of open pages included; attempts to sign in per address and minute.
PER_MINUTE, SIGN_INS_PER_MINUTE = 300, 10
SIGN_IN = "console.sign_in"
STATIC = "console.static"


class Access:
    """Checks each request of the console before its view runs."""

    def __init__(self, pool: ConnectionPool, security: BrowserSecurity) -> None:
        self._pool, self.security = pool, security

    def check(self) -> ResponseReturnValue | None:
        """Admit the request, or send its sender to sign in. Raises Problem 403 or 429."""
        endpoint = request.endpoint or ""
        if endpoint == STATIC or endpoint not in current_app.view_functions:
            return None
        role = required(current_app, endpoint)
        if request.method == "POST":
            self.security.refuse_strangers(request)
        if role is None:
            return None
        viewer = self.viewer()
        if viewer is None:
            return self._sign_in()
        g.viewer = viewer
        if role not in viewer.roles:
            refusals.log("an action in the console was refused", who=viewer.who, needs=role.value)
            has = ", ".join(sorted(WORDS[one] for one in viewer.roles)) or "nothing"
            raise Problem(403, f"You may not {WORDS[role]} here. You may: {has}. Nothing was done.")
        if request.method == "POST" and not signed_values.same(self.form_token(viewer), request.form.get("token", "")):
            raise Problem(403, "This form does not belong to your session. Go back, reload the page and try again.")
        return None

    def viewer(self) -> Viewer | None:
        """The person who has a session in this browser; None: nobody."""
        token = request.cookies.get(self.security.cookie_name(request, COOKIE), "")
        if not token:
            return None
        with self._pool.connection() as connection:
            found = console_sessions.find(connection, token, used=not live(), shows=_shows_notice())
            if found is None:
                return None
            session, notice = found
            rate_limit.count(connection, f"console:{session.id}", PER_MINUTE)
        roles = frozenset(role for role in Role if role.value in session.roles)
        return Viewer(session, roles, notice) if roles else None

    def form_token(self, viewer: Viewer) -> str:
        """The CSRF token of the session's forms. Made once for each request: a page may have a hundred forms."""
        if "form_token" not in g:
            with self._pool.connection() as connection:
                secret = page_links.secret(connection)
            g.form_token = signed_values.seal(secret, Purpose.CONSOLE_FORM, viewer.session.id)
        return str(g.form_token)

    def count_sign_in(self) -> None:
        """Count an attempt to sign in. Raises Problem 429."""
        with self._pool.connection() as connection:
            rate_limit.count(connection, f"sign-in:{request.remote_addr}", SIGN_INS_PER_MINUTE)

    def begin(self, who: str, method: Method, roles: frozenset[Role], to: str) -> Response:
        """Begin a session in this browser and go to a page."""
        with self._pool.connection() as connection:
            console_sessions.forget(connection)
            token = console_sessions.begin(connection, who, method, sorted(roles), request.remote_addr or "")
        response = current_app.make_response(redirect(to, 303))
        response.set_cookie(
            self.security.cookie_name(request, COOKIE),
            token,
            max_age=HOURS * 3600,
            path="/console",
            httponly=True,
            secure=self.security.secure(request),
            samesite="Lax",
        )
        return response

    def forget_cookie(self, response: Response) -> Response:
        response.delete_cookie(self.security.cookie_name(request, COOKIE), path="/console")
        return response

    def _sign_in(self) -> ResponseReturnValue:
        """Ask for a sign-in, and return to the page afterwards."""
        if live() or request.method != "GET":
            raise Problem(401, "Your session has ended. Sign in again; nothing was done.")
        return redirect(url_for(SIGN_IN, to=request.full_path.rstrip("?")), 303)


def _shows_notice() -> bool:
    """Whether the answer is a page, on which a notice is read: not the redirect after a form, nor a file."""
    return request.method == "GET" and not request.path.endswith(".csv")
