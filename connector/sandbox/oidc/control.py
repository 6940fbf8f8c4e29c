"""The identity provider's part of the control plane."""

from dataclasses import asdict
from typing import Any

from flask import Blueprint

from connector.sandbox import control
from connector.sandbox.oidc import PEOPLE
from connector.sandbox.oidc.server import issuer, provider
from connector.sandbox.oidc.settings import Settings

routes = Blueprint("oidc_control", __name__, url_prefix="/_sandbox/oidc")
control.explain(routes)


@routes.get("")
def show() -> dict[str, Any]:
    """The identity provider: its issuer, its people, its client and settings."""
    people = [asdict(person) for person in PEOPLE]
    return {"issuer": issuer(), "people": people, **provider().settings.model_dump()}


@routes.patch("")
def change() -> dict[str, Any]:
    """Change the identity provider's settings: oidc_fault, oidc_groups_in, …"""
    here = provider()
    here.settings = Settings(**(here.settings.model_dump() | control.read_object()))
    return show()


@routes.post("/keys/rotate")
def rotate_keys() -> dict[str, Any]:
    """Sign with a new key, and no longer publish the old one."""
    provider().rotate_keys()
    return show()
