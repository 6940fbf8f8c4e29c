"""What was typed on the page for agents, and what is known of it."""

import pytest

from webhooks.agent_page import forms
from webhooks.api import schemas


@pytest.mark.parametrize(
    ("typed", "leaves", "expected"),
    [
        ("Hi", "Halden: Hi STOP ends", ("Halden: ", " STOP ends")),
        ("“Hi”", 'Halden: "Hi"', ("Halden: ", "")),
        ("Hi", "Hi", ("", "")),
        ("", "", ("", "")),
        ("Hi", "", ("", "")),
        (None, "Hi", ("", "")),
    ],
)
def test_what_is_put_around_the_words_is_known_to_the_script(
    typed: str | None, leaves: str, expected: tuple[str, str]
) -> None:
    seen = schemas.Preview(
        crm="x",
        ticket_id="1",
        message=leaves,
        segments_most=4,
        allowed=True,
        overridable=True,
        findings=[],
        templates=[],
        after=0,
    )
    assert forms.around(seen, forms.Draft(typed)) == expected
