"""Liveness, readiness and metrics of the web process."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import psycopg
from flask import Blueprint, Response, request
from psycopg_pool import ConnectionPool
from pydantic import SecretStr

from connector.metrics import exposition
from connector.store import leases, migrations
from webhooks import refusals

# Paths that the server answers in dedicated threads.
PATHS = frozenset({"/healthz", "/readyz", exposition.PATH})


@dataclass(slots=True)
class Stopping:
    """Whether the web process is shutting down. Set by its server."""

    now: bool = False


def blueprint(pool: ConnectionPool, stopping: Stopping) -> Blueprint:
    """GET /healthz: the process answers. GET /readyz: 503 unless the schema is current and the database is writable.

    GET /readyz is 503 while the process is shutting down, too.
    """
    health = Blueprint("health", __name__)

    @health.get("/healthz")
    def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @health.get("/readyz")
    def readyz() -> tuple[dict[str, str], int]:
        if stopping.now:
            return {"status": "the web process is shutting down"}, 503
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


def metrics_blueprint(keys: Sequence[SecretStr], text: Callable[[], bytes]) -> Blueprint:
    """GET /metrics, for callers with one of these keys. The others get 401."""
    metrics = Blueprint("metrics", __name__)

    @metrics.get(exposition.PATH)
    def scraped() -> Response:
        if not exposition.allowed(request.headers.get("Authorization"), keys):
            refusals.log("a scrape of the metrics was refused")
            return Response("a key is required\n", 401, {"WWW-Authenticate": "Bearer"}, content_type="text/plain")
        return Response(text(), 200, content_type=exposition.CONTENT_TYPE)

    return metrics
