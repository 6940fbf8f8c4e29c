"""Decide when a customer may be texted, by the customer's own clock. Pure: the time is an argument.

Where several time zones are possible, the hours have to be open in each of them. Where the state is known and has hours
of its own, both the general and the state's hours have to be open.
"""

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from connector import phone
from connector.policy import config
from connector.policy.config import DayKeys, HoursKeys, Span

# Limit of the search for the next opening.
MAX_SEARCH = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class Open:
    why: str


@dataclass(frozen=True, slots=True)
class Closed:
    """The hours are closed. `until` in UTC; None: they do not open within two weeks. `zone`: the recipient's (IANA)."""

    why: str
    until: datetime | None
    zone: str = field(default="", compare=False)


def check_hours(number: str, zone: str | None, state: str | None, now: datetime, hours: HoursKeys) -> Open | Closed:
    """Decide whether the customer with this number (E.164) may be texted now.

    `zone` (IANA) and `state` are the CRM's values for the customer; an unknown zone counts as none.
    """
    zones, how = _zones(number, zone, hours.zone)
    keys = [hours, *filter(None, [hours.state(state)])]
    for one in zones:
        local = now.astimezone(one)
        start, end = _narrowest(local.date(), keys)
        if not start <= local.hour * 60 + local.minute < end:
            where = f"{local:%H:%M} in {one.key}{how}"
            return Closed(f"it is {where}; {_in_words(start, end, local)}", _opening(now, zones, keys), one.key)
    return Open(f"it is {now.astimezone(zones[0]):%H:%M} in {zones[0].key}{how}")


def _in_words(start: int, end: int, local: datetime) -> str:
    if (start, end) == config.NEVER or start >= end:
        return f"{local:%A}, {local:%Y-%m-%d}, is a day off"
    return f"texts may leave from {_clock(start)} to {_clock(end)}"


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


def _narrowest(day: date, keys: Sequence[DayKeys]) -> Span:
    spans = [one.of(day) for one in keys]
    if config.NEVER in spans:
        return config.NEVER
    return max(start for start, _ in spans), min(end for _, end in spans)


def _opening(now: datetime, zones: Sequence[ZoneInfo], keys: Sequence[DayKeys]) -> datetime | None:
    """Return the next time at which the hours are open in every zone. It is an opening time of one of them."""
    for ahead in range(MAX_SEARCH.days + 1):
        opens = sorted({moment for zone in zones for moment in _opens(now, zone, ahead, keys)})
        for moment in opens:
            if all(_is_open(moment, zone, keys) for zone in zones):
                return moment
    return None


def _opens(now: datetime, zone: ZoneInfo, ahead: int, keys: Sequence[DayKeys]) -> Iterator[datetime]:
    """Yield the opening time in this zone so many days from now, if there is one and it is still to come.

    There are two where the clocks go back over that time.
    """
    day = now.astimezone(zone).date() + timedelta(days=ahead)
    start, end = _narrowest(day, keys)
    if start < end:
        again = (datetime.combine(day, time(), zone) + timedelta(minutes=start)).replace(fold=1).astimezone(UTC)
        yield from (moment for moment in (_moment(day, start, zone), again) if moment > now)


def _moment(day: date, minutes: int, zone: ZoneInfo) -> datetime:
    """Return the first time (UTC) at which it is this late on this day, even where the clocks skip that time."""
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
    """Return the zones that count, and their source in words."""
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
