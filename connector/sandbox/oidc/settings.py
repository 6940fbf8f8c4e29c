"""The settings of the identity provider."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

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
