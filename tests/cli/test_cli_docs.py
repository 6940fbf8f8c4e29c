"""The commands' page says what the commands say."""

import subprocess
import sys

import pytest

from tests.support import cli_docs

# In a process of its own: a command that another test has called keeps the help options of that call.
PRINT = "from tests.support import cli_docs; print(cli_docs.pages(), end='')"


def test_the_page_is_what_help_says() -> None:
    made = subprocess.run(
        [sys.executable, "-c", PRINT], cwd=cli_docs.PATH.parent.parent, capture_output=True, check=True
    )
    assert cli_docs.PATH.read_bytes() == made.stdout, "run: python -m tests.support.cli_docs"


@pytest.mark.parametrize("name", ["connector backfill", "connector backfill salesforce", "connector keys add"])
def test_help_has_examples(name: str) -> None:
    page = cli_docs.pages().split(f"\n## {name}\n")[1].split("\n## ")[0]
    assert page.count(f"{name} ") > 1


def test_help_fits_its_width() -> None:
    assert max(map(len, cli_docs.pages().splitlines())) <= 120
