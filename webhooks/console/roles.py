"""What a person may do in the console. Every view names the role that it needs; the blueprint enforces it."""

from collections.abc import Callable
from enum import StrEnum
from typing import TypeVar

from flask import Flask
from flask.sansio.app import App

View = TypeVar("View", bound=Callable[..., object])
_ROLE = "_console_role"


class Role(StrEnum):
    """VIEW: see every page, numbers and messages masked. ACT: change something. CONTENT: full numbers and messages.

    KEYS: manage API keys and sessions.
    """

    VIEW = "view"
    ACT = "act"
    READ_CONTENT = "content"
    MANAGE_KEYS = "keys"


WORDS = {
    Role.VIEW: "look at the console",
    Role.ACT: "change anything",
    Role.READ_CONTENT: "see messages and full numbers",
    Role.MANAGE_KEYS: "manage keys and sessions",
}
ROLES = frozenset(role.value for role in Role)


def needs(role: Role) -> Callable[[View], View]:
    """Mark a view as open to sessions with this role only."""
    return _marked(role)


def public(view: View) -> View:
    """Mark a view as open to everybody: signing in."""
    return _marked(None)(view)


def _marked(role: Role | None) -> Callable[[View], View]:
    def mark(view: View) -> View:
        setattr(view, _ROLE, role)
        return view

    return mark


def required(app: Flask, endpoint: str) -> Role | None:
    """Return the role that an endpoint needs; None: it is public. Raises AttributeError for one without a mark."""
    role: Role | None = getattr(app.view_functions[endpoint], _ROLE)
    return role


def check(app: App, blueprint: str) -> None:
    """Refuse to start with a view that names no role. Raises TypeError."""
    for endpoint, view in app.view_functions.items():
        if endpoint.startswith(f"{blueprint}.") and endpoint != f"{blueprint}.static" and not hasattr(view, _ROLE):
            raise TypeError(f"{endpoint} names no role: add @needs(Role.…)")
