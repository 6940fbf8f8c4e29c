"""The words of a search for texts."""

import contextlib
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector import text_query
from connector.errors import RefusalCode
from connector.model import Channel, State
from connector.store.text_search import Only, Search
from connector.text_query import BadQuery

CASE = "5003t00002AbCdEAAV"


@pytest.mark.parametrize(
    ("words", "search"),
    [
        ("", Search()),
        ("state:failed", Search(state=State.FAILED)),
        ("STATE:Failed  channel:batch", Search(state=State.FAILED, channel=Channel.BATCH)),
        (f"ticket:{CASE}", Search(ticket=CASE)),
        (f"case:{CASE[:15]}", Search(ticket=CASE)),
        (CASE, Search(ticket=CASE)),
        ("+1 415", None),
        ("+14155550132", Search(number="+14155550132")),
        ("phone:+14155550132", Search(number="+14155550132")),
        ('phone:"+1 (415) 555-0132"', Search(number="+14155550132")),
        ("phone:4155550132", None),
        ("17", Search(text=17)),
        ("#17", Search(text=17)),
        ("text:17 state:sent", Search(text=17, state=State.SENT)),
        ("chat:9001", Search(chat="9001")),
        ("chat:x", None),
        ("chat:0", None),
        ("chat:99999999999999999999", None),
        ("rule:requested", Search(rule="requested")),
        ('agent:"Ada Agent"', Search(agent="Ada Agent")),
        ("agent:ada@example.com", Search(agent="ada@example.com")),
        ("code:non_us_number", Search(code=RefusalCode.NON_US_NUMBER)),
        ("is:waiting", Search(only=Only.WAITING)),
        ("is:held", Search(only=Only.HELD)),
        ("is:not-written state:failed", Search(not_written=True, state=State.FAILED)),
        ("is:nice", None),
        ("state:", None),
        ('state:""', None),
        ("state:failed state:sent", None),
        ("case:5003t00002AbCdE ticket:5003t00002AbCdEAAV", None),
        ("stat:failed", None),
        ("failed", None),
        ('agent:"Ada', None),
        ("since:2026-11-24", Search(since=datetime(2026, 11, 24, tzinfo=UTC))),
        ("until:2026-11-24", Search(until=datetime(2026, 11, 25, tzinfo=UTC))),
        ("since:2026-11-24T16:00Z", Search(since=datetime(2026, 11, 24, 16, tzinfo=UTC))),
        ("since:2026-11-24T16:00-05:00", Search(since=datetime(2026, 11, 24, 21, tzinfo=UTC))),
        ("since:2026-11-24T16:00", Search(since=datetime(2026, 11, 24, 16, tzinfo=UTC))),
        ("since:yesterday", None),
        ("since:2026-11-25 until:2026-11-24", None),
        ("until:9999-12-31", None),
        ("a" * 501, None),
    ],
)
def test_words_mean_a_search(words: str, search: Search | None) -> None:
    if search is None:
        with pytest.raises(BadQuery):
            text_query.parse(words)
    else:
        parsed = text_query.parse(words)
        assert parsed.crms
        assert parsed == Search(**{name: getattr(search, name) for name in search.__slots__} | {"crms": parsed.crms})


def test_a_date_is_one_of_the_zone() -> None:
    parsed = text_query.parse("since:2026-11-24 until:2026-11-24", ZoneInfo("America/New_York"))

    assert (parsed.since, parsed.until) == (
        datetime(2026, 11, 24, 5, tzinfo=UTC),
        datetime(2026, 11, 25, 5, tzinfo=UTC),
    )


@given(st.text(max_size=60))
def test_any_words_are_a_search_or_a_clear_problem(words: str) -> None:
    with contextlib.suppress(BadQuery):
        assert isinstance(text_query.parse(words), Search)
