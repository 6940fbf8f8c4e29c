"""Opt-outs and open reviews as the policy sees them, in words for agents and tickets; and their deadlines. Pure."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

# Business days after a message until its review is overdue, and until the law's limit (47 CFR 64.1200(a)(10)).
DUE_DAYS, LIMIT_DAYS = 2, 10
# How long a text is held before it is decided again, while the review of its number is open. A decision ends the wait.
REVIEW_POLL = timedelta(hours=1)
SATURDAY = 5


class Source(StrEnum):
    """Who put a number on the suppression list. Each source lifts its own entries only."""

    PERSON = "person"  # an operator or an agent: command line, API, page, or a decided review
    WORD = "word"  # the customer, by a word that acts by itself
    PLATFORM = "platform"  # CCAI Platform refused a text because the customer opted out or is blocked
    CRM = "crm"  # the CRM's opt-out field

    @classmethod
    def stored(cls, source: str) -> "Source":
        """The source of a stored entry. One of a newer version that runs beside this one counts as a person's."""
        return next((one for one in cls if one == source), cls.PERSON)


@dataclass(frozen=True, slots=True)
class OptOut:
    """An entry of the suppression list. `at`: when the customer asked, else when it took effect (UTC).

    `words`: the customer's word; `asked`: it comes from a message of the customer.
    """

    source: Source
    at: datetime
    words: str = ""
    asked: bool = False

    @property
    def why(self) -> str:
        """Return why the number is blocked."""
        at = utc(self.at)
        if self.source is Source.WORD:
            return f"the customer replied {self.words or 'with an opt-out'} on {at}"
        if self.source is Source.PLATFORM:
            return f"CCAI Platform refused a text on {at}: the customer has opted out or is blocked there"
        if self.source is Source.CRM:
            return f"the customer has opted out, as another ticket with this number said on {at}"
        if self.asked:
            return f"the customer asked on {at} to get no more texts, as a person decided"
        return f"the customer's number has been on the suppression list since {at}"


@dataclass(frozen=True, slots=True)
class OpenReview:
    """A message that may be an opt-out, not decided yet. `said_at` in UTC."""

    id: int
    said_at: datetime

    @property
    def why(self) -> str:
        """Return why the number is blocked until the decision."""
        return f"the customer may have opted out on {utc(self.said_at)}; a person has to decide review {self.id}"


def utc(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def business_days_after(at: datetime, days: int) -> datetime:
    """Return the same time of day so many business days later: Monday to Friday by UTC. Holidays are not known."""
    while days:
        at += timedelta(days=1)
        days -= at.astimezone(UTC).weekday() < SATURDAY
    return at
