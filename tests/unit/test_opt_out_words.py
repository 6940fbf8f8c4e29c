"""What a message means, sentence by sentence. The sentences are in opt_out_sentences.toml, by language and class."""

import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.policy import opt_out_words
from connector.policy.opt_out_words import ExtraWords, OptOutClass, classify
from connector.policy.opt_outs import OptOut, Source, business_days_after

LANGUAGES = tomllib.loads(Path(__file__).with_name("opt_out_sentences.toml").read_text(encoding="utf-8"))
SENTENCES = [
    pytest.param(sentence, OptOutClass(name), id=f"{language} {name}: {sentence!r}")
    for language, classes in LANGUAGES.items()
    for name, sentences in classes.items()
    for sentence in sentences
]


def test_there_are_enough_sentences_in_every_class_of_every_language() -> None:
    assert len(SENTENCES) >= 300
    assert {name for classes in LANGUAGES.values() for name in classes} == set(OptOutClass)
    assert all(set(classes) == set(OptOutClass) for classes in LANGUAGES.values())


@pytest.mark.parametrize(("sentence", "meaning"), SENTENCES)
def test_a_sentence_has_its_meaning(sentence: str, meaning: OptOutClass) -> None:
    assert classify(sentence) is meaning


@pytest.mark.parametrize("word", sorted(opt_out_words.PLATFORM_WORDS | {"REVOKE"}))
def test_the_words_of_the_platform_and_the_law_are_certain(word: str) -> None:
    assert classify(word) is classify(word.lower()) is OptOutClass.CERTAIN


def test_the_lists_are_in_the_form_that_messages_are_compared_in() -> None:
    entries = opt_out_words.OPT_OUT | opt_out_words.OPT_IN
    assert [entry for entry in entries if opt_out_words.plain(entry) != entry] == []
    assert opt_out_words.OPT_OUT.isdisjoint(opt_out_words.OPT_IN)


def test_a_mapping_adds_words_in_any_spelling() -> None:
    extra = ExtraWords(("Basta ya",), ("Dale",))
    assert classify("¡BASTA YA!") is OptOutClass.PROBABLE
    assert classify("¡BASTA YA!", extra) is OptOutClass.CERTAIN
    assert classify("dale.", extra) is OptOutClass.START
    assert classify("basta ya de facturas", extra) is OptOutClass.NO


@pytest.mark.parametrize(
    ("words", "acts"),
    [("STOP", True), ("stop", True), ("Quit", True), ("STOP.", False), (" STOP", False), ("REVOKE", False)],
)
def test_the_platform_acts_on_its_words_without_another_character(words: str, acts: bool) -> None:
    assert opt_out_words.platform_acts(words) is acts


@given(st.text(alphabet="stop dontexme ya,.!?😂\u200b", max_size=60))
def test_any_message_has_a_class(words: str) -> None:
    assert classify(words) in OptOutClass


@pytest.mark.parametrize(
    "words",
    ["stop " * 20_000, "don't send me any more " * 5_000, "remove me from the " * 5_000, "no me manden mas " * 5_000],
)
def test_a_very_long_message_is_classified_quickly(words: str) -> None:
    """Only its beginning is read."""
    began = datetime.now(UTC)
    classify(words)
    assert datetime.now(UTC) - began < timedelta(seconds=1)


def test_an_opt_out_at_the_end_of_a_long_message_is_found() -> None:
    assert (
        classify("I have told you about my order many times. " * 30 + "Do not text me again.") is OptOutClass.PROBABLE
    )


FRIDAY = datetime(2026, 11, 27, 15, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("at", "days", "later"),
    [
        (FRIDAY, 2, datetime(2026, 12, 1, 15, 30, tzinfo=UTC)),
        (FRIDAY + timedelta(days=1), 2, datetime(2026, 12, 1, 15, 30, tzinfo=UTC)),
        (FRIDAY - timedelta(days=4), 2, datetime(2026, 11, 25, 15, 30, tzinfo=UTC)),
        (FRIDAY, 10, datetime(2026, 12, 11, 15, 30, tzinfo=UTC)),
    ],
)
def test_business_days_leave_out_saturday_and_sunday(at: datetime, days: int, later: datetime) -> None:
    assert business_days_after(at, days) == later


@pytest.mark.parametrize("source", Source)
def test_every_source_says_why_and_when(source: Source) -> None:
    assert "2026-11-27 15:30 UTC" in OptOut(source, FRIDAY).why
    assert OptOut(Source.WORD, FRIDAY, "STOP").why == "the customer replied STOP on 2026-11-27 15:30 UTC"
