"""Puts the doors together into one WSGI application."""

from flask import Flask
from psycopg_pool import ConnectionPool

from connector import crms, database, mapping_check, settings
from webhooks import health, receive


def create_app(wanted: settings.Settings, pool: ConnectionPool) -> Flask:
    """The WSGI application. Raises BadSettings or BadMapping."""
    app = Flask(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = wanted.max_body_bytes
    app.register_blueprint(health.blueprint(pool))
    for stem in crms.stems(wanted.mappings_dir):
        file = mapping_check.load(wanted.mappings_dir / f"{stem}.toml")
        app.register_blueprint(receive.blueprint(stem, file, pool))
    app.register_error_handler(413, receive.too_large)
    return app


def from_environment() -> Flask:
    """What the WSGI server loads in each of its processes."""
    wanted = settings.load()
    if wanted.database_url is None:
        raise settings.BadSettings("CONNECTOR_DATABASE_URL: expected; `connector serve` sets it")
    pool = database.pool(wanted.database_url.get_secret_value(), wanted.web_threads)
    return create_app(wanted, pool)
