"""Liveness and readiness of the web process."""

import psycopg
from flask import Blueprint
from psycopg_pool import ConnectionPool

from connector.store import leases, migrations

# Paths that the server answers in dedicated threads.
PATHS = frozenset({"/healthz", "/readyz"})


def blueprint(pool: ConnectionPool) -> Blueprint:
    """GET /healthz: the process answers. GET /readyz: 503 unless the schema is current and the database is writable."""
    health = Blueprint("health", __name__)

    @health.get("/healthz")
    def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @health.get("/readyz")
    def readyz() -> tuple[dict[str, str], int]:
        try:
            with pool.connection(timeout=2) as connection:
                if not migrations.current(connection):
                    return {"status": "the schema is not current: run `connector migrate`"}, 503
                leases.written(connection)
        except psycopg.OperationalError:
            return {"status": "the database does not answer"}, 503
        except psycopg.Error as error:
            return {"status": f"the database cannot be written: {type(error).__name__}"}, 503
        return {"status": "ok"}, 200

    return health
