"""The commands' page says what the commands say."""

import pytest

from tests.support import cli_docs


def test_the_page_is_what_help_says() -> None:
    assert cli_docs.PATH.read_text(encoding="utf-8") == cli_docs.pages(), "run: python -m tests.support.cli_docs"


@pytest.mark.parametrize("name", ["connector backfill", "connector backfill salesforce", "connector keys add"])
def test_help_has_examples(name: str) -> None:
    page = cli_docs.pages().split(f"\n## {name}\n")[1].split("\n## ")[0]
    assert page.count(f"{name} ") > 1


def test_help_fits_its_width() -> None:
    assert max(map(len, cli_docs.pages().splitlines())) <= 120
