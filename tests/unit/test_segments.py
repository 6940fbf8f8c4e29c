"""Segments, counted."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.policy import segments
from connector.policy.segments import Size

CASES = json.loads((Path(__file__).parent.parent / "fixtures" / "segments.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['encoding']} {case['units']} {case['text'][:12]!a}")
def test_the_table_that_the_page_and_the_action_are_held_to(case: dict[str, Any]) -> None:
    assert segments.measure(str(case["text"])) == Size(case["encoding"], case["units"], case["segments"])


def slowly(message: str) -> Size:
    """The same, unit by unit."""
    gsm = all(one in segments.BASIC or one in segments.EXTENSION for one in message)
    if gsm:
        pieces = ["e" + one if one in segments.EXTENSION else one for one in message]
    else:
        pieces = ["u" * (len(one.encode("utf-16-be", "surrogatepass")) // 2) for one in message]
    lone, each = (160, 153) if gsm else (70, 67)
    units = sum(map(len, pieces))
    filled = [0]
    for piece in pieces:
        if filled[-1] + len(piece) > (lone if units <= lone else each):
            filled.append(0)
        filled[-1] += len(piece)
    return Size("GSM-7" if gsm else "UCS-2", units, len(filled) if units else 0)


@pytest.mark.parametrize(
    ("message", "size"),
    [
        ("a" * 160, Size("GSM-7", 160, 1)),
        ("a" * 161, Size("GSM-7", 161, 2)),
        ("a" * 306, Size("GSM-7", 306, 2)),
        ("a" * 307, Size("GSM-7", 307, 3)),
        ("€" * 80, Size("GSM-7", 160, 1)),
        ("€" * 81, Size("GSM-7", 162, 2)),
        # 306 septets would fit two segments, if an escape could be left alone at the end of the first.
        ("a" * 152 + "€" + "a" * 152, Size("GSM-7", 306, 3)),
        ("a" * 151 + "€" + "a" * 153, Size("GSM-7", 306, 2)),
        ("ê" * 70, Size("UCS-2", 70, 1)),
        ("ê" * 71, Size("UCS-2", 71, 2)),
        ("ê" * 134, Size("UCS-2", 134, 2)),
        ("ê" * 135, Size("UCS-2", 135, 3)),
        ("😀" * 35, Size("UCS-2", 70, 1)),
        ("😀" * 36, Size("UCS-2", 72, 2)),
        # 67 is odd: 33 of them in each of several segments.
        ("😀" * 67, Size("UCS-2", 134, 3)),
        ("[" * 69 + "ê", Size("UCS-2", 70, 1)),
        ("\ud83d", Size("UCS-2", 1, 1)),
    ],
)
def test_at_the_edges(message: str, size: Size) -> None:
    assert segments.measure(message) == size
    assert slowly(message) == size


@given(st.lists(st.sampled_from(["a", "€", "[", "é", "ê", "😀", "\n"]), max_size=400).map("".join))
def test_counted_like_by_hand(message: str) -> None:
    assert segments.measure(message) == slowly(message)


def test_typographic_characters_become_plain_ones_and_letters_stay() -> None:
    assert segments.replace_typographic("“It’s” – 5…\u00a0€") == '"It\'s" - 5... €'
    assert segments.replace_typographic("Ærøskøbing, Łódź, Ελλάδα, 東京 👍") == "Ærøskøbing, Łódź, Ελλάδα, 東京 👍"
    words = "Col·legi, Hawaiʻi, می\u200cخواهم, 👨\u200d👩"
    assert segments.replace_typographic(words) == words
    assert segments.replace_typographic("5\u2009km,\u2007a\u202fb • c\u00ad") == "5 km, a b - c"
    assert segments.measure(segments.replace_typographic("’" * 200)).encoding == "GSM-7"
    for plain in map(str, segments.PLAIN.values()):
        assert set(plain) <= segments.BASIC


LOOKS_PLAIN = [
    "Jose\u0301",
    "I\u00b4m",
    "it`s",
    "O\u02bcbrien",
    "l\u02b9Est",
    "it\uff07s",
    "Ma\u0308rz",
]


@pytest.mark.parametrize("typed", LOOKS_PLAIN)
def test_what_looks_plain_leaves_in_one_alphabet(typed: str) -> None:
    leaves = segments.replace_typographic(typed * 20)
    assert segments.measure(leaves).encoding == "GSM-7"


def test_letters_of_a_language_stay_what_they_are() -> None:
    assert segments.replace_typographic("\u00e1\u00ed\u00fa a\u0301 \u00ea") == "\u00e1\u00ed\u00fa \u00e1 \u00ea"
    assert segments.composed("e\u0301\u2019") == "\u00e9\u2019", "quotes are a setting's"
