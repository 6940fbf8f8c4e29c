"""Segments, counted."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector import segments
from connector.segments import Size

CASES = json.loads((Path(__file__).parent / "fixtures" / "segments.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['encoding']} {case['units']} {case['text'][:12]!a}")
def test_the_table_that_the_page_and_the_action_are_held_to(case: dict[str, object]) -> None:
    assert segments.measure(str(case["text"])) == Size(case["encoding"], case["units"], case["segments"])


def slowly(message: str) -> Size:
    """The same, unit by unit."""
    gsm = all(one in segments.BASIC or one in segments.EXTENSION for one in message)
    pieces = [("e" + one if one in segments.EXTENSION else one) if gsm else [*one.encode("utf-16-be")][::2]
              for one in message]  # fmt: skip
    lone, each = (160, 153) if gsm else (70, 67)
    units = sum(map(len, pieces))
    filled = [0]
    for piece in pieces:
        if filled[-1] + len(piece) > (lone if units <= lone else each):
            filled.append(0)
        filled[-1] += len(piece)
    return Size("GSM-7" if gsm else "UCS-2", units, len(filled) if units else 0)


@given(st.lists(st.sampled_from(["a", "€", "[", "é", "ê", "😀", "\n"]), max_size=400).map("".join))
def test_counted_like_by_hand(message: str) -> None:
    assert segments.measure(message) == slowly(message)


def test_typographic_characters_become_plain_ones_and_letters_stay() -> None:
    assert segments.replace_typographic("“It’s” – 5…\u00a0€") == "\"It's\" - 5... €"
    assert segments.replace_typographic("Ærøskøbing, Łódź, Ελλάδα, 東京 👍") == "Ærøskøbing, Łódź, Ελλάδα, 東京 👍"
    assert segments.measure(segments.replace_typographic("’" * 200)).encoding == "GSM-7"
    for plain in map(str, segments.PLAIN.values()):
        assert set(plain) <= segments.BASIC
