"""Which report of a chat's status counts. Reports come late, twice and in any order."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

# Status words that end a chat. The platform's vocabulary is open: a word that is not here ends a chat only if the
# report says so in another way.
ENDED = frozenset({"finished", "no_response", "canceled", "failed", "dismissed", "va_dismissed"})
# The order of an open chat's status words, for reports of the same time. Other words come before these.
PROGRESS = ("selecting", "queued", "assigned")


class Source(StrEnum):
    """Where a report comes from: our own call's response, a chat webhook, or the Manager API's list of chats."""

    RESPONSE = "response"
    WEBHOOK = "webhook"
    LIST = "list"


# For reports of the same time: the list has the platform's own status word, a webhook's is derived from its type.
TRUST = (Source.RESPONSE, Source.WEBHOOK, Source.LIST)


@dataclass(frozen=True, slots=True)
class Report:
    """The status of a chat at a time of the platform's clock."""

    chat: str
    status: str
    at: datetime
    source: Source
    ended: bool = False


def replaces(new: Report, old: Report) -> bool:
    """Return whether `new` counts instead of `old`. Any order of the same reports leads to the same status.

    A chat that has ended stays ended. Everything else follows the response, whose time is by another clock. Otherwise
    the newer report counts; of two of the same time, the one whose source, and then whose status, comes later.
    """
    return _rank(new) > _rank(old)


def _rank(report: Report) -> tuple[bool, bool, datetime, int, int, str]:
    progress = PROGRESS.index(report.status) if report.status in PROGRESS else -1
    told = report.source is not Source.RESPONSE
    return report.ended, told, report.at, TRUST.index(report.source), progress, report.status
