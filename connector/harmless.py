"""Neutralize untrusted text before it is shown on a terminal, in a log or in a spreadsheet.

The database keeps the original. Only characters that a program would act on are replaced, for display.
"""

import re

BLANKS = re.compile(r"[\t\n\r]+")
# Control characters, including ESC; line and paragraph separators; direction marks; lone surrogates.
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
# Characters that JSON does not escape and a terminal may act on.
LEFT_BY_JSON = re.compile("[\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
INSTEAD = "\N{REPLACEMENT CHARACTER}"
# The start of a formula in a spreadsheet, in ASCII and full width. A signed number is not a formula.
FORMULA = re.compile("\\s*[=+@＝＋－＠-]")
SIGNED_NUMBER = re.compile(r"[+-][0-9]+(?:\.[0-9]+)?")


def on_screen(words: str) -> str:
    """Return the text in one line, without characters that a terminal acts on."""
    return CONTROL.sub(INSTEAD, BLANKS.sub(" ", words))


def in_json(text: str) -> str:
    """Return equivalent JSON, without characters that a terminal may act on."""
    return LEFT_BY_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def in_spreadsheet(value: object) -> object:
    """Return a CSV field that no spreadsheet evaluates: an apostrophe before it marks it as text.

    A signed number, such as +14155550132, is unchanged. Line breaks become blanks: text after one would begin a new
    row, which could be a formula.
    """
    if not isinstance(value, str):
        return value
    line = on_screen(value)
    return f"'{line}" if FORMULA.match(line) and not SIGNED_NUMBER.fullmatch(line) else line
