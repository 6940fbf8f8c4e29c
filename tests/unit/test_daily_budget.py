"""The daily budget's arithmetic, its keys in the mapping file, and what is refused at start."""

from collections.abc import Mapping as Values
from datetime import UTC, datetime
from typing import Any

import pytest

from connector.errors import BadMapping
from connector.mapping import daily_budgets, loader
from connector.mapping.rules import Mapping
from connector.policy import daily_budget
from connector.policy.config import DailyBudgetKeys
from connector.policy.daily_budget import Budget, Use
from tests.unit.test_mapping_rules import RAW, mapping

NUMBER, OTHER = "+16285550100", "+16285550199"
BUDGET = Budget(10, "texts", "America/New_York", 0.8)


def with_budget(keys: Values[str, Any], **top: Any) -> Mapping:
    return mapping(policy={"daily_budget": keys}, **top)


@pytest.mark.parametrize(
    ("limit", "share", "part"), [(10, 0.8, 8), (2000, 0.8, 1600), (100, 0.29, 29), (3, 0.5, 1), (7, 1, 7)]
)
def test_the_batches_part_is_in_whole_units(limit: int, share: float, part: int) -> None:
    budget = Budget(limit, "texts", "UTC", share)
    assert (budget.limit_of(batch=True), budget.limit_of(batch=False)) == (part, limit)


@pytest.mark.parametrize(
    ("used", "need", "days"), [(0, 8, 1), (0, 9, 2), (0, 16, 2), (0, 17, 3), (8, 8, 1), (6, 10, 2), (10, 0, 0)]
)
def test_the_days_of_a_back_fill_begin_with_todays_room(used: int, need: int, days: int) -> None:
    assert BUDGET.days(Use(used, used), need) == days


@pytest.mark.parametrize(
    ("zone", "now", "begins"),
    [
        ("America/New_York", datetime(2026, 6, 3, 3, 59, tzinfo=UTC), datetime(2026, 6, 3, 4, 0, tzinfo=UTC)),
        ("America/New_York", datetime(2026, 6, 3, 4, 0, tzinfo=UTC), datetime(2026, 6, 4, 4, 0, tzinfo=UTC)),
        ("America/New_York", datetime(2026, 11, 1, 12, 0, tzinfo=UTC), datetime(2026, 11, 2, 5, 0, tzinfo=UTC)),
        # The clocks skip midnight: the day begins at 1:00.
        ("Africa/Cairo", datetime(2026, 4, 23, 12, 0, tzinfo=UTC), datetime(2026, 4, 23, 22, 0, tzinfo=UTC)),
    ],
)
def test_the_next_day_begins_at_midnight_in_the_zone(zone: str, now: datetime, begins: datetime) -> None:
    budget = Budget(10, "texts", zone, 0.8)
    assert budget.next_day(now) == begins
    assert budget.day(begins) > budget.day(now)


def test_a_number_has_its_own_budget_or_else_the_general_one() -> None:
    keys = DailyBudgetKeys.model_validate({"texts": 10, "by_number": {OTHER: {"segments": 60}}})
    assert daily_budget.of(keys, NUMBER) == BUDGET
    assert daily_budget.of(keys, OTHER) == Budget(60, "segments", "America/New_York", 0.8)
    assert daily_budget.of(None, NUMBER) is None


@pytest.mark.parametrize(
    ("keys", "fault"),
    [
        ({}, "policy.daily_budget: expected a limit: texts or segments, such as: texts = 2000"),
        ({"texts": 5, "segments": 9}, "policy.daily_budget: expected either texts or segments, such as: texts = 2000"),
        ({"texts": 0}, "policy.daily_budget.texts: expected at least 1"),
        ({"texts": "many"}, "policy.daily_budget.texts: expected a whole number"),
        ({"texts": 5, "zone": "EST5"}, 'policy.daily_budget.zone: expected an IANA time zone, such as "America'),
        ({"texts": 5, "batch_share": 0}, "policy.daily_budget.batch_share: expected more than 0"),
        ({"texts": 5, "batch_share": 1.5}, "policy.daily_budget.batch_share: expected at most 1"),
        ({"texts": 5, "by_number": {"415": {"texts": 1}}}, 'expected a number in E.164, such as "+16285550199"'),
        ({"texts": 5, "by_number": {NUMBER: {}}}, "expected either texts or segments, such as: texts = 2000"),
        ({"messages": 5}, "policy.daily_budget.messages: this key is not known"),
    ],
)
def test_wrong_keys_are_refused_with_what_was_expected(keys: Values[str, Any], fault: str) -> None:
    with pytest.raises(BadMapping) as refused:
        loader.parse(RAW | {"policy": {"daily_budget": keys}}, "a.toml")
    assert fault in str(refused.value)


@pytest.mark.parametrize(
    ("keys", "fault"),
    [
        ({"texts": 9, "by_number": {OTHER: {"texts": 9}}}, "is never used: expected an outbound number of this file"),
        ({"texts": 1}, "leaves 0 of 1 texts to batches"),
        ({"segments": 4}, "leaves 3 of 4 segments to batches"),
    ],
)
def test_a_budget_that_is_never_used_or_never_met_is_refused(keys: Values[str, Any], fault: str) -> None:
    with pytest.raises(BadMapping) as refused:
        daily_budgets.of({"a.toml": with_budget(keys)})
    assert fault in str(refused.value)
    assert NUMBER not in str(refused.value)


def test_two_files_share_the_budget_of_a_number_and_may_not_contradict_each_other() -> None:
    limited, without = with_budget({"texts": 10}), mapping()
    assert daily_budgets.of({"a.toml": limited, "b.toml": without}) == {NUMBER: BUDGET}
    assert daily_budgets.of({"a.toml": limited, "b.toml": limited}) == {NUMBER: BUDGET}
    with pytest.raises(BadMapping) as refused:
        daily_budgets.of({"a.toml": limited, "b.toml": with_budget({"texts": 20})})
    assert str(refused.value).startswith("b.toml: policy.daily_budget: another mapping file has a different budget")
