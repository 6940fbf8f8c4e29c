"""Numbers on the command line that would pass every limit, or that no plan can keep."""

import pytest
from click.testing import CliRunner

from connector.cli import main

RUN = ("backfill", "run", "k7m2xq")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([*RUN, "--max-failed", "nan"], "expected a finite number"),
        ([*RUN, "--cooling-off", "nan"], "expected a finite number"),
        ([*RUN, "--cooling-off", "inf"], "86400"),
        ([*RUN, "--cooling-off", "1e12"], "86400"),
        ([*RUN, "--canary", "99999999999"], "100000"),
        (["audit", "trim", "--days", "nan"], "expected a finite number"),
        (["audit", "trim", "--days", "1e300"], "36500"),
    ],
)
def test_a_number_that_has_no_end_is_refused(arguments: list[str], words: str) -> None:
    done = CliRunner().invoke(main, arguments)

    assert (done.exit_code, words in done.output) == (2, True), done.output
