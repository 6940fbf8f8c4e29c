"""Long words that a stranger may choose are read in no time: a slow one would hold up the whole process."""

import time
from collections.abc import Callable

import pytest

from connector import masking, merge_syntax, phone


@pytest.mark.parametrize(
    ("read", "words", "answer"),
    [
        pytest.param(phone.e164, f"+1{' ' * 50_000}z", None, id="blanks in a number"),
        pytest.param(phone.e164, f"+1{' ' * 50_000}4155550132", "+14155550132", id="blanks in a good number"),
        pytest.param(phone.e164, f"{'1 ' * 25_000}z", None, id="digits with blanks between them"),
        pytest.param(phone.e164, f"{'1-' * 25_000}z", None, id="digits with dashes between them"),
        pytest.param(masking.masked, "a" * 300_000, "a" * 300_000, id="a word that is no address"),
        pytest.param(masking.masked, f"{'a' * 300_000}@example.com", "•••@example.com", id="a long address"),
        pytest.param(merge_syntax.form, "{" * 100_000, None, id="opening braces"),
        pytest.param(merge_syntax.form, "{%" * 50_000, None, id="opening statements"),
        pytest.param(merge_syntax.form, "{" + "!" * 100_000, None, id="exclamation marks"),
    ],
)
def test_long_words_take_no_time(read: Callable[[str], object], words: str, answer: object) -> None:
    begun = time.process_time()
    assert read(words) == answer
    assert time.process_time() - begun < 2
