"""The sandbox's WSGI application: routes of each side, the control plane and the page. Serves this machine only."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from flask import Flask, Response, abort, jsonify, request
from flask.json.provider import DefaultJSONProvider
from werkzeug.exceptions import HTTPException

from connector.sandbox import control, controls_page, page, server
from connector.sandbox.ccaip import control as ccaip_control
from connector.sandbox.ccaip import endpoint
from connector.sandbox.oidc import control as oidc_control
from connector.sandbox.oidc import endpoint as oidc_endpoint
from connector.sandbox.oidc import server as oidc_server

if TYPE_CHECKING:
    from connector.sandbox import Sandbox

READING = frozenset({"GET", "HEAD", "OPTIONS"})


class AsWritten(DefaultJSONProvider):
    """Keep the vendors' key order, and do not escape non-ASCII characters."""

    sort_keys = False
    ensure_ascii = False


def create(box: "Sandbox", modules: Mapping[str, Any]) -> Flask:
    """The application of one sandbox."""
    app = Flask(__name__)
    app.url_map.strict_slashes = False
    app.json = AsWritten(app)
    app.extensions["sandbox"] = box
    app.before_request(refuse_strangers)
    app.register_error_handler(HTTPException, explain)
    oidc_server.install(app)
    blueprints = [endpoint.routes, ccaip_control.routes, oidc_endpoint.routes, oidc_control.routes]
    blueprints += [control.routes, page.routes, controls_page.routes]
    for blueprint in (*blueprints, *(each for module in modules.values() for each in module.BLUEPRINTS)):
        app.register_blueprint(blueprint)
    for side in box.sides:
        box.faults.routes[side] = {
            name.removeprefix(f"{side}.") for name in app.view_functions if name.startswith(f"{side}.")
        }
    return app


def refuse_strangers() -> None:
    """Accept loopback host names only, and no writes from other sites. Blocks CSRF and DNS rebinding."""
    if not server.is_loopback(urlsplit(f"//{request.host}").hostname or ""):
        abort(403, "The sandbox answers to loopback names only.")
    if request.method in READING:
        return
    origin, site = request.headers.get("Origin"), request.headers.get("Sec-Fetch-Site", "none")
    if site not in ("same-origin", "none") or (origin and urlsplit(origin).netloc != request.host):
        abort(403, "Another site's page may not change the sandbox.")


def explain(error: HTTPException) -> tuple[Response, int]:
    """Answer the sandbox's own errors as JSON with a message."""
    return jsonify(message=error.description or error.name), error.code or 500
