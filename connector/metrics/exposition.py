"""GET /metrics: the access check and the text format, and a worker's own small server for it."""

import hashlib
import hmac
import threading
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import AF_INET6

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, ProcessCollector, generate_latest
from pydantic import SecretStr

from connector.metrics import counters
from connector.metrics.readings import Readings

PATH = "/metrics"
CONTENT_TYPE = CONTENT_TYPE_LATEST
# Seconds that a client of the worker's server may take to send its request.
REQUEST_SECONDS = 5


class Metrics:
    """What one process exposes."""

    def __init__(self, readings: Readings) -> None:
        self._scraped = CollectorRegistry()
        self._scraped.register(readings)
        ProcessCollector(registry=self._scraped)

    def text(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(counters.REGISTRY) + generate_latest(self._scraped)


def allowed(authorization: str | None, keys: Sequence[SecretStr]) -> bool:
    """Return whether the header Authorization holds one of these keys as a bearer token."""
    given = _digest((authorization or "").removeprefix("Bearer "))
    matches = [hmac.compare_digest(given, _digest(key.get_secret_value())) for key in keys]
    return (authorization or "").startswith("Bearer ") and any(matches)


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "replace")).digest()


def serve(host: str, port: int, keys: Sequence[SecretStr], text: Callable[[], bytes]) -> Callable[[], None]:
    """Serve GET /metrics in threads of its own; the function that stops it. Without keys, no key is asked for.

    Raises OSError when the port cannot be used.
    """

    class Handler(BaseHTTPRequestHandler):
        timeout = REQUEST_SECONDS
        server_version, sys_version = "connector", ""

        def do_GET(self) -> None:
            if self.path.partition("?")[0] != PATH:
                self.send_error(404)
            elif keys and not allowed(self.headers.get("Authorization"), keys):
                self.send_error(401)
            else:
                body = text()
                self.send_response(200)
                self.send_header("Content-Type", CONTENT_TYPE)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Log nothing: accesses are not logged."""

    class Server(ThreadingHTTPServer):
        address_family = AF_INET6 if ":" in host else ThreadingHTTPServer.address_family

        def handle_error(self, request: object, client_address: object) -> None:
            """Ignore a client that went away."""

    server = Server((host, port), Handler)
    thread = threading.Thread(target=server.serve_forever, name="metrics-server", daemon=True)
    thread.start()

    def stop() -> None:
        server.shutdown()
        server.server_close()

    return stop
