"""Carries TCP connections on to somewhere else. As a process of its own, for a host that has only this way out:

python -m tests.forward 127.0.0.1:8787 198.18.0.5:8787
"""

import contextlib
import socket
import sys
import threading

Address = tuple[str, int]


class Forwarder:
    """From `listen` to `target`: an address, or the path of a socket. What it carries can be cut, and mended."""

    def __init__(self, listen: Address, target: Address | str) -> None:
        self._listen, self._target = listen, target
        self._carried: set[socket.socket] = set()
        self.mend()

    def mend(self) -> None:
        """Take connections."""
        self._listening = socket.create_server(self._listen)
        self._listen = self._listening.getsockname()[:2]
        self._accepting = threading.Thread(target=self._accept, args=(self._listening,), daemon=True)
        self._accepting.start()

    @property
    def address(self) -> Address:
        return self._listen

    def cut(self) -> None:
        """End all connections, and take no more."""
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._accepting.join()
        for one in list(self._carried):
            _end(one)

    def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                near, _ = listening.accept()
            except OSError:
                return
            try:
                far = self._connect()
            except OSError:
                near.close()
                continue
            self._carried |= {near, far}
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._carry, args=(source, sink), daemon=True).start()

    def _connect(self) -> socket.socket:
        if isinstance(self._target, tuple):
            return socket.create_connection(self._target)
        far = socket.socket(socket.AF_UNIX)
        try:
            far.connect(self._target)
        except OSError:
            far.close()
            raise
        return far

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        for one in (source, sink):
            _end(one)
            self._carried.discard(one)


def _end(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()


def address(text: str) -> Address:
    host, _, port = text.rpartition(":")
    return host, int(port)


if __name__ == "__main__":
    Forwarder(address(sys.argv[1]), address(sys.argv[2]))
    threading.Event().wait()
