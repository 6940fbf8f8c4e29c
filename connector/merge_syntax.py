"""Detect placeholders of other programs, such as {!Contact.FirstName}. They would be texted unchanged."""

import re

# The name of each form, as shown to people, and its pattern. None looks for its end without a limit from every place
# where it could begin: a message of opening braces alone would take minutes.
FORMS = {
    "{!…}": r"\{ ?![^{}\n]*\}",
    "{{…}}": r"\{\{.{0,200}?\}\}+",
    "{%…%}": r"\{%.{0,200}?%\}",
    "…}}": r"(?<![\w.])[\w.]+ ?\}\}",
    "${…}": r"\$\{[^{}\n]+\}",
    "{name}": r"\{ ?\$?[A-Za-z_][\w. :-]*\}",
    "[[…]]": r"\[\[[^\[\]\n]+\]\]",
    "[name]": r"\[(?:\w+[ _.]?)?(?:name|number)\]",
    "%%…%%": r"%%[^%\n]+%%",
    "%name%": r"(?<![\d%])%[A-Za-z_.]{2,}%",
    "<%…%>": r"<%.{0,200}?%>",
    "<<…>>": r"<<[^<>\n]+>>",
    "<name>": r"<(?:\w+[ _.]?)?(?:name|number)>",
    "«…»": r"«\w[\w.]*»",
    "*|…|*": r"\*\|[^|\n]+\|\*",
}
ANY = re.compile("|".join(f"({form})" for form in FORMS.values()), re.IGNORECASE)


def form(text: str) -> str | None:
    """Return the form of the first placeholder in a message; None: there is none."""
    found = ANY.search(text)
    return found and list(FORMS)[(found.lastindex or 1) - 1]


def found(text: str) -> str | None:
    """Return the first placeholder itself, for the author of a mapping file; None: there is none."""
    place = ANY.search(text)
    return place and place[0]
