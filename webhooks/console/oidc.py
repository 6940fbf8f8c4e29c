"""Signing in to the console with OpenID Connect: to the identity provider, and back."""

import contextlib
import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

from flask import Blueprint, redirect, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.wrappers import Response

from connector import masking
from connector.errors import SignInRefused, Unavailable
from connector.http import config
from connector.oidc import settings as oidc_settings
from connector.oidc.identity import Identity
from connector.oidc.pending import PendingSignIn
from connector.store import audit, page_links
from connector.store.audit import Action, Actor, Source
from connector.store.console_sessions import Method
from webhooks import refusals, signed_values
from webhooks.concurrency import ConcurrencyLimit
from webhooks.console.access import Access
from webhooks.console.page import Console, inside
from webhooks.console.roles import Role, public
from webhooks.problems import Problem
from webhooks.signed_values import BadSignature, Purpose

if TYPE_CHECKING:
    from connector.oidc.provider import IdentityProvider

COOKIE, COOKIE_PATH = "console-sign-in", "/console/sign-in/oidc"
# A person has so long at the identity provider.
PENDING_SECONDS = 600
# The most characters of the page's address that the cookie keeps: browsers drop a cookie of more than 4 kB.
MAX_TO = 1000
# Requests that wait for the identity provider, each for as long as it may take to answer.
MAX_CALLS = 8


def add(pages: Blueprint, console: Console, access: Access) -> None:
    """Add the routes where an identity provider is set up. Raises BadSettings."""
    wanted = oidc_settings.load(console.settings.public_url)
    if wanted is None:
        return
    from connector.oidc.provider import IdentityProvider  # its libraries take 20 MB

    sign_in = OpenIdSignIn(console, access, IdentityProvider(wanted, config.load()))

    @pages.get("/sign-in/oidc")
    @public
    def begin_oidc() -> ResponseReturnValue:
        return sign_in.begin(inside(request.args.get("to", "")) or "")

    @pages.get("/sign-in/oidc/callback")
    @public
    def finish_oidc() -> ResponseReturnValue:
        return sign_in.finish()

    @pages.get("/sign-in/oidc/sign-out")
    @public
    def sign_out_of_oidc() -> ResponseReturnValue:
        return sign_in.leave()


class OpenIdSignIn:
    """The way to the identity provider and back. Thread-safe; the browser keeps what has to last in between."""

    def __init__(self, console: Console, access: Access, provider: "IdentityProvider") -> None:
        self._console, self._access, self._provider = console, access, provider
        self._public_url = console.settings.public_url or ""
        self._callback = f"{self._public_url}{oidc_settings.CALLBACK_PATH}"
        self._calls = ConcurrencyLimit(MAX_CALLS, MAX_CALLS)

    def begin(self, to: str) -> ResponseReturnValue:
        """Send the browser to the identity provider. `to`: the page to show afterwards."""
        self._access.count_sign_in()
        try:
            with self._call():
                url, pending = self._provider.begin(self._callback)
        except Unavailable as error:
            return self._refused(503, error, to)
        response = redirect(url, 303)
        self._keep(response, pending, to)
        return response

    def finish(self) -> ResponseReturnValue:
        """Begin a session for whoever comes back, if it is the browser that began, for the first time."""
        to = ""
        try:
            pending, to = self._pending()
            with self._call():
                identity = self._provider.finish(pending, request.args, self._callback)
            roles = self._roles(identity)
        except SignInRefused as error:
            return self._refused(403, error, to)
        except Unavailable as error:
            return self._refused(503, error, to)
        actor = Actor(identity.who, Source.CONSOLE, request.remote_addr or "")
        with self._console.read() as connection:
            after = {"roles": ", ".join(sorted(roles))}
            audit.record(connection, actor, Action.SESSION_BEGIN, audit.named("person", identity.who), after=after)
        response = self._access.begin(identity.who, Method.OPENID, roles, to or url_for("console.overview"))
        response.delete_cookie(self._cookie_name(), path=COOKIE_PATH)
        return response

    def leave(self) -> ResponseReturnValue:
        """Send a person whose session has ended to where they sign out of the provider too."""
        self._access.count_sign_in()
        back = f"{self._public_url}{url_for('console.sign_in')}"
        with self._call():
            return redirect(self._provider.sign_out_address(back) or back, 303)

    @contextlib.contextmanager
    def _call(self) -> Iterator[None]:
        """Hold one of the places for calls to the identity provider. Raises Problem 503."""
        with self._calls.place("sign-in") as free:
            if not free:
                raise Problem(503, "Many people are signing in at this moment. Try again.", {"Retry-After": "5"})
            yield

    def _keep(self, response: Response, pending: PendingSignIn, to: str) -> None:
        kept = {"pending": asdict(pending), "to": to[:MAX_TO], "until": int(time.time()) + PENDING_SECONDS}
        response.set_cookie(
            self._cookie_name(),
            signed_values.seal(self._secret(), Purpose.CONSOLE_SIGN_IN, kept),
            max_age=PENDING_SECONDS,
            path=COOKIE_PATH,
            httponly=True,
            secure=self._access.security.secure(request),
            samesite="Lax",  # the identity provider's redirect has to bring it along
        )

    def _pending(self) -> tuple[PendingSignIn, str]:
        """Return this browser's sign-in, once, and the page to show afterwards. Raises SignInRefused."""
        sealed = request.cookies.get(self._cookie_name(), "")
        try:
            kept = signed_values.unseal(self._secret(), Purpose.CONSOLE_SIGN_IN, sealed)
            pending, to, until = PendingSignIn(**kept["pending"]), str(kept["to"]), float(kept["until"])
        except (BadSignature, TypeError, KeyError):  # TypeError, KeyError: signed by another version of the connector
            until = 0
        if until < time.time():
            address = f"{self._public_url}/console/"
            raise SignInRefused(f"no sign-in began in this browser in the last ten minutes; begin again at {address}")
        if not pending.matches(request.args.get("state", "")):
            raise SignInRefused("this answer does not belong to the sign-in that this browser began")
        with self._console.read() as connection:
            if not page_links.use(connection, pending.state, until):
                raise SignInRefused("this sign-in was finished before")
        return pending, to

    def _roles(self, identity: Identity) -> frozenset[Role]:
        """Return what the person's groups may do. Raises SignInRefused where that is nothing."""
        claim = self._provider.settings.groups_claim
        if not identity.groups:
            raise SignInRefused(f"the identity provider knows you as {identity.name}, but the claim {claim} is empty")
        values = self._provider.settings.roles_of(identity.groups)
        if not values:
            raise SignInRefused(f"none of your {len(identity.groups)} groups in the claim {claim} has a role here")
        return frozenset(role for role in Role if role.value in values)

    def _refused(self, status: int, error: SignInRefused | Unavailable, to: str) -> ResponseReturnValue:
        refusals.log("a sign-in to the console was refused", why=masking.masked(str(error)))
        refusal = f"You are not signed in: {error}."
        return self._console.page("console/sign_in.html", status=status, to=to, problem="", refusal=refusal)

    def _cookie_name(self) -> str:
        return self._access.security.cookie_name(request, COOKIE)

    def _secret(self) -> bytes:
        with self._console.read() as connection:
            return page_links.secret(connection)
