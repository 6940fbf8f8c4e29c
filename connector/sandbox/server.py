"""A small threaded HTTP/1.1 server for the sandbox: loopback only, keep-alive, one write per answer.

Werkzeug's server closes the connection after each answer. Neither remote side does, and it would hide how a client uses
its connection pool.
"""

import ipaddress
import logging
import socket
import sys
from collections.abc import Iterable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from typing import IO, Any, cast
from urllib.parse import unquote, urlsplit
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from werkzeug.serving import DechunkedInput

log = logging.getLogger(__name__)

DROP = "sandbox.drop"
"""Set to true in a request's environ, it makes the server close the connection without an answer."""

LARGEST_BODY = 64 * 1024 * 1024


def is_loopback(host: str) -> bool:
    """Whether `host`, given without a port, is a loopback name or address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def require_loopback(url: str) -> str:
    """Return a URL that the sandbox may call. Raises ValueError when it leads to another machine."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not is_loopback(parts.hostname or ""):
        raise ValueError(f"the sandbox only calls http addresses on this machine, not {parts.hostname or url!r}")
    return url


class Server(ThreadingHTTPServer):
    """Listens from construction. Raises OSError when the port is in use."""

    request_queue_size = 1024
    daemon_threads = True

    def __init__(self, host: str, port: int, app: WSGIApplication) -> None:
        if not is_loopback(host):
            raise ValueError(f"the sandbox has no real credentials and listens on loopback only, not on {host!r}")
        self.app = app
        self.connections: set[socket.socket] = set()
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            super().__init__((host.strip("[]"), port), Handler)
        except OSError as error:
            raise OSError(error.errno, f"the sandbox cannot listen on {host}:{port}: {error.strerror}") from error

    def server_bind(self) -> None:
        """Bind without the reverse DNS lookup of http.server."""
        socket.socket.bind(self.socket, self.server_address)
        address = self.socket.getsockname()
        self.server_address = address
        self.server_name, self.server_port = address[:2]

    def process_request(self, request: Any, client_address: Any) -> None:
        self.connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), (ConnectionError, TimeoutError)):
            log.exception("The sandbox's server failed on a request")

    def close(self) -> None:
        """End the loop, close the open connections, and so end their threads."""
        self.shutdown()
        self.server_close()
        for connection in list(self.connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # the client has already disconnected


class Handler(BaseHTTPRequestHandler):
    """A persistent connection. Reads whole requests, calls the WSGI app, writes each answer at once."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body in one segment avoid the 40 ms of Nagle and delayed acknowledgement
    server: Server

    def handle_one_request(self) -> None:
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline or not self.parse_request():
            self.close_connection = True
            return
        try:
            body = self._read_body()
        except (ValueError, OSError):
            self.send_error(HTTPStatus.BAD_REQUEST)
            self.close_connection = True
            return
        self._answer(body)

    def _read_body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            return cast(bytes, DechunkedInput(cast(IO[bytes], self.rfile)).read())
        length = int(self.headers.get("Content-Length") or 0)
        if not 0 <= length <= LARGEST_BODY:
            raise ValueError("unreasonable Content-Length")
        return self.rfile.read(length)

    def _answer(self, body: bytes) -> None:
        environ = self._environ(body)
        heads: list[tuple[str, list[tuple[str, str]]]] = []

        def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            heads.append((status, headers))

        chunks = self.server.app(environ, cast(StartResponse, start_response))
        try:
            content = b"".join(chunks)
        finally:
            if hasattr(chunks, "close"):
                chunks.close()
        if environ.get(DROP):
            self.close_connection = True
        else:
            self._write(*heads[-1], content)

    def _write(self, status: str, headers: Iterable[tuple[str, str]], content: bytes) -> None:
        lines = [f"HTTP/1.1 {status}", f"Date: {self.date_time_string()}", "Server: ccai-sms-sandbox"]
        lines += [f"{name}: {value}" for name, value in headers if name.lower() not in ("date", "server", "connection")]
        if self.close_connection:
            lines.append("Connection: close")
        without_body = self.command == "HEAD" or status.startswith(("204", "304"))
        self.wfile.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + (b"" if without_body else content))
        self.wfile.flush()

    def _environ(self, body: bytes) -> WSGIEnvironment:
        path, _, query = self.path.partition("?")
        environ: WSGIEnvironment = {
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": BytesIO(body),
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
            "REQUEST_METHOD": self.command,
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote(path, "latin-1"),
            "QUERY_STRING": query,
            "REQUEST_URI": self.path,
            "REMOTE_ADDR": self.client_address[0],
            "SERVER_NAME": self.server.server_name,
            "SERVER_PORT": str(self.server.server_port),
            "SERVER_PROTOCOL": self.request_version,
            "CONTENT_LENGTH": str(len(body)),
        }
        for name, value in self.headers.items():
            key = name.upper().replace("-", "_")
            if key == "CONTENT_TYPE":
                environ[key] = value
            elif key not in ("CONTENT_LENGTH", "TRANSFER_ENCODING"):
                environ[f"HTTP_{key}"] = value
        return environ

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing here. Each side keeps its own log of calls, which tests and the control plane read."""
