"""The keys of `[policy]` in a mapping file."""

import re
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Annotated, Any, Literal, Self
from zoneinfo import available_timezones

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from connector.config_types import E164, AnyCondition, AnyFixedWords, Name, Strict
from connector.languages import FixedWords

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
SPAN = re.compile(r"([01]\d|2[0-4]):([0-5]\d)-([01]\d|2[0-4]):([0-5]\d)")
NEVER = (0, 0)
# Minutes of a local day: the start of the open hours, and their end, which is not included.
Span = tuple[int, int]


def _span(given: Any) -> Span:
    found = SPAN.fullmatch(given) if isinstance(given, str) else None
    if not found:
        raise ValueError('expected hours such as "08:00-20:00"')
    hours = [int(part) for part in found.groups()]
    start, end = hours[0] * 60 + hours[1], hours[2] * 60 + hours[3]
    if not start < end <= 24 * 60:
        raise ValueError("expected hours that end after they start, at 24:00 at the latest")
    return start, end


def _day(given: str) -> str:
    if given in DAYS:
        return given
    try:
        return date.fromisoformat(given).isoformat()
    except ValueError:
        raise ValueError('expected days such as "sunday" or "2026-12-25"') from None


def _zone(given: str) -> str:
    if given not in available_timezones():
        raise ValueError('expected an IANA time zone, such as "America/New_York"')
    return given


Hours = Annotated[Span, BeforeValidator(_span)]
Day = Annotated[str, AfterValidator(_day)]


class DayKeys(BaseModel):
    """The hours of each day: `open`, unless the weekday has its own. `days_off` have none."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    open: Hours = (8 * 60, 20 * 60)
    days_off: tuple[Day, ...] = ()
    monday: Hours | None = None
    tuesday: Hours | None = None
    wednesday: Hours | None = None
    thursday: Hours | None = None
    friday: Hours | None = None
    saturday: Hours | None = None
    sunday: Hours | None = None

    def of(self, day: date) -> Span:
        """Return the hours of this day."""
        name = DAYS[day.weekday()]
        if name in self.days_off or day.isoformat() in self.days_off:
            return NEVER
        return getattr(self, name) or self.open


class StateKeys(DayKeys):
    """The hours that a state narrows. Without an `open` of its own, it narrows only the days that it names."""

    open: Hours = (0, 24 * 60)


def _codes(given: Mapping[str, StateKeys]) -> Mapping[str, StateKeys]:
    codes: dict[str, StateKeys] = {}
    for name, keys in given.items():
        # With two tables for one state, only one would count, and which one would be chance.
        if codes.setdefault(name.strip().upper(), keys) is not keys:
            raise ValueError(f'expected each state once, but "{name}" is there in another spelling too')
    return codes


class HoursKeys(DayKeys):
    """The keys of `[policy.hours]`. `zone` is the time zone of customers whose own is not known."""

    zone: Annotated[str, AfterValidator(_zone)] = "America/New_York"
    by_state: Annotated[Mapping[str, StateKeys], AfterValidator(_codes)] = {}

    def state(self, code: str | None) -> StateKeys | None:
        return self.by_state.get(code.strip().upper()) if code else None


Unit = Literal["texts", "segments"]


class LimitKeys(Strict):
    """A limit for each day, in texts or in segments."""

    texts: int | None = Field(default=None, ge=1)
    segments: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _one_unit(self) -> Self:
        if (self.texts is None) == (self.segments is None):
            raise ValueError("expected either texts or segments, such as: texts = 2000")
        return self


class DailyBudgetKeys(Strict):
    """The keys of `[policy.daily_budget]`: a limit for every outbound number, and others `by_number`.

    `zone` is the time zone of the day, and `batch_share` is what back-fills may use of it.
    """

    texts: int | None = Field(default=None, ge=1)
    segments: int | None = Field(default=None, ge=1)
    zone: Annotated[str, AfterValidator(_zone)] = "America/New_York"
    batch_share: float = Field(default=0.8, gt=0, le=1)
    by_number: Mapping[E164, LimitKeys] = {}

    @model_validator(mode="after")
    def _one_unit(self) -> Self:
        if self.texts is not None and self.segments is not None:
            raise ValueError("expected either texts or segments, such as: texts = 2000")
        if self.texts is None and self.segments is None and not self.by_number:
            raise ValueError("expected a limit: texts or segments, such as: texts = 2000")
        return self


class PolicyKeys(Strict):
    """Who must not be texted, and when. See mappings/salesforce.toml for the meaning of each key."""

    opt_out: AnyCondition | None = None
    zone: Name | None = None
    state: Name | None = None
    hours: HoursKeys = HoursKeys()
    daily_budget: DailyBudgetKeys | None = None
    window_hours: float = Field(default=24, ge=0, le=24 * 366)
    max_segments: int = Field(default=4, ge=1, le=20)
    replace_typographic: bool = False
    brand: AnyFixedWords = FixedWords("")
    opt_out_line: AnyFixedWords = FixedWords("")
    agents_may_override: list[Literal["reason", "window", "hours"]] = ["reason", "window", "hours"]

    def names(self) -> Iterator[tuple[str, str]]:
        """Yield (key, name) for every field name that the policy uses."""
        yield from (("policy.opt_out", name) for name in sorted(self.opt_out.names if self.opt_out else ()))
        yield from ((f"policy.{key}", name) for key in ("zone", "state") if (name := getattr(self, key)))
