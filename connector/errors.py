"""What can go wrong, told apart by what has to happen next.

ConnectorError
├── BadSettings        the environment or .env file: refused at start
├── BadMapping         a mapping file: refused at start
├── BadFile            a file that a person gave to a command: refused, nothing done
├── Unreadable         an authentic event that cannot be understood: kept, acknowledged, shown
├── NotAuthentic       a request that nobody we know has sent: refused, nothing kept
├── NotThere           a ticket or plan that somebody asks about does not exist
├── KeyUsedOtherwise   an idempotency key that was used for something else
└── CallFailed         a call to a remote side
    ├── Refused        it said no: certainly not done
    ├── Unavailable    it could not be asked, or asked us to wait: certainly not done, later
    ├── NotSent        we did not ask it, for a reason of our own: certainly not done, soon
    └── OutcomeUnknown it may have been done: never repeated by itself, shown to a person
"""

import contextlib
from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import NamedTuple

from connector import masking


class ConnectorError(Exception):
    """Any error that this project raises on purpose. Its text is written for people and carries no secret."""


class BadSettings(ConnectorError):
    """A setting is missing, malformed or unsafe."""


class Fault(NamedTuple):
    """What is wrong in a mapping file: the key as people call it, what was expected there, and its line if known."""

    key: str
    expected: str
    line: int | None = None


class BadMapping(ConnectorError):
    """A mapping file cannot be used. Its text has all faults, each with file, line, key and expectation."""

    def __init__(self, file: str, faults: list[Fault]) -> None:
        super().__init__(
            "\n".join(f"{file}{f', line {one.line}' if one.line else ''}: {one.key}: {one.expected}" for one in faults)
        )
        self.file, self.faults = file, faults


class BadFile(ConnectorError):
    """A file that a person gave cannot be read. Its text says in which line, where there is one."""


class Problems(list[str]):
    """Gathers what is wrong with settings and mapping files, so that all of it is said at once, each thing once.

    with problems.noted():
        ...
    problems.refuse()
    """

    @contextlib.contextmanager
    def noted(self) -> Iterator[None]:
        """What is refused in here is noted, and does not keep from looking further."""
        try:
            yield
        except (BadSettings, BadMapping) as error:
            self.extend(line for line in str(error).splitlines() if line not in self)

    def add(self, more: Iterable[str]) -> None:
        """Those about something that nothing is said of yet: what follows from a problem is none of its own."""
        named = {line.partition(":")[0] for line in self}
        self.extend(line for line in more if line.partition(":")[0] not in named)

    def refuse(self) -> None:
        """Raises BadSettings with all of it, if there is any."""
        if self:
            raise BadSettings("\n".join(self))


class Unreadable(ConnectorError):
    """An event that is authentic but cannot be understood."""


class NotAuthentic(ConnectorError):
    """A request whose sender could not be established (HTTP 401), or is not the one expected (403)."""

    def __init__(self, words: str, status: int = 401) -> None:
        super().__init__(words)
        self.status = status


class NotThere(ConnectorError):
    """What somebody asks about does not exist, or cannot be seen."""


class KeyUsedOtherwise(ConnectorError):
    """The idempotency key has been used for something else."""


class CallFailed(ConnectorError):
    """A call to a remote side did not give the answer that was hoped for. Its words end in logs, tickets and tables."""

    def __init__(self, words: str) -> None:
        super().__init__(masking.masked(words))


class RefusalScope(StrEnum):
    """Whose business a refusal is."""

    TICKET = "ticket"  # this one text: fail it
    BUSY = "busy"  # the customer is in a session: later, for a bounded time
    GONE = "gone"  # the ticket does not exist any more: nobody can be told
    SETTINGS = "settings"  # every text would meet it: tell the operator


class Refused(CallFailed):
    """The remote side said no; nothing was done."""

    def __init__(self, words: str, scope: RefusalScope) -> None:
        super().__init__(words)
        self.scope = scope


class Unavailable(CallFailed):
    """The remote side was not reached or asked us to wait; nothing was done. `retry_after` in seconds, if it asked."""

    def __init__(self, words: str, retry_after: float | None = None) -> None:
        super().__init__(words)
        self.retry_after = retry_after


class NotSent(CallFailed):
    """Nothing of the request has left, for a reason of our own: it says nothing about the remote side."""


class OutcomeUnknown(CallFailed):
    """The request may have been acted upon."""
