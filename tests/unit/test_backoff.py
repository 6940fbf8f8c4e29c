"""Pauses double, are bounded and jittered, and never fail however often something else does."""

import pytest

from connector import backoff


@pytest.mark.parametrize(("attempts", "seconds"), [(0, 2), (1, 4), (5, 64), (9, 600), (60, 600), (100_000, 600)])
def test_a_pause_doubles_up_to_the_longest_give_or_take_a_quarter(attempts: int, seconds: float) -> None:
    pauses = {backoff.doubling(attempts, 2, 600) for _ in range(50)}
    assert len(pauses) > 1
    assert all(0.75 * seconds <= pause <= 1.25 * seconds for pause in pauses)
