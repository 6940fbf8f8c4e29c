"""Hours, by the recipient's clock."""

import re
import tomllib
import tracemalloc
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from connector import phone
from connector.policy import config, quiet_hours
from connector.policy.config import HoursKeys
from connector.policy.quiet_hours import Closed, Open

NEW_YORK, SAN_FRANCISCO, HAWAII = "+12125550100", "+14155552671", "+18085550100"
TEXAS = {"by_state": {"TX": {"open": "09:00-21:00", "sunday": "12:00-21:00"}}}
ALABAMA = {"open": "00:00-24:00", "by_state": {"AL": {"days_off": ["sunday"]}}}
PAGE = (Path(__file__).parent.parent.parent / "docs" / "hours.md").read_text(encoding="utf-8")


def at(text: str, zone: str = "UTC") -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


@pytest.mark.parametrize(
    ("number", "zone", "state", "now", "keys", "until"),
    [
        (NEW_YORK, None, None, "2026-06-02T08:00", {}, None),
        (NEW_YORK, None, None, "2026-06-02T07:59", {}, "2026-06-02T08:00"),
        (NEW_YORK, None, None, "2026-06-02T19:59", {}, None),
        (NEW_YORK, None, None, "2026-06-02T20:00", {}, "2026-06-03T08:00"),
        (SAN_FRANCISCO, None, None, "2026-06-02T10:59", {}, "2026-06-02T11:00"),
        (SAN_FRANCISCO, None, None, "2026-06-02T22:59", {}, None),
        (SAN_FRANCISCO, "America/New_York", None, "2026-06-02T08:00", {}, None),
        (SAN_FRANCISCO, "No/Where", None, "2026-06-02T08:00", {}, "2026-06-02T11:00"),
        (SAN_FRANCISCO, "../etc/passwd", None, "2026-06-02T08:00", {}, "2026-06-02T11:00"),
        (NEW_YORK, None, None, "2026-06-05T21:00", {"days_off": ["saturday", "sunday"]}, "2026-06-08T08:00"),
        (NEW_YORK, None, None, "2026-12-24T21:00", {"days_off": ["2026-12-25"]}, "2026-12-26T08:00"),
        (NEW_YORK, None, "tx", "2026-06-02T08:30", TEXAS, "2026-06-02T09:00"),
        (NEW_YORK, None, "TX", "2026-06-02T20:30", TEXAS, "2026-06-03T09:00"),
        (NEW_YORK, None, "TX", "2026-06-07T11:00", TEXAS, "2026-06-07T12:00"),
        (NEW_YORK, None, "NY", "2026-06-07T11:00", TEXAS, None),
        (NEW_YORK, None, " Tx ", "2026-06-02T08:30", TEXAS, "2026-06-02T09:00"),
        (NEW_YORK, None, "", "2026-06-02T08:30", TEXAS, None),
        # A state that names a day narrows that day only.
        (NEW_YORK, None, "AL", "2026-06-02T22:00", ALABAMA, None),
        (NEW_YORK, None, "AL", "2026-06-06T23:59", ALABAMA, None),
        (NEW_YORK, None, "AL", "2026-06-07T00:00", ALABAMA, "2026-06-08T00:00"),
        (NEW_YORK, " America/Los_Angeles ", None, "2026-06-02T10:59", {}, "2026-06-02T11:00"),
        (NEW_YORK, " ", None, "2026-06-02T08:00", {}, None),
        # Adak is an hour behind Anchorage, which is four behind New York: open from 8:00 in Adak to 20:00 in Anchorage.
        ("+19072345678", None, None, "2026-06-02T13:59", {}, "2026-06-02T14:00"),
        ("+19072345678", None, None, "2026-06-02T23:59", {}, None),
        ("+19072345678", None, None, "2026-06-03T00:00", {}, "2026-06-03T14:00"),
        (NEW_YORK, None, None, "2026-06-02T03:00", {"open": "00:00-24:00"}, None),
        # The clocks go forward at 2:00 on 2026-03-08, and back at 2:00 on 2026-11-01.
        (NEW_YORK, None, None, "2026-03-08T01:30", {"open": "02:30-20:00"}, "2026-03-08T03:00"),
        (NEW_YORK, None, None, "2026-03-07T21:00", {}, "2026-03-08T08:00"),
        (NEW_YORK, None, None, "2026-10-31T21:00", {}, "2026-11-01T08:00"),
    ],
)
def test_open_or_closed_until(
    number: str, zone: str | None, state: str | None, now: str, keys: dict[str, Any], until: str | None
) -> None:
    found = quiet_hours.check_hours(number, zone, state, at(now, "America/New_York"), HoursKeys(**keys))
    if until is None:
        assert isinstance(found, Open), found
    else:
        assert isinstance(found, Closed), found
        assert found.until == at(until, "America/New_York")


def test_where_the_clocks_go_back_it_may_open_twice() -> None:
    """1:30 comes at 5:30 UTC and again at 6:30."""
    keys = HoursKeys(open="01:30-01:45")
    between = quiet_hours.check_hours(NEW_YORK, None, None, at("2026-11-01T05:50"), keys)
    assert isinstance(between, Closed)
    assert between.until == at("2026-11-01T06:30")
    assert isinstance(quiet_hours.check_hours(NEW_YORK, None, None, at("2026-11-01T06:44"), keys), Open)


def test_the_pages_examples_are_hours() -> None:
    examples = [tomllib.loads(example) for example in re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)]
    assert len(examples) == 2
    for example in examples:
        HoursKeys(**example["policy"]["hours"])


