"""What goes wrong at the remote sides: each fault says which requests it is about, and what is done instead."""

import contextlib
import threading
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.failure.journal import Request

# No fault holds a request for longer than this, in seconds: a forgotten one must not hold up the end.
MAX_HOLD = 120.0


@dataclass(frozen=True)
class Reply:
    """An answer. `body` is JSON, or a text that is none (the HTML page of a proxy)."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


class Hold:
    """Lets requests wait for so many seconds, or until it is released."""

    def __init__(self, seconds: float = MAX_HOLD) -> None:
        self._seconds, self._released = seconds, threading.Event()

    def wait(self) -> None:
        self._released.wait(self._seconds)

    def release(self) -> None:
        self._released.set()


@dataclass
class Fault:
    """Which requests, and what is done with them. Empty conditions fit everything.

    `nth`: the first one that it is done with; `times`: how many; 0: all, until the fault is removed.
    `hold` waits before the witness acts, `late` after it. `reply` is answered instead of acting. `refuse` is the code
    and the words with which a write of the fitting cases is refused, one by one. `pages`: a query is answered so many
    records at a time. `cut`: end the connection `before` acting, or `after` it and without an answer.
    """

    side: str = ""
    kind: str = ""
    via: str = ""
    tickets: Collection[str] = ()
    word: str = ""
    nth: int = 1
    times: int = 1
    hold: Hold | None = None
    late: Hold | None = None
    reply: Reply | None = None
    refuse: tuple[str, str] | None = None
    pages: int = 0
    cut: str = ""
    seen: int = 0

    def fits(self, request: Request) -> bool:
        return (
            self.side in ("", request.side)
            and self.kind in ("", request.kind)
            and self.via in ("", request.via)
            and (not self.tickets or any(ticket in self.tickets for ticket in request.tickets))
            and self.word in request.message
        )

    @property
    def acts(self) -> bool:
        """Whether the request that was seen last is one of those that it is done with."""
        return self.seen >= self.nth and (not self.times or self.seen < self.nth + self.times)

    @property
    def used(self) -> int:
        """How many requests it was done with."""
        beyond = max(self.seen - self.nth + 1, 0)
        return min(beyond, self.times) if self.times else beyond

    def end(self) -> None:
        """Let go what waits."""
        for hold in (self.hold, self.late):
            if hold:
                hold.release()


class Faults:
    """The faults that there are now. For any number of threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []

    def add(self, **what: Any) -> Fault:
        """Add a fault; see Fault. The first that fits and has something left to do is the one."""
        fault = Fault(**what)
        with self._lock:
            self._faults.append(fault)
        return fault

    def remove(self, fault: Fault) -> None:
        with self._lock:
            self._faults = [other for other in self._faults if other is not fault]
        fault.end()

    @contextlib.contextmanager
    def during(self, **what: Any) -> Iterator[Fault]:
        """As long as the block: every request that fits, unless `times` says how many."""
        fault = self.add(**{"times": 0} | what)
        try:
            yield fault
        finally:
            self.remove(fault)

    def clear(self) -> None:
        """Nothing goes wrong any more, and nothing waits."""
        with self._lock:
            ended, self._faults = self._faults, []
        for fault in ended:
            fault.end()

    def take(self, request: Request) -> Fault:
        """The fault that this request meets; one that does nothing if there is none."""
        with self._lock:
            for fault in self._faults:
                if fault.fits(request):
                    fault.seen += 1
                    if fault.acts:
                        return fault
        return Fault()
