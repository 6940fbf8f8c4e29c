"""Hosts for workers that share a database: network namespaces where they can be made, else processes of this host.

Each host has its own way to the database, which can be cut, and another one to the remote sides, which stays.
"""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

import psycopg
from psycopg.conninfo import make_conninfo

from connector.cli import demo
from connector.sandbox import Sandbox
from tests.support.forward import Address, Forwarder
from tests.support.pipe import free_port, wait_for


class Way(Protocol):
    """A host's way to the database. `command` runs a command on the host."""

    database: Address
    command: list[str]

    def cut(self) -> None:
        """Nothing goes through."""

    def mend(self) -> None:
        """Everything goes through again."""


class Neighbour:
    """A process of this host: its connections to the database are ended, and it gets no new ones."""

    command: list[str] = []

    def __init__(self, target: Address | str, stack: contextlib.ExitStack) -> None:
        self._forwarder = Forwarder(("127.0.0.1", 0), target)
        stack.callback(self._forwarder.cut)
        self.database = self._forwarder.address
        self.cut, self.mend = self._forwarder.cut, self._forwarder.mend


class Namespace:
    """A network namespace with two cables to this host. A cut cable says nothing: what is sent is lost."""

    def __init__(self, number: int, target: Address | str, remote: Address, stack: contextlib.ExitStack) -> None:
        self._name = f"c{os.getpid()}h{number}"
        self.command = ["ip", "netns", "exec", self._name]
        # Of the addresses that are set apart for tests of networks.
        net = f"198.{18 + os.getpid() // 256 % 2}.{os.getpid() % 256}"
        _ip("netns", "add", self._name)
        stack.callback(_ip, "netns", "delete", self._name)
        _ip("-n", self._name, "link", "set", "dev", "lo", "up")
        database = self._cable("db", f"{net}.{8 * number + 1}", f"{net}.{8 * number + 2}", target, stack)
        self.database = database.address
        out = self._cable("out", f"{net}.{8 * number + 5}", f"{net}.{8 * number + 6}", remote, stack)
        inside = subprocess.Popen(
            [*self.command, sys.executable, "-m", "tests.support.forward", _text(remote), _text(out.address)]
        )
        stack.callback(_end, inside)

    def _cable(self, kind: str, here: str, there: str, target: Address | str, stack: contextlib.ExitStack) -> Forwarder:
        end = f"{self._name}{kind[0]}"
        _ip("link", "add", end, "type", "veth", "peer", "name", kind, "netns", self._name)
        stack.callback(_ip, "link", "delete", "dev", end)
        _ip("address", "add", f"{here}/30", "dev", end)
        _ip("link", "set", "dev", end, "up")
        _ip("-n", self._name, "address", "add", f"{there}/30", "dev", kind)
        _ip("-n", self._name, "link", "set", "dev", kind, "up")
        forwarder = Forwarder((here, 0), target)
        stack.callback(forwarder.cut)
        return forwarder

    def cut(self) -> None:
        _ip("link", "set", "dev", f"{self._name}d", "down")

    def mend(self) -> None:
        _ip("link", "set", "dev", f"{self._name}d", "up")


class Host:
    """A host with a worker, once it is started."""

    def __init__(self, way: Way, environment: Mapping[str, str], url: str, log: Path) -> None:
        address, port = way.database
        database = {"CONNECTOR_DATABASE_URL": make_conninfo(url, host=address, port=port)}
        self._environment = {**os.environ, **environment, **database}
        self._way, self._log = way, log
        self.cut, self.mend = way.cut, way.mend
        self._worker: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """The worker; when it returns, it is ready."""
        with self._log.open("wb") as log:
            command = [*self._way.command, sys.executable, "-m", "connector", "worker"]
            self._worker = subprocess.Popen(command, env=self._environment, stdout=log, stderr=log)
        wait_for(lambda: "worker ready" in self.log, "the worker is ready")

    @property
    def log(self) -> str:
        return self._log.read_text()

    def stop(self) -> int:
        """The worker's exit status."""
        return _end(self._worker) if self._worker else 0


def _end(process: subprocess.Popen[bytes]) -> int:
    process.terminate()
    try:
        return process.wait(40)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


def _text(address: Address) -> str:
    return f"{address[0]}:{address[1]}"


def can_make_namespaces() -> bool:
    """Whether this user may, on this machine."""
    name = f"c{os.getpid()}try"
    try:
        _ip("netns", "add", name)
        _ip("netns", "exec", name, "true")
    except (OSError, subprocess.CalledProcessError):
        return False
    finally:
        with contextlib.suppress(OSError, subprocess.CalledProcessError):
            _ip("netns", "delete", name)
    return True


def _server(url: str) -> Address | str:
    """Where the database's server listens: an address, or the path of a socket."""
    with psycopg.connect(url) as connection:
        host, port = connection.info.host, connection.info.port
    return f"{host}/.s.PGSQL.{port}" if host.startswith("/") else (host, port)


@contextlib.contextmanager
def hosts(count: int, box: Sandbox, url: str, logs: Path, **more: str) -> Iterator[list[Host]]:
    """So many hosts, their workers not started yet. `more` are settings without their prefix, in lower case."""
    environment = demo.environment(box, url, free_port(), "t" * 30) | {
        f"CONNECTOR_{name.upper()}": value for name, value in more.items()
    }
    apart, target = can_make_namespaces(), _server(url)
    with contextlib.ExitStack() as stack:
        made = []
        for number in range(count):
            way: Way = Namespace(number, target, (box.host, box.port), stack) if apart else Neighbour(target, stack)
            host = Host(way, environment, url, logs / f"worker{number}.log")
            stack.callback(host.stop)
            made.append(host)
        yield made
