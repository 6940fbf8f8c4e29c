"""When a person may be texted, by the person's own clock. Pure: the moment is an argument.

Where several time zones are possible, it has to be open in each of them: the strictest wins. Where the state is known
and has hours of its own, the narrower of both hold.
"""

import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict

from connector import phone

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
# How far ahead the next opening is looked for.
LONGEST = timedelta(days=14)
SPAN = re.compile(r"([01]\d|2[0-4]):([0-5]\d)-([01]\d|2[0-4]):([0-5]\d)")
NEVER = (0, 0)

# Minutes of a local day: open from the first, closed from the second.
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
    """Hours of each day: `open`, and where a weekday has its own, that weekday's; `days_off` have none."""

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
        """The hours of this day."""
        name = DAYS[day.weekday()]
        if name in self.days_off or day.isoformat() in self.days_off:
            return NEVER
        return getattr(self, name) or self.open


class StateKeys(DayKeys):
    """What a state narrows. Without an `open` of its own it narrows the days that it names only."""

    open: Hours = (0, 24 * 60)


def _codes(given: Mapping[str, StateKeys]) -> Mapping[str, StateKeys]:
    codes: dict[str, StateKeys] = {}
    for name, keys in given.items():
        # Two tables of one state would be a state with one of them, whichever.
        if codes.setdefault(name.strip().upper(), keys) is not keys:
            raise ValueError(f'expected each state once, but "{name}" is there in another spelling too')
    return codes


class HoursKeys(DayKeys):
    """A mapping file's `[policy.hours]`. `zone` is where people are of whom nothing else is known."""

    zone: Annotated[str, AfterValidator(_zone)] = "America/New_York"
    by_state: Annotated[Mapping[str, StateKeys], AfterValidator(_codes)] = {}

    def state(self, code: str | None) -> StateKeys | None:
        return self.by_state.get(code.strip().upper()) if code else None


@dataclass(frozen=True, slots=True)
class Open:
    why: str


@dataclass(frozen=True, slots=True)
class Closed:
    """`until` in UTC; None: it does not open within two weeks."""

    why: str
    until: datetime | None


def look(number: str, zone: str | None, state: str | None, now: datetime, hours: HoursKeys) -> Open | Closed:
    """Whether the person at this number (E.164) may be texted now.

    `zone` (IANA) and `state` are what the CRM says of the person; a zone that nobody knows counts as none.
    """
    zones, how = _zones(number, zone, hours.zone)
    keys = [hours, *filter(None, [hours.state(state)])]
    for one in zones:
        local = now.astimezone(one)
        start, end = _narrowest(local.date(), keys)
        if not start <= local.hour * 60 + local.minute < end:
            where = f"{local:%H:%M} in {one.key}{how}"
            return Closed(f"it is {where}; {_in_words(start, end, local)}", _opening(now, zones, keys))
    return Open(f"it is {now.astimezone(zones[0]):%H:%M} in {zones[0].key}{how}")


def _in_words(start: int, end: int, local: datetime) -> str:
    if (start, end) == NEVER or start >= end:
        return f"{local:%A}, {local:%Y-%m-%d}, is a day off"
    return f"texts may leave from {_clock(start)} to {_clock(end)}"


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


def _narrowest(day: date, keys: Sequence[DayKeys]) -> Span:
    spans = [one.of(day) for one in keys]
    if NEVER in spans:
        return NEVER
    return max(start for start, _ in spans), min(end for _, end in spans)


def _opening(now: datetime, zones: Sequence[ZoneInfo], keys: Sequence[DayKeys]) -> datetime | None:
    """The first moment from now on that is open everywhere: one at which it opens somewhere."""
    for ahead in range(LONGEST.days + 1):
        opens = sorted({moment for zone in zones for moment in _opens(now, zone, ahead, keys)})
        for moment in opens:
            if all(_is_open(moment, zone, keys) for zone in zones):
                return moment
    return None


def _opens(now: datetime, zone: ZoneInfo, ahead: int, keys: Sequence[DayKeys]) -> Iterator[datetime]:
    """When it opens in this zone so many days from now, if it does, and if that is still to come.

    Twice, where the clocks go back over that time.
    """
    day = now.astimezone(zone).date() + timedelta(days=ahead)
    start, end = _narrowest(day, keys)
    if start < end:
        again = (datetime.combine(day, time(), zone) + timedelta(minutes=start)).replace(fold=1).astimezone(UTC)
        yield from (moment for moment in (_moment(day, start, zone), again) if moment > now)


def _moment(day: date, minutes: int, zone: ZoneInfo) -> datetime:
    """The first moment (UTC) at which it is this late on this day, also where the clocks leave that time out."""
    local = datetime.combine(day, time(), zone) + timedelta(minutes=minutes)
    moment = min(local.replace(fold=fold).astimezone(UTC) for fold in (0, 1))
    while moment.astimezone(zone).replace(tzinfo=None) < local.replace(tzinfo=None):
        moment += timedelta(minutes=1)
    return moment


def _is_open(moment: datetime, zone: ZoneInfo, keys: Sequence[DayKeys]) -> bool:
    local = moment.astimezone(zone)
    start, end = _narrowest(local.date(), keys)
    return start <= local.hour * 60 + local.minute < end


def _zones(number: str, zone: str | None, fallback: str) -> tuple[Sequence[ZoneInfo], str]:
    """The zones that count, and where they are from in words."""
    if zone and (known := _known(zone.strip())):
        return [known], ""
    if found := [one for name in sorted(phone.zones(number)) if (one := _known(name))]:
        return found, ", by the number"
    return [ZoneInfo(fallback)], ", for want of a better zone"


@functools.lru_cache(maxsize=1024)
def _known(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None
