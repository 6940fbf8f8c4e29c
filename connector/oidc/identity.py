"""Who signed in, read from the claims of an ID token and of userinfo."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from connector import harmless
from connector.errors import SignInRefused

# The most characters of a name or an id that are kept.
MAX_CHARACTERS = 90
# The claims that name a person, the best one first.
NAMES = ("email", "preferred_username", "name")


@dataclass(frozen=True, slots=True)
class Identity:
    """A person who signed in. `sub` is the provider's permanent id; `name` is for people and may change."""

    sub: str
    name: str
    groups: tuple[str, ...]

    @property
    def who(self) -> str:
        """The person, for the audit trail."""
        return f"{self.name} ({self.sub})" if self.name else self.sub


def is_complete(claims: Mapping[str, Any], groups_claim: str) -> bool:
    """Return whether the claims have the groups and a name, so that userinfo need not be asked."""
    return groups_claim in claims and bool(_name(claims))


def with_userinfo(claims: Mapping[str, Any], answer: Any) -> dict[str, Any]:
    """Return the claims with those of userinfo beneath them. Raises SignInRefused if it is about somebody else."""
    if not isinstance(answer, dict) or answer.get("sub") != claims["sub"]:
        raise SignInRefused("the identity provider's userinfo is about another person than its ID token")
    return answer | dict(claims)


def read(claims: Mapping[str, Any], groups_claim: str) -> Identity:
    """Return the person. One group may stand alone instead of in a list."""
    answer = claims.get(groups_claim)
    groups = answer if isinstance(answer, list) else [answer]
    named = tuple(group for group in groups if isinstance(group, str) and group)
    return Identity(_short(str(claims["sub"])), _name(claims), named)


def _name(claims: Mapping[str, Any]) -> str:
    """Return the name for people. An address that the provider has not verified could be anybody's.

    Some providers write the word "false", in a text.
    """
    unverified = str(claims.get("email_verified")).strip().lower() in ("false", "0")
    given = (claims.get(name) for name in NAMES if not (name == "email" and unverified))
    return next((_short(name) for name in given if isinstance(name, str) and name.strip()), "")


def _short(words: str) -> str:
    return harmless.on_screen(words)[:MAX_CHARACTERS]
