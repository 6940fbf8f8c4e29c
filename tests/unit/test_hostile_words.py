"""Long words that a stranger may choose are read in no time: a slow one would hold up the whole process."""

import time
from collections.abc import Callable

import pytest

from connector import masking, merge_syntax, phone
from connector.errors import BadMapping
from connector.mapping import loader


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


@pytest.mark.parametrize(
    "draft",
    [
        pytest.param("a = " + "[" * 60_000, id="arrays"),
        pytest.param("a = " + "{a = " * 10_000, id="tables"),
        pytest.param(".".join("a" * 30_000) + " = 1", id="parts of a key"),
        pytest.param("a = 1" + "0" * 60_000, id="digits"),
        pytest.param('a = """' + "\n" * 60_000 + '"""', id="lines of a text"),
        pytest.param("[fields]\n" + "".join(f"a{at} = 'A'\n" for at in range(4_000)), id="names"),
    ],
)
def test_a_hostile_mapping_file_is_refused_in_no_time(draft: str) -> None:
    begun = time.process_time()
    with pytest.raises(BadMapping):
        loader.loads(draft.encode(), "draft.toml")
    assert time.process_time() - begun < 10
