"""The settings of sign-in with OpenID Connect: complete and safe, or refused at start."""

from collections.abc import Callable

import pytest

from connector import settings
from connector.errors import BadSettings
from connector.oidc import settings as oidc

ROLES = "support=view; ops=view,act; cn=leads,ou=texting = view, act, content, keys"
WHOLE = {
    "ISSUER": "https://id.example/realms/main",
    "CLIENT_ID": "console",
    "CLIENT_SECRET": "a secret of the provider",
    "ROLES": ROLES,
}
Load = Callable[..., oidc.Settings | None]


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Load:
    def loaded(public_url: str | None = "https://texts.example", **changes: str) -> oidc.Settings | None:
        for name, value in (WHOLE | changes).items():
            monkeypatch.setenv(f"CONNECTOR_OIDC_{name}", value)
        return oidc.load(public_url)

    return loaded


def test_groups_become_roles(load: Load) -> None:
    found = load()

    assert found is not None
    assert found.issuer == "https://id.example/realms/main"
    assert found.roles_of(["support"]) == {"view"}
    assert found.roles_of(["support", "ops", "others"]) == {"view", "act"}
    assert found.roles_of(["cn=leads,ou=texting"]) == {"view", "act", "content", "keys"}
    assert found.roles_of(["Support", "support "]) == set()
    assert found.roles_of([]) == set()


def test_nothing_set_turns_it_off(load: Load) -> None:
    assert load(ISSUER="", CLIENT_ID="", CLIENT_SECRET="", ROLES="") is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"ISSUER": ""}, "CONNECTOR_OIDC_ISSUER: expected the identity provider's address"),
        ({"CLIENT_ID": ""}, "CONNECTOR_OIDC_CLIENT_ID: expected"),
        ({"CLIENT_SECRET": ""}, "CONNECTOR_OIDC_CLIENT_SECRET: expected"),
        ({"CLIENT_SECRET": "short"}, "CONNECTOR_OIDC_CLIENT_SECRET: .* at least 16 characters"),
        ({"ROLES": ""}, "CONNECTOR_OIDC_ROLES: expected what each group may do"),
        ({"ISSUER": "http://id.example"}, "CONNECTOR_OIDC_ISSUER: expected https://"),
        ({"ISSUER": "http://127.0.0.1.example"}, "CONNECTOR_OIDC_ISSUER: expected https://"),
        ({"ISSUER": "https://user:password@id.example"}, "CONNECTOR_OIDC_ISSUER: expected an address"),
        ({"ISSUER": "https://id.example/?tenant=1"}, "CONNECTOR_OIDC_ISSUER: .* without a query"),
        ({"ISSUER": "id.example"}, "CONNECTOR_OIDC_ISSUER: expected an address"),
        ({"SCOPES": "profile"}, "CONNECTOR_OIDC_SCOPES: expected scopes with openid"),
        ({"ROLES": "ops"}, "CONNECTOR_OIDC_ROLES: expected each group once"),
        ({"ROLES": "=view"}, "CONNECTOR_OIDC_ROLES: expected each group once"),
        ({"ROLES": "ops=view; ops=view,act"}, "CONNECTOR_OIDC_ROLES: expected each group once"),
        ({"ROLES": "ops="}, "CONNECTOR_OIDC_ROLES: expected the roles view, act, content, keys behind ops="),
        ({"ROLES": "ops=view,admin"}, "CONNECTOR_OIDC_ROLES: expected the roles view, act, content, keys behind ops="),
        ({"ROLES": "ops=act"}, "CONNECTOR_OIDC_ROLES: expected view among the roles of each group: ops=view,act"),
    ],
)
def test_unsafe_or_incomplete_settings_are_refused(load: Load, changes: dict[str, str], words: str) -> None:
    with pytest.raises(BadSettings, match=words):
        load(**changes)


def test_the_way_back_has_to_be_known(load: Load) -> None:
    """Without a fixed address, the request's Host header would choose where a person comes back."""
    with pytest.raises(BadSettings, match="CONNECTOR_PUBLIC_URL: expected"):
        load(None)


def test_the_secret_is_never_shown(load: Load) -> None:
    assert WHOLE["CLIENT_SECRET"] not in repr(load())
    assert settings.values_in_clear()["CONNECTOR_OIDC_CLIENT_SECRET"] == WHOLE["CLIENT_SECRET"]
