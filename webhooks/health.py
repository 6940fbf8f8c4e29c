"""Whether this process is alive, and whether it can do its work."""

import psycopg
from flask import Blueprint
from psycopg_pool import ConnectionPool

from connector import database


def blueprint(pool: ConnectionPool) -> Blueprint:
    """GET /healthz: the process answers. GET /readyz: so does the database, and its schema is current; else 503."""
    health = Blueprint("health", __name__)

    @health.get("/healthz")
    def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @health.get("/readyz")
    def readyz() -> tuple[dict[str, str], int]:
        try:
            with pool.connection(timeout=2) as connection:
                if database.current(connection):
                    return {"status": "ok"}, 200
                return {"status": "the schema is not current: run `connector migrate`"}, 503
        except psycopg.Error:
            return {"status": "the database does not answer"}, 503

    return health
