"""`/styles`: the style sheet that the page for agents and the console share."""

from flask import Blueprint

from webhooks.browser_security import BrowserSecurity


def blueprint(security: BrowserSecurity) -> Blueprint:
    """Serve the folder `static` to everybody. Browsers may cache it."""
    styles = Blueprint("styles", __name__, static_folder="static", static_url_path="/styles")
    styles.after_request(lambda response: security.protect(response, kept=True))
    return styles
