"""Errors, grouped by what has to happen next.

ConnectorError
├── BadSettings        the environment or the .env file is wrong: refused at start
├── BadMapping         a mapping file is wrong: refused at start
├── BadFile            a file given to a command is wrong: refused, nothing done
├── Unreadable         an authentic event cannot be parsed: saved, acknowledged, shown
├── SignInRefused      an identity provider's answer signs nobody in: refused, nothing saved
├── NotAuthentic       a request from an unknown sender: refused, nothing saved
├── NotThere           the requested ticket or plan does not exist
├── BadTime            a text cannot be scheduled for this time
├── KeyUsedOtherwise   the idempotency key was used for another request
├── MoreThanConfirmed  a bulk action has more texts than the person has confirmed: nothing done
├── ActionRefused      a person asked for what cannot be done to this text or number: nothing done
└── CallFailed         a call to a remote side failed
    ├── Refused        refused: certainly not done
    ├── Unavailable    not reached, or asked to wait: certainly not done, retry later
    ├── NotSent        the connector did not send the request: certainly not done, retry soon
    └── OutcomeUnknown possibly done: never repeated automatically, shown to an operator
"""

import contextlib
from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import NamedTuple

from connector import masking


class ConnectorError(Exception):
    """Base class of all deliberate errors. The message is written for people and contains no secret."""


class BadSettings(ConnectorError):
    """A setting is missing, malformed or unsafe."""


class Fault(NamedTuple):
    """A fault in a mapping file: the key as people call it, what was expected there, and the line if known."""

    key: str
    expected: str
    line: int | None = None


class BadMapping(ConnectorError):
    """A mapping file cannot be used. The message lists every fault with file, line, key and expectation."""

    def __init__(self, file: str, faults: list[Fault]) -> None:
        super().__init__(
            "\n".join(f"{file}{f', line {one.line}' if one.line else ''}: {one.key}: {one.expected}" for one in faults)
        )
        self.file, self.faults = file, faults


class BadFile(ConnectorError):
    """A file given to a command cannot be read. The message names the line where one is known."""


class Problems(list[str]):
    """Collect the problems of settings and mapping files, to report them together and each once.

    with problems.noted():
        ...
    problems.refuse()
    """

    @contextlib.contextmanager
    def noted(self) -> Iterator[None]:
        """Record the errors raised in the block, and continue after it."""
        try:
            yield
        except (BadSettings, BadMapping) as error:
            self.extend(line for line in str(error).splitlines() if line not in self)

    def add(self, more: Iterable[str]) -> None:
        """Add problems of subjects that have none yet: a consequence of a known problem is not reported."""
        named = {line.partition(":")[0] for line in self}
        self.extend(line for line in more if line.partition(":")[0] not in named)

    def refuse(self) -> None:
        """Raise BadSettings with all problems, if there are any."""
        if self:
            raise BadSettings("\n".join(self))


class Unreadable(ConnectorError):
    """An authentic event cannot be parsed. `status`: the HTTP status, where the sender gets one."""

    def __init__(self, words: str, status: int = 400) -> None:
        super().__init__(words)
        self.status = status


class NotAuthentic(ConnectorError):
    """The sender of a request could not be established (HTTP 401), or is not the expected one (403)."""

    def __init__(self, words: str, status: int = 401) -> None:
        super().__init__(words)
        self.status = status


class NotTimely(NotAuthentic):
    """The signature of a request is right, but it was made too long ago, or in the future."""


class SignInRefused(ConnectorError):
    """An identity provider's answer signs nobody in. The message says why, for the person in front of the browser."""


class NotThere(ConnectorError):
    """The requested object does not exist, or is not visible."""


class BadTime(ConnectorError):
    """A text cannot be scheduled for this time. The message says what was expected."""


class KeyUsedOtherwise(ConnectorError):
    """The idempotency key was used for another request."""


class ActionRefused(ConnectorError):
    """An action by a person is refused; nothing was changed. `why` continues a sentence that begins with `about`."""

    def __init__(self, about: str, why: str) -> None:
        super().__init__(f"{about[0].upper()}{about[1:]} {why}.")
        self.about, self.why = about, why


class MoreThanConfirmed(ConnectorError):
    """A bulk action would have more texts than its person has seen the number of. Nothing was started."""

    def __init__(self, confirmed: int) -> None:
        super().__init__(f"the search finds more than {confirmed:,} texts now: look at them and confirm again")


class CallFailed(ConnectorError):
    """A call to a remote side failed. The message is masked: it ends up in logs, tickets and tables."""

    def __init__(self, words: str) -> None:
        super().__init__(masking.masked(words))


class RefusalScope(StrEnum):
    """What a refusal applies to."""

    TICKET = "ticket"  # this one text: fail it
    BUSY = "busy"  # the customer is in another session: retry, for a bounded time
    GONE = "gone"  # the ticket no longer exists: no write-back is possible
    SETTINGS = "settings"  # every text would be refused: alert the operator


class RefusalCode(StrEnum):
    """The refusals that CCAI Platform documents. It sends words only; `connector/ccaip/responses.py` knows them."""

    NO_CHAT_TYPE = "no_chat_type"
    INVALID_CHAT_TYPE = "invalid_chat_type"
    SMS_DISABLED = "sms_disabled"
    OUTBOUND_SMS_DISABLED = "outbound_sms_disabled"
    NO_NUMBER = "no_number"
    INVALID_NUMBER = "invalid_number"
    NON_US_NUMBER = "non_us_number"
    NO_OUTBOUND_NUMBER = "no_outbound_number"
    INVALID_OUTBOUND_NUMBER = "invalid_outbound_number"
    UNKNOWN_OUTBOUND_NUMBER = "unknown_outbound_number"
    NO_MESSAGE = "no_message"
    CUSTOMER_BUSY = "customer_busy"
    OPTED_OUT = "opted_out"  # not documented: the words are a setting

    @classmethod
    def stored(cls, code: str | None) -> "RefusalCode | None":
        """The code of a stored text. None: it has none, or one of a newer version that runs beside this one."""
        return next((one for one in cls if one == code), None)


class Refused(CallFailed):
    """The remote side refused; nothing was done."""

    def __init__(self, words: str, scope: RefusalScope, code: RefusalCode | None = None) -> None:
        super().__init__(words)
        self.scope, self.code = scope, code


class Unavailable(CallFailed):
    """The remote side was not reached or asked to wait; nothing was done. `retry_after`: seconds, if requested."""

    def __init__(self, words: str, retry_after: float | None = None) -> None:
        super().__init__(words)
        self.retry_after = retry_after


class NotSent(CallFailed):
    """The connector itself did not send any of the request. This says nothing about the remote side."""


class OutcomeUnknown(CallFailed):
    """The remote side may have acted on the request."""
