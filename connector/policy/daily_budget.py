"""The daily budget of an outbound number: how many texts or segments may leave from it in a day. Pure.

Carriers count in the same way: by the day, whoever asked for the text. The store counts; see store/daily_budget.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from connector import phone
from connector.policy.config import DailyBudgetKeys, Unit


@dataclass(frozen=True, slots=True)
class Use:
    """What has been sent, or may have been sent, from an outbound number on a day."""

    texts: int = 0
    segments: int = 0

    def __add__(self, other: "Use") -> "Use":
        return Use(self.texts + other.texts, self.segments + other.segments)


NOTHING = Use()


@dataclass(frozen=True, slots=True)
class Budget:
    """The budget of one outbound number. Batches may use `batch_share` of it. `zone`: IANA, of the day."""

    limit: int
    unit: Unit
    zone: str
    batch_share: float

    def limit_of(self, batch: bool) -> int:
        """Return the limit, in whole units."""
        return int(round(self.limit * self.batch_share, 6)) if batch else self.limit

    def used(self, use: Use) -> int:
        return use.texts if self.unit == "texts" else use.segments

    def need(self, segments: int) -> int:
        """Return what a text of so many segments takes of the budget."""
        return 1 if self.unit == "texts" else segments

    def room(self, use: Use, batch: bool) -> int:
        """Return how many units are left of the day."""
        return max(self.limit_of(batch) - self.used(use), 0)

    def fits(self, use: Use, segments: int, batch: bool) -> bool:
        """Return whether a text of so many segments may still leave on this day."""
        return self.need(segments) <= self.room(use, batch)

    def day(self, now: datetime) -> date:
        """Return the day that this moment belongs to."""
        return now.astimezone(ZoneInfo(self.zone)).date()

    def next_day(self, now: datetime) -> datetime:
        """Return when the next day begins, in UTC."""
        return datetime.combine(self.day(now) + timedelta(days=1), time(), ZoneInfo(self.zone)).astimezone(UTC)

    def days(self, use: Use, need: int) -> int:
        """Return on how many days batches that need so many units leave, today included if there is room."""
        left = need - self.room(use, batch=True)
        return (1 if self.room(use, batch=True) else 0) + -(-max(left, 0) // self.limit_of(batch=True))

    def in_words(self, number: str, batch: bool) -> str:
        """Name the budget that is used up, for a finding. The number is masked."""
        whole = f"the daily budget of {self.limit:,} {self.unit} for the outbound number {phone.mask(number)}"
        part = self.limit_of(batch)
        return f"the batches' part ({part:,}) of {whole}" if batch and part < self.limit else whole


def of(keys: DailyBudgetKeys | None, number: str) -> Budget | None:
    """Return the budget of this outbound number (E.164). None: it has no limit."""
    if keys is None:
        return None
    own = keys.by_number.get(number, keys)
    if own.texts is not None:
        return Budget(own.texts, "texts", keys.zone, keys.batch_share)
    return Budget(own.segments, "segments", keys.zone, keys.batch_share) if own.segments is not None else None


# The budgets of all outbound numbers that have one, from all mapping files.
Budgets = Mapping[str, Budget]
