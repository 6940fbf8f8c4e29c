"""The settings of sign-in with OpenID Connect: every CONNECTOR_OIDC_… variable is defined here."""

from collections.abc import Iterable
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from connector import addresses, environment, setting_types, settings
from connector.errors import BadSettings

ENV_PREFIX = f"{environment.PREFIX}OIDC_"
ROLE_NAMES = ("view", "act", "content", "keys")
EXAMPLE = "support=view; ops=view,act; leads=view,act,content,keys"
MIN_SECRET_CHARACTERS = 16
# Where the identity provider sends browsers back to, behind CONNECTOR_PUBLIC_URL.
CALLBACK_PATH = "/console/sign-in/oidc/callback"


def _issuer(url: str) -> str:
    return url and addresses.https_or_loopback_path(url)


def _secret(secret: SecretStr) -> SecretStr:
    """Refuse a client secret that no identity provider would generate."""
    if len(secret.get_secret_value()) < MIN_SECRET_CHARACTERS:
        words = f"the secret that the identity provider generated, at least {MIN_SECRET_CHARACTERS} characters"
        raise ValueError(f"expected {words}")
    return secret


def _scopes(scopes: list[str]) -> list[str]:
    if "openid" not in scopes:
        raise ValueError("expected scopes with openid among them, such as openid profile email")
    return scopes


def _roles(entries: list[str]) -> list[str]:
    group_roles(entries)
    return entries


def group_roles(entries: list[str]) -> dict[str, frozenset[str]]:
    """Return the roles of each group, read from `group=role,role`. A name may contain "=". Raises ValueError."""
    found: dict[str, frozenset[str]] = {}
    for entry in entries:
        group, _, words = map(str.strip, entry.rpartition("="))
        roles = frozenset(map(str.strip, words.split(",")))
        if not group or group in found:
            raise ValueError(f'expected each group once, with its roles, such as "{EXAMPLE}"')
        if not roles <= set(ROLE_NAMES):
            raise ValueError(f"expected the roles {', '.join(ROLE_NAMES)} behind {group}=")
        if "view" not in roles:
            raise ValueError(f"expected view among the roles of each group: {group}=view,{words}")
        found[group] = roles
    return found


class Settings(environment.FromEnvironment):
    """The client that is registered at the identity provider, and what the provider's groups may do."""

    model_config = {"env_prefix": ENV_PREFIX}

    issuer: Annotated[str, AfterValidator(_issuer)] = ""
    """The identity provider, exactly as it calls itself: the address before `/.well-known/openid-configuration`. Turns
    [sign-in with OpenID Connect](console.md#with-openid-connect) on.
    """
    client_id: str = ""
    """The console's client at the identity provider. Required with an issuer."""
    client_secret: Annotated[SecretStr, AfterValidator(_secret)] | None = None
    """Its client secret. Required with an issuer."""
    groups_claim: str = Field(default="groups", min_length=1)
    """The claim with a person's groups, in the ID token or in userinfo."""
    roles: Annotated[setting_types.Messages, AfterValidator(_roles)] = []
    """Roles of each group, separated by semicolons: `support=view; ops=view,act; leads=view,act,content,keys`. A
    person in several of them has the roles of all. Required with an issuer.
    """
    scopes: Annotated[setting_types.Words, AfterValidator(_scopes)] = ["openid", "profile", "email"]
    """Scopes to ask for. Some providers send groups only with a scope of their own."""

    def roles_of(self, groups: Iterable[str]) -> frozenset[str]:
        """Return the roles of a person in these groups. Empty: the person may not sign in."""
        known = group_roles(self.roles)
        return frozenset().union(*(known.get(group, frozenset()) for group in groups))


def load(public_url: str | None) -> Settings | None:
    """Return the settings; None where sign-in with OpenID Connect is off. Raises BadSettings."""
    found = settings.load(Settings)
    if not found.issuer:
        _refuse_without_issuer(found)
        return None
    needed = {
        f"{ENV_PREFIX}CLIENT_ID": (found.client_id, "the console's client id at the identity provider"),
        f"{ENV_PREFIX}CLIENT_SECRET": (found.client_secret, "the client's secret"),
        f"{ENV_PREFIX}ROLES": (found.roles, f'what each group may do, such as "{EXAMPLE}"'),
        f"{environment.PREFIX}PUBLIC_URL": (
            public_url,
            "the address of the web process as browsers see it; the identity provider sends them back there",
        ),
    }
    missing = [f"{name}: expected {words}" for name, (value, words) in needed.items() if not value]
    if missing:
        raise BadSettings("\n".join(missing))
    return found


def _refuse_without_issuer(found: Settings) -> None:
    if found.client_id or found.client_secret or found.roles:
        raise BadSettings(f"{ENV_PREFIX}ISSUER: expected the identity provider's address, as the rest of it is set")
