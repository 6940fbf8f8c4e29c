"""An identity provider: OpenID Connect with made-up people, for signing in to the connector's console.

The issuer is `{url}/oidc`. It speaks the authorization code flow with PKCE. Authlib is the server, joserfc signs.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from joserfc.jwk import KeySet, RSAKey

from connector.sandbox import clock, journal
from connector.sandbox.oidc.settings import Settings

RSA_BITS = 2048


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who can sign in. `sub` is the provider's permanent id of a person."""

    sub: str
    name: str
    email: str
    groups: tuple[str, ...]


PEOPLE = (
    Person("8f14e45f", "Vera Lund", "vera.lund@example.com", ("support",)),
    Person("c9f0f895", "Omar Haddad", "omar.haddad@example.com", ("ops",)),
    Person("45c48cce", "Lea Moreau", "lea.moreau@example.com", ("leads", "ops")),
    Person("d3d94468", "Gus Park", "gus.park@example.com", ()),
)


class Provider:
    """The state of the provider: its settings, its keys, and the codes and tokens that it issued."""

    def __init__(self, time: clock.Clock, settings: Settings) -> None:
        self.clock, self._initial = time, settings
        self.reset()

    def reset(self) -> None:
        """Restore the initial state. The keys stay: a provider does not lose them."""
        self.settings = self._initial.model_copy(deep=True)
        self.calls: list[journal.Call] = []
        self.codes: dict[str, Any] = {}
        self.tokens: dict[str, Any] = {}

    @cached_property
    def key(self) -> RSAKey:
        """The key that signs."""
        return _new_key()

    @property
    def published_keys(self) -> KeySet:
        return KeySet([self.key])

    @cached_property
    def other_key(self) -> RSAKey:
        """A key that is not published."""
        return _new_key()

    def rotate_keys(self) -> None:
        """Publish a new signing key in place of the old one."""
        self.key = _new_key()

    def person(self, sub: str) -> Person | None:
        return next((person for person in PEOPLE if person.sub == sub), None)

    def stats(self) -> dict[str, Any]:
        """Counts for the control plane."""
        return {"tokens": len(self.tokens)}


def _new_key() -> RSAKey:
    return RSAKey.generate_key(RSA_BITS, {"use": "sig", "alg": "RS256"}, auto_kid=True)
