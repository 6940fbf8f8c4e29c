"""A private certificate authority, a site that has its certificate, and a real proxy before it."""

import contextlib
import gzip
import json
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

CHAT = {"id": 114, "status": "selecting"}
ANSWERS = {
    "/apps/api/v1/sms": CHAT,
    "/manager/api/v1/chats": [],
    "/services/oauth2/token": {"access_token": "token", "id": "https://login.example/id/00Dx/0056x000001abcdAAA"},
}
# 200 MB of nothing.
BOMB = gzip.compress(bytes(200_000_000))


class Authority:
    """Certifies. `path` holds its own certificate."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._key, self._name = folder, ec.generate_private_key(ec.SECP256R1()), _name("authority")
        self.path = folder / "authority.pem"
        own = self._signed(_name("authority"), self._key, x509.BasicConstraints(ca=True, path_length=None))
        self.path.write_bytes(own.public_bytes(serialization.Encoding.PEM))

    def certify(self, name: str, password: bytes = b"") -> Path:
        """A certificate for this machine and its key, in one file."""
        key = ec.generate_private_key(ec.SECP256R1())
        address = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1")), x509.DNSName("localhost")])
        made = self._signed(_name(name), key, address)
        hidden = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
        path = self._folder / f"{name}.pem"
        path.write_bytes(
            key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, hidden)
            + made.public_bytes(serialization.Encoding.PEM)
        )
        return path

    def _signed(self, name: x509.Name, key: ec.EllipticCurvePrivateKey, more: Any) -> x509.Certificate:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(1))
            .not_valid_after(now + timedelta(1))
            .add_extension(more, critical=False)
            .sign(self._key, hashes.SHA256())
        )


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


class Site(ThreadingHTTPServer):
    """Both remote sides over TLS. `heard`: (path, Authorization) of each request. `manner`: "", "drops" or "bomb"."""

    daemon_threads = True

    def __init__(self, certificate: Path, clients: Path | None = None) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)
        if clients:
            context.load_verify_locations(clients)
            context.verify_mode = ssl.CERT_REQUIRED
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.heard: list[tuple[str, str | None]] = []
        self.manner = ""
        self.port = self.server_address[1]
        self.url = f"https://127.0.0.1:{self.port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is meant to."""

    @contextlib.contextmanager
    def open(self) -> Iterator["Site"]:
        thread = threading.Thread(target=self.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield self
        finally:
            self.shutdown()
            thread.join()
            self.server_close()


class Handler(BaseHTTPRequestHandler):
    server: Site
    protocol_version = "HTTP/1.1"

    def _any(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = self.path.partition("?")[0]
        self.server.heard.append((path, self.headers.get("Authorization")))
        content = json.dumps(ANSWERS.get(path, {})).encode()
        encoding = "identity"
        if self.server.manner == "bomb":
            content, encoding = BOMB, "gzip"
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(content)}\r\nContent-Encoding: {encoding}\r\n\r\n".encode()
        if self.server.manner == "drops":
            self._drop(head + content)
        else:
            self.wfile.write(head + content)

    def _drop(self, said: bytes) -> None:
        with contextlib.suppress(OSError):
            for at in range(len(said)):
                self.wfile.write(said[at : at + 1])
                self.wfile.flush()
                time.sleep(0.1)

    do_GET = do_POST = do_PATCH = _any

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""


class Proxy:
    """tinyproxy. Without `ports` it connects to any."""

    def __init__(self, folder: Path, credentials: str = "", ports: tuple[int, ...] = ()) -> None:
        if not shutil.which("tinyproxy"):
            pytest.skip("tinyproxy is not installed")
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._log, self._file = folder / "proxy.log", folder / "proxy.conf"
        lines = [f"Port {self.port}", "Listen 127.0.0.1", f'LogFile "{self._log}"', "LogLevel Connect", "Timeout 60"]
        lines += [f"BasicAuth {credentials}"] * bool(credentials) + [f"ConnectPort {port}" for port in ports]
        self._file.write_text("\n".join([*lines, ""]), encoding="utf-8")

    @contextlib.contextmanager
    def open(self) -> Iterator["Proxy"]:
        process = subprocess.Popen(["tinyproxy", "-d", "-c", self._file], stdout=subprocess.DEVNULL)
        try:
            while not self._listens():
                assert process.poll() is None
                time.sleep(0.02)
            yield self
        finally:
            process.terminate()
            process.wait()

    def _listens(self) -> bool:
        with socket.socket() as trial:
            return trial.connect_ex(("127.0.0.1", self.port)) == 0

    def connected(self) -> int:
        """How many times it was asked for a connection to somewhere."""
        return self._log.read_text(encoding="utf-8").count("CONNECT 127.0.0.1")
