"""Placeholders of other programs, such as {!Contact.FirstName}: nothing here fills them in, so they would be texted."""

import re

# How each form is shown to people, and what it looks like.
FORMS = {
    "{!…}": r"\{!+[^{}\n]*\}",
    "{{…}}": r"\{\{.*?\}\}+",
    "{%…%}": r"\{%.*?%\}",
    "${…}": r"\$\{[^{}\n]+\}",
    "{name}": r"\{[A-Za-z_][\w. :]*\}",
    "[[…]]": r"\[\[[^\[\]\n]+\]\]",
    "[name]": r"\[(?:\w+[ _.]?)?(?:name|number)\]",
    "%%…%%": r"%%[^%\n]+%%",
    "%name%": r"(?<![\d%])%[A-Za-z_.]{2,}%",
    "<<…>>": r"<<[^<>\n]+>>",
    "<name>": r"<(?:\w+[ _.]?)?(?:name|number)>",
    "«…»": r"«\w[\w.]*»",
    "*|…|*": r"\*\|[^|\n]+\|\*",
}
ANY = re.compile("|".join(f"({form})" for form in FORMS.values()), re.IGNORECASE)


def form(text: str) -> str | None:
    """The form of the first placeholder in a text that is about to leave; None: there is none."""
    found = ANY.search(text)
    return found and list(FORMS)[(found.lastindex or 1) - 1]


def found(text: str) -> str | None:
    """The first placeholder itself, for the author of a mapping file; None: there is none."""
    place = ANY.search(text)
    return place and place[0]
