"""The results of checks: findings, and the ruling on a decision that they make up."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from connector.model import OutboundSms
from connector.policy import segments


class Said(StrEnum):
    OK = "ok"
    WARN = "warn"
    STOP = "stop"
    HOLD = "hold"
    OVERRIDDEN = "overridden"


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check. `overridable`: an agent may override it with a reason. `until` (UTC) of a hold, and the
    recipient's IANA zone.

    `about` identifies the cause, such as a text and its state. With another cause, it is another finding.
    """

    check: str
    said: Said
    why: str
    overridable: bool = False
    until: datetime | None = None
    about: str = ""
    zone: str = ""

    @property
    def id(self) -> str:
        """Return the id by which an override names this finding."""
        return f"{self.check}:{self.about}" if self.about else self.check


@dataclass(frozen=True, slots=True)
class Ruling:
    """The policy's result for a decision: the text as it would be sent, and all findings.

    `same_reason` is another text that has the reason; `same_reason_notified`: its ticket has been notified.
    """

    sms: OutboundSms
    size: segments.Size
    findings: Sequence[Finding]
    same_reason: int | None
    same_reason_notified: bool = False

    @property
    def against(self) -> Finding | None:
        """Return the finding that keeps the text from being sent now: a stop before a hold. None: there is none."""
        for said in (Said.STOP, Said.HOLD):
            for finding in self.findings:
                if finding.said is said:
                    return finding
        return None

    def overrides(self, check: str) -> bool:
        return any(finding.check == check and finding.said is Said.OVERRIDDEN for finding in self.findings)

    @property
    def trace(self) -> list[dict[str, str]]:
        """Return the findings as they are stored with the text. `about` is left out where it is empty."""
        return [
            {"check": one.check, "said": one.said.value, "why": one.why} | ({"about": one.about} if one.about else {})
            for one in self.findings
        ]

    @property
    def line(self) -> str:
        """Return the trace in short, for logs."""
        return " ".join(f"{one.check}:{one.said.value}" for one in self.findings)
