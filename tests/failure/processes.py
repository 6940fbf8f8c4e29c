"""The processes under test: real commands, each with ways of its own to the database and to both remote sides."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.failure.proxy import Proxy
from tests.support.pipe import wait_for

READY_SECONDS = 40.0
STOP_SECONDS = 60.0
# What a worker is started with when its clock is shifted: the libraries where Debian and others have them.
FAKETIME = ("/usr/lib/*/faketime/libfaketimeMT.so.1", "/usr/lib*/faketime/libfaketimeMT.so.1")


@dataclass
class Disturbance:
    """What was done to a process or to its ways, and from when to when, in monotonic seconds."""

    what: str
    who: str
    begin: float = field(default_factory=time.monotonic)
    end: float = float("inf")

    def over(self) -> None:
        self.end = time.monotonic()

    def meets(self, begin: float, end: float) -> bool:
        return self.begin <= end and begin <= self.end


class Disturbances(list[Disturbance]):
    """All that was done, in order."""

    def begin(self, what: str, who: str) -> Disturbance:
        self.append(Disturbance(what, who))
        return self[-1]

    @contextlib.contextmanager
    def during(self, what: str, who: str) -> Iterator[Disturbance]:
        one = self.begin(what, who)
        try:
            yield one
        finally:
            one.over()

    def met(self, begin: float, end: float, who: str, *what: str) -> list[Disturbance]:
        """Those of this process (or of everybody) and of these kinds that fall into this time."""
        return [one for one in self if one.what in what and one.who in (who, "all") and one.meets(begin, end)]


def faketime(shift: str) -> dict[str, str]:
    """The environment of a process whose clock is shifted, such as by "+3600s"; its monotonic clock is not."""
    found = next((path for pattern in FAKETIME for path in sorted(Path("/").glob(pattern[1:]))), None)
    assert found, "libfaketime is not installed: apt-get install faketime"
    keep = {"FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1", "FAKETIME_NO_CACHE": "1"}
    return {"LD_PRELOAD": str(found), "FAKETIME": shift, **keep}


class Command:
    """A command of the connector as a process that can be frozen, killed and started again.

    `ways` are its proxies, by name: database, sms, crm. `ready(log)` says by what it has logged whether it is.
    """

    def __init__(
        self,
        name: str,
        arguments: list[str],
        environment: Mapping[str, str],
        log: Path,
        ready: Callable[[str], bool],
        ways: Mapping[str, Proxy],
        disturbances: Disturbances,
    ) -> None:
        self.name, self.ways, self.log = name, ways, log
        self._arguments, self._environment, self._ready = arguments, environment, ready
        self._disturbances = disturbances
        self._shift: dict[str, str] = {}
        self._frozen: Disturbance | None = None
        self._begins = 0
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; `await_ready` says when it is ready."""
        self._begins = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "connector", *self._arguments],
                env={**os.environ, **self._environment, **self._shift},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def await_ready(self) -> None:
        wait_for(self.is_ready, f"{self.name} is ready: see {self.log}", READY_SECONDS)

    def is_ready(self) -> bool:
        assert self.process
        assert self.process.poll() is None, f"{self.name} has ended: {self.said()[-2000:]}"
        return self._ready(self.said())

    def said(self) -> str:
        """What it has logged since it was started."""
        return self.log.read_bytes()[self._begins :].decode()

    @property
    def lives(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def shift(self, by: str) -> None:
        """Let its clock be off from its next start on, such as by "+3600s"; "" sets it right."""
        self._shift = faketime(by) if by else {}

    def freeze(self) -> None:
        """SIGSTOP."""
        self._frozen = self._disturbances.begin("frozen", self.name)
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        self._signal(signal.SIGCONT)
        if self._frozen:
            self._frozen.over()
        self._frozen = None

    def kill(self) -> None:
        """SIGKILL, of everything that it has started too."""
        with self._disturbances.during("killed", self.name):
            self._signal(signal.SIGKILL)
            self._wait(10)
        if self._frozen:
            self._frozen.over()
        self._frozen = None

    def stop(self) -> int:
        """Ask it to stop; its exit status. Negative: it had to be killed."""
        if self.process is None:
            return 0
        self.thaw()
        with contextlib.suppress(ProcessLookupError):
            self.process.terminate()
        return self._wait(STOP_SECONDS)

    def end(self) -> None:
        """Whatever state it is in, it is gone."""
        if self.lives:
            self._signal(signal.SIGKILL)
            self._wait(10)

    def _wait(self, seconds: float) -> int:
        assert self.process
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)
            return self.process.wait(10)

    def _signal(self, number: int) -> None:
        if self.process:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)