def test_of_several_zones_the_strictest_wins() -> None:
    idaho = "+12085550100"  # in two zones
    morning, noon = at("2026-06-02T08:30", "America/Boise"), at("2026-06-02T14:30", "America/New_York")
    found = quiet_hours.check_hours(idaho, None, None, morning, HoursKeys())
    assert isinstance(found, Closed)
    assert found.until
    assert found.until == morning + timedelta(minutes=30)
    nowhere = quiet_hours.check_hours("+15005550100", None, None, noon, HoursKeys())
    assert isinstance(nowhere, Open)
    assert "for want of a better zone" in nowhere.why
    kansas = quiet_hours.check_hours("+17855550100", None, None, noon, HoursKeys())
    assert isinstance(kansas, Open)


def test_without_any_zone_the_mappings_own_counts_and_says_so() -> None:
    found = quiet_hours.check_hours("+8835100000", None, None, at("2026-06-02T05:00"), HoursKeys(zone="Europe/Berlin"))
    assert found.why == "it is 07:00 in Europe/Berlin, for want of a better zone; texts may leave from 08:00 to 20:00"


def test_what_never_opens_has_no_time() -> None:
    keys = HoursKeys(days_off=list(config.DAYS))
    assert quiet_hours.check_hours(NEW_YORK, None, None, at("2026-06-02T12:00"), keys) == Closed(
        "it is 08:00 in America/New_York, by the number; Tuesday, 2026-06-02, is a day off", None
    )


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"open": "8-20"}, "expected hours such as"),
        ({"open": "20:00-08:00"}, "end after they start"),
        ({"open": "08:00-24:30"}, "end after they start"),
        ({"open": 8}, "expected hours such as"),
        ({"days_off": ["someday"]}, "expected days such as"),
        ({"days_off": ["2026-13-01"]}, "expected days such as"),
        ({"zone": "Mars/Olympus"}, "expected an IANA time zone"),
        ({"by_state": {"TX": {"opens": "1"}}}, "opens"),
        ({"by_state": {"TX": {}, "tx": {}}}, '"tx" is there in another spelling'),
    ],
)
def test_bad_hours_are_refused_with_the_key(keys: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        HoursKeys(**keys)


@given(
    st.sampled_from([NEW_YORK, SAN_FRANCISCO, HAWAII, "+18005550100", "+17855550100", "+442079460000", "+1"]),
    st.sampled_from([None, "Asia/Kathmandu", "Australia/Lord_Howe", "America/St_Johns", "x"]),
    st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC)),
    st.sampled_from([{}, TEXAS, {"days_off": ["sunday"]}, {"open": "01:30-02:30"}, {"open": "23:00-24:00"}]),
)
def test_when_it_opens_it_is_open_and_not_a_minute_before(
    number: str, zone: str | None, now: datetime, keys: dict[str, Any]
) -> None:
    found = quiet_hours.check_hours(number, zone, "TX", now, HoursKeys(**keys))
    if isinstance(found, Closed) and found.until:
        assert now < found.until <= now + timedelta(days=15)
        assert isinstance(quiet_hours.check_hours(number, zone, "TX", found.until, HoursKeys(**keys)), Open)
        before = quiet_hours.check_hours(number, zone, "TX", found.until - timedelta(seconds=1), HoursKeys(**keys))
        assert isinstance(before, Closed)


@given(st.text(), st.none() | st.text(), st.none() | st.text(), st.datetimes(timezones=st.just(UTC)))
def test_whatever_the_crm_says_there_is_an_answer(
    number: str, zone: str | None, state: str | None, now: datetime
) -> None:
    """Away from the first and last days that there are."""
    now = now.replace(year=min(max(now.year, 2), 9998), day=min(now.day, 28))
    assert quiet_hours.check_hours(number, zone, state, now, HoursKeys(**TEXAS)).why


def test_a_look_at_numbers_of_a_kind_costs_no_memory() -> None:
    keys = HoursKeys()
    quiet_hours.check_hours(NEW_YORK, None, None, at("2026-06-02T12:00"), keys)
    tracemalloc.start()
    for _ in range(1000):
        quiet_hours.check_hours(NEW_YORK, None, None, at("2026-06-02T12:00"), keys)
    assert tracemalloc.get_traced_memory()[0] < 100_000
    tracemalloc.stop()


@pytest.mark.parametrize(
    ("area", "zones"),
    [
        ("270", {"America/Chicago", "America/New_York"}),
        ("423", {"America/Chicago", "America/New_York"}),
        ("850", {"America/Chicago", "America/New_York"}),
        ("212", {"America/New_York"}),
    ],
)
def test_an_area_code_in_two_zones_is_in_both_whatever_the_exchange(area: str, zones: set[str]) -> None:
    for exchange in (201, 555, 999):
        assert phone.zones(f"+1{area}{exchange}0100") == zones


def test_in_two_zones_it_opens_with_the_later_and_closes_with_the_earlier() -> None:
    kentucky = "+12705550100"
    early, late = at("2026-06-02T08:30", "America/New_York"), at("2026-06-02T20:30", "America/New_York")
    for now in (early, late):
        assert isinstance(quiet_hours.check_hours(kentucky, None, None, now, HoursKeys()), Closed)
    assert isinstance(quiet_hours.check_hours(kentucky, None, None, early + timedelta(minutes=30), HoursKeys()), Open)
