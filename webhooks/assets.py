"""`/assets`: what the page for agents and the console share, a style sheet and a script."""

from flask import Blueprint

from webhooks.browser_security import BrowserSecurity


def blueprint(security: BrowserSecurity) -> Blueprint:
    """Serve the folder `static` to everybody. Browsers may cache it."""
    assets = Blueprint("assets", __name__, static_folder="static", static_url_path="/assets")
    assets.after_request(lambda response: security.protect(response, kept=True))
    return assets
