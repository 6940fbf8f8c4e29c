"""The times that texts are scheduled for, as programs and people write them."""

import contextlib
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector import send_at
from connector.errors import BadTime

NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
NEW_YORK = "America/New_York"


@pytest.mark.parametrize(
    "written",
    [
        "2026-11-27T09:30:00-05:00",
        "2026-11-27T14:30:00Z",
        "2026-11-27t14:30:00.000z",
        "2026-11-27 14:30Z",
        "2026-11-27T14:30:00.000+0000",
    ],
)
def test_a_time_with_an_offset_is_that_time_in_utc(written: str) -> None:
    assert send_at.parse(written) == datetime(2026, 11, 27, 14, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    "written",
    [
        *("", "tomorrow", "2026-11-27", "2026-11-27T09:30:00", "2026-11-27T09:30:00 EST", "2026-02-30T09:30:00Z"),
        *(
            "2026-11-27T25:00:00Z",
            "0001-01-01T00:00:00+14:00",
            "9999-12-31T23:59:59-12:00",
            "2026-11-27T09:30:00+99:00",
        ),
        "٢٠٢٦-11-27T09:30:00Z",
    ],
)
def test_anything_else_is_refused_with_an_example(written: str) -> None:
    with pytest.raises(BadTime, match="such as 2026-11-27T09:30:00-05:00"):
        send_at.parse(written)


@given(st.text(max_size=40))
def test_no_text_does_anything_but_parse_or_be_refused(written: str) -> None:
    with contextlib.suppress(BadTime):
        assert send_at.parse(written).tzinfo is UTC


def test_a_day_and_a_time_are_taken_in_the_zone() -> None:
    assert send_at.local("2026-11-27", "09:30", NEW_YORK) == datetime(2026, 11, 27, 14, 30, tzinfo=UTC)
    assert send_at.local("2026-07-01", "09:30", NEW_YORK) == datetime(2026, 7, 1, 13, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("day", "time", "words"),
    [
        ("2026-11-01", "01:30", "01:30 comes twice on 2026-11-01 in America/New_York, because the clocks go back"),
        (
            "2027-03-14",
            "02:30",
            "02:30 does not exist on 2027-03-14 in America/New_York",
        ),
        ("", "09:30", "expected a date and a time of day"),
        ("2026-11-27", "", "expected a date and a time of day"),
        ("2026-11-27", "09:30Z", "expected a date and a time of day"),
        ("9999-12-31", "23:59", "expected a date and a time of day"),
    ],
)
def test_a_local_time_that_is_none_or_two_is_refused(day: str, time: str, words: str) -> None:
    with pytest.raises(BadTime) as refused:
        send_at.local(day, time, NEW_YORK)
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("at", "words"),
    [
        (NOW - timedelta(seconds=61), "expected a time that is still to come"),
        (NOW + timedelta(days=30, seconds=1), "expected a time within the next 30 days"),
        (NOW - timedelta(seconds=59), ""),
        (NOW + timedelta(days=30), ""),
    ],
)
def test_a_time_is_neither_over_nor_too_far_ahead(at: datetime, words: str) -> None:
    if not words:
        send_at.check(at, NOW, 30)
        return
    with pytest.raises(BadTime, match=words):
        send_at.check(at, NOW, 30)
