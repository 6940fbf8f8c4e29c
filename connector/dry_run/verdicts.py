"""What is, or was, decided about a text, in a form in which two decisions can be compared. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from connector.model import OutboundSms
from connector.policy.findings import Said


class Result(StrEnum):
    """What a decision leads to. NONE: there was no decision."""

    SEND = "send"
    WAIT = "wait"
    SKIP = "skip"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Check:
    """The result of one check of the policy. `until` says when a hold ends, with its zone; else it is empty."""

    check: str
    said: Said
    why: str
    until: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A decision about a text. `why`: why it is skipped or waits, or why there was none; `check` names the source.

    `number` is the pseudonym of the recipient's number. What is not known is None or empty: above all `sms`, where the
    mapping itself skips a text, and `checks` then, because the policy was not asked.
    """

    result: Result
    why: str = ""
    check: str = ""
    rule: str | None = None
    sms: OutboundSms | None = None
    number: str | None = None
    checks: Sequence[Check] = ()

    @property
    def until(self) -> str:
        """Return until when the text waits; empty where it does not wait."""
        return next((one.until for one in self.checks if one.check == self.check), "") if self.waits else ""

    @property
    def waits(self) -> bool:
        return self.result is Result.WAIT

    @property
    def leaves(self) -> bool:
        """Return whether the text is sent, now or later."""
        return self.result in (Result.SEND, Result.WAIT)
