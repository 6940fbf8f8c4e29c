"""Connections over TLS: who is not the one that was meant gets nothing, and a connection that stands is used again."""

import asyncio
import contextlib
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from connector.http.config import Network
from connector.http.exchange import Answer, Bounds, NeverSent, NoResponse
from connector.http.transport import Connections

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX: y\r\n\r\n{}"


def certificate(folder: Path, name: x509.GeneralName) -> Path:
    """A certificate that vouches for itself, and its key, in one file."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(1))
        .not_valid_after(now + timedelta(1))
        .add_extension(x509.SubjectAlternativeName([name]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / "server.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


def listen(connection: socket.socket) -> None:
    """Until a whole request was heard."""
    heard = b""
    while not heard.endswith(b"\r\n\r\n{}"):
        received = connection.recv(65536)
        if not received:
            raise ConnectionAbortedError
        heard += received


class Server:
    """Answers every request with OK, connection after connection; `heard` is what came over each."""

    def __init__(self, trusted: Path | None) -> None:
        self.heard: list[bytes] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._tls = None
        if trusted:
            self._tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            self._tls.load_cert_chain(trusted)
        self.address = f"{'https' if trusted else 'http'}://127.0.0.1:{self._listening.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                self.heard.append(b"")
                with contextlib.suppress(OSError), contextlib.closing(connection):
                    self._speak(connection)

    def _speak(self, connection: socket.socket) -> None:
        if self._tls:
            connection = self._tls.wrap_socket(connection, server_side=True)
        with contextlib.closing(connection):
            while received := connection.recv(65536):
                self.heard[-1] += received
                if self.heard[-1].endswith(b"\r\n\r\n{}"):
                    connection.sendall(OK)

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join()


Post = Callable[..., Answer]


def bounded(**bounds: Any) -> Bounds:
    """Five seconds for each step, if nothing else is said."""
    return Bounds(**{"connect_seconds": 5, "answer_seconds": 5, **bounds})


@contextlib.contextmanager
def reaching(server: Server, network: Network | None = None, **bounds: float) -> Iterator[Post]:
    """Calls over connections to it, one after the other, and its end. Between two calls the event loop stands still."""
    with contextlib.closing(server), asyncio.Runner() as runner:
        to = Connections(server.address, bounded(**bounds), network)
        yield lambda *call: runner.run(to.call("POST", *call))
        runner.run(to.close())


@pytest.fixture
def ours(tmp_path: Path) -> Path:
    """A certificate for this machine."""
    return certificate(tmp_path, x509.IPAddress(ipaddress.ip_address("127.0.0.1")))


@pytest.mark.parametrize("tls", [False, True])
def test_a_connection_that_stands_is_used_again(tls: bool, ours: Path) -> None:
    server = Server(ours if tls else None)
    with reaching(server, Network(authorities=ours)) as post:
        for _ in range(3):
            answer = post("/sms", {"A": "b"}, b"{}")
            assert (answer.status, answer.headers["x"], answer.content) == (200, "y", b"{}")
    assert len(server.heard) == 1
    assert server.heard[0].count(b"POST /sms HTTP/1.1\r\n") == 3


def test_one_that_was_idle_for_long_is_not() -> None:
    server = Server(None)
    with reaching(server, idle_seconds=0.0) as post:
        for _ in range(3):
            post("/", {}, b"{}")
    assert len(server.heard) == 3


def test_who_has_a_certificate_that_nobody_trusts_gets_nothing(tmp_path: Path) -> None:
    server = Server(certificate(tmp_path, x509.IPAddress(ipaddress.ip_address("127.0.0.1"))))
    with reaching(server) as post, pytest.raises(NeverSent, match="SSLCertVerificationError"):
        post("/", {"Authorization": "secret"}, b"{}")
    assert server.heard == [b""]


def test_who_has_anothers_certificate_gets_nothing(tmp_path: Path) -> None:
    path = certificate(tmp_path, x509.DNSName("another.example"))
    server = Server(path)
    wrong = pytest.raises(NeverSent, match="SSLCertVerificationError")
    with reaching(server, Network(authorities=path)) as post, wrong:
        post("/", {"Authorization": "secret"}, b"{}")
    assert server.heard == [b""]


def test_who_speaks_no_tls_gets_nothing(ours: Path) -> None:
    server = Server(None)
    server.address = server.address.replace("http:", "https:")
    with reaching(server, Network(authorities=ours), connect_seconds=0.3) as post, pytest.raises(NeverSent):
        post("/", {"Authorization": "secret"}, b"{}")
    assert b"secret" not in b"".join(server.heard)


@pytest.mark.parametrize("at_once", [True, False])
def test_what_nobody_asked_for_is_nobodys_answer(at_once: bool) -> None:
    """A server that says more than it was asked: the next call does not take it for its own."""

    class Talkative(Server):
        def _speak(self, connection: socket.socket) -> None:
            for _ in range(3):
                listen(connection)
                more = OK.replace(b"200", b"201")
                connection.sendall(OK + more if at_once else OK)
                time.sleep(0.05)
                connection.sendall(b"" if at_once else more)

    with reaching(Talkative(None)) as post:
        for _ in range(3):
            assert post("/", {}, b"{}").status == 200
            time.sleep(0.1)


def test_a_name_that_is_none_certainly_did_nothing() -> None:
    for address in ("http://nowhere.invalid", f"http://{'a' * 64}.example"):
        to = Connections(address, bounded())
        with pytest.raises(NeverSent):
            asyncio.run(to.call("POST", "/", {}, b"{}"))


def test_a_server_that_ends_an_idle_connection_meets_a_new_one() -> None:
    class Impatient(Server):
        def _speak(self, connection: socket.socket) -> None:
            listen(connection)
            connection.sendall(OK)

    server = Impatient(None)
    with reaching(server) as post:
        for _ in range(3):
            assert post("/", {}, b"{}").status == 200
            time.sleep(0.05)  # until the end of the connection has arrived
    assert len(server.heard) == 3


def test_what_may_not_leave_has_not_and_its_error_is_passed_on() -> None:
    server = Server(None)

    async def may_not() -> None:
        raise KeyError("not now")

    with reaching(server) as post:
        with pytest.raises(KeyError):
            post("/", {}, b"{}", may_not)
        assert post("/", {}, b"{}").status == 200
    assert [bool(one) for one in server.heard] == [False, True]
    with pytest.raises(NeverSent):  # it listens no more
        asyncio.run(Connections(server.address, bounded()).call("POST", "/", {}, b"{}"))


UNTIL_THE_END = b"HTTP/1.0 200 OK\r\n\r\nhello"
IN_CHUNKS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"
NOT_AT_ONCE = b"HTTP/1.1 103 Wait\r\nX: z\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


@pytest.mark.parametrize("said", [UNTIL_THE_END, IN_CHUNKS, NOT_AT_ONCE])
def test_an_answer_is_read_whole_however_it_is_said(said: bytes) -> None:
    class Slow(Server):
        def _speak(self, connection: socket.socket) -> None:
            listen(connection)
            for at in range(len(said)):
                connection.sendall(said[at : at + 1])
                time.sleep(0.001)

    with reaching(Slow(None)) as post:
        answer = post("/", {}, b"{}")
    assert (answer.status, answer.headers.get("x", "y"), answer.content) == (200, "y", b"hello")


@pytest.mark.parametrize("tls", [False, True])
def test_a_connection_that_ends_while_the_call_has_to_wait_has_sent_nothing(tls: bool, ours: Path) -> None:
    class Short(Server):
        def _speak(self, connection: socket.socket) -> None:
            """It has nothing to say."""
            if self._tls:
                self._tls.wrap_socket(connection, server_side=True).close()

    server = Short(ours if tls else None)
    ended = pytest.raises(NeverSent, match="ConnectionClosed")
    with reaching(server, Network(authorities=ours)) as post, ended:
        post("/", {}, b"{}", partial(asyncio.sleep, 0.2))


def test_a_connection_over_tls_that_stands_while_the_call_has_to_wait_is_used(ours: Path) -> None:
    """What TLS says by itself at its beginning is not the end of the connection."""
    with reaching(Server(ours), Network(authorities=ours)) as post:
        for _ in range(3):
            assert post("/", {}, b"{}", partial(asyncio.sleep, 0.1)).status == 200


def test_an_answer_that_is_there_when_a_stopped_process_goes_on_is_read() -> None:
    """It finds the end of its time and the answer at the same moment."""

    async def stop_soon() -> None:
        asyncio.get_running_loop().call_later(0.05, time.sleep, 0.5)

    class Slow(Server):
        def _speak(self, connection: socket.socket) -> None:
            listen(connection)
            time.sleep(0.2)
            connection.sendall(OK)

    with reaching(Slow(None), answer_seconds=0.3) as post:
        assert post("/", {}, b"{}", stop_soon).status == 200


def test_no_answer_names_the_kind_of_error_only() -> None:
    class Mute(Server):
        def _speak(self, connection: socket.socket) -> None:
            listen(connection)

    with reaching(Mute(None)) as post, pytest.raises(NoResponse, match=r"^(RemoteProtocolError|ConnectionResetError)$"):
        post("/", {"Authorization": "secret"}, b"{}")
