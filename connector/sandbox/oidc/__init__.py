"""An identity provider: OpenID Connect with made-up people, for signing in to the connector's console.

The issuer is `{url}/oidc`. It speaks the authorization code flow with PKCE. Authlib is the server, joserfc signs.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from joserfc.jwk import KeySet, RSAKey
from pydantic import BaseModel, ConfigDict

from connector.sandbox import clock, journal

RSA_BITS = 2048

Fault = Literal[
    "none",
    "wrong_issuer",
    "wrong_audience",
    "wrong_nonce",
    "expired",
    "other_key",
    "unlisted_key",
    "no_groups",
    "other_person",
    "wrong_metadata",
]


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


class Settings(BaseModel):
    """The registered client, and what is wrong with the tokens.

    - `oidc_auth_methods`: how the client may authenticate;
    - `oidc_groups_in`: the place of the groups;
    - `oidc_fault`: `wrong_issuer`, `wrong_audience`, `wrong_nonce`, `expired`: that claim of the ID token; `other_key`:
      it is signed with another key of the same id; `unlisted_key`: with a key that is not published; `no_groups`: it
      names none; `other_person`: userinfo is about somebody else; `wrong_metadata`: the discovery document names
      another issuer.
    """

    model_config = ConfigDict(extra="forbid", validate_assignment=True)

    oidc_client_id: str = "sandbox-console"
    oidc_client_secret: str = "sandbox-console-secret"  # noqa: S105 -- the sandbox's credentials are public
    oidc_auth_methods: list[Literal["client_secret_basic", "client_secret_post"]] = [
        "client_secret_basic",
        "client_secret_post",
    ]
    oidc_groups_in: Literal["id_token", "userinfo"] = "id_token"
    oidc_fault: Fault = "none"


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
