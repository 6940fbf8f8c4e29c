"""Makes words that somebody else has written harmless where they are shown: on a terminal, in a log, in a spreadsheet.

They stay what they are in the database; only what a program would act upon is shown as a sign instead.
"""

import re

BLANKS = re.compile(r"[\t\n\r]+")
# Control characters, ESC among them; line and paragraph separators; what reverses the direction of writing; halves of
# characters.
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
# What JSON leaves as it is and a terminal may act upon.
LEFT_BY_JSON = re.compile("[\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
INSTEAD = "\N{REPLACEMENT CHARACTER}"
# What makes a spreadsheet take a field for a formula, in either width; and a number, which is none.
FORMULA = re.compile("\\s*[=+@＝＋－＠-]")
SIGNED_NUMBER = re.compile(r"[+-][0-9]+(?:\.[0-9]+)?")


def on_screen(words: str) -> str:
    """One line that nothing in a terminal acts upon."""
    return CONTROL.sub(INSTEAD, BLANKS.sub(" ", words))


def in_json(text: str) -> str:
    """JSON that says the same, without what a terminal may act upon."""
    return LEFT_BY_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def in_spreadsheet(value: object) -> object:
    """A field of a CSV that no spreadsheet calculates: an apostrophe before it says that it is text.

    A number with its sign, such as +14155550132, stays as it is. A field is one line: what comes after a line's end
    would begin a row, and a formula.
    """
    if not isinstance(value, str):
        return value
    line = on_screen(value)
    return f"'{line}" if FORMULA.match(line) and not SIGNED_NUMBER.fullmatch(line) else line
