"""The benchmark itself: small, but with real processes."""

from pathlib import Path

import pytest

from tests.bench import scenarios
from tests.bench.figures import Aged, Drained, Idle, Pacer, compared, middle, most_within
from tests.bench.place import Place, Sizes


def test_no_text_is_doubled_and_the_connector_makes_fewer_crm_calls_than_the_naive_rival(
    server: str, tmp_path: Path
) -> None:
    place = Place(server, tmp_path, Sizes(accept=60, workers=2))
    with place.running("connector") as (one, there):
        connector = scenarios.drain(one, there, place.sizes.accept)
        assert len(one.parts["worker"]) == 2
    naive = scenarios.accept(place, "naive")
    assert connector.doubled == naive.doubled == 0
    assert naive.calls_per_1000 < 2000
    assert connector.calls_per_1000 < naive.calls_per_1000
    assert connector.cpu_ms.keys() >= {"web", "worker"}


@pytest.mark.parametrize(
    ("times", "most"),
    [
        ([], 0),
        ([5.0], 1),
        ([0.0, 0.5, 0.999], 3),
        ([0.0, 1.0, 2.0], 1),  # the end of a window is not in it
        ([0.0, 0.9, 1.0, 1.8, 1.9], 3),
        ([2.4, 0.0, 2.5, 2.6], 3),  # in any order
    ],
)
def test_the_most_within_any_second(times: list[float], most: int) -> None:
    assert most_within(times) == most


def test_of_several_rounds_each_figure_is_the_median_by_itself() -> None:
    rounds = [
        Drained(accepted_per_s=a, p50_ms=1, p99_ms=b, texts_per_s=1, calls_per_1000=1, doubled=0, cpu_ms={"web": a})
        for a, b in ((1, 9), (2, 7), (6, 8))
    ]
    found = middle(rounds)
    idle = Idle(answer_p50_ms=1, answer_max_ms=1, event_p50_ms=1, event_max_ms=1)
    turns = [Aged(old=5, accept=each, outbound=each, idle=idle) for each in rounds]
    assert middle(turns) == Aged(old=5, accept=found, outbound=found, idle=idle)
    assert (found.accepted_per_s, found.p99_ms, found.cpu_ms) == (2, 8, {"web": 2})
    assert middle(rounds[:1]) is rounds[0]


def test_what_is_measured_in_turns_is_compared_turn_by_turn() -> None:
    def turn(per_s: float) -> Pacer:
        return Pacer(promised=10, seconds=60, texts=0, per_s=per_s, most_in_a_second=10)

    # The machine slows down meanwhile: each turn's own ratio says what the medians of both hide.
    found = compared([turn(100), turn(50), turn(25)], [turn(100), turn(100), turn(20)])
    assert found["texts/s"] == (0.75, 1.0, 1.125)
    assert "texts in this time" not in found  # of nothing there is no share
