"""Who signed in, by the claims of an identity provider."""

import pytest

from connector.oidc import identity


@pytest.mark.parametrize("verified", [False, "false", "False", 0, "0"])
def test_an_address_that_is_not_verified_names_nobody(verified: object) -> None:
    """Some providers write the claim as a text. The address could be anybody's, and stands in the audit trail."""
    claims = {"sub": "17", "email": "lead@example.com", "email_verified": verified, "name": "Eve"}
    assert identity.read(claims, "groups").who == "Eve (17)"


@pytest.mark.parametrize("verified", [True, "true", None])
def test_a_verified_address_names_the_person(verified: object) -> None:
    claims = {"sub": "17", "email": "ada@example.com", "email_verified": verified, "name": "Ada"}
    assert identity.read(claims, "groups").who == "ada@example.com (17)"
