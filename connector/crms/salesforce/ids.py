"""Record ids: 15 case-sensitive characters, and three more for systems that are not case-sensitive.

https://developer.salesforce.com/docs/atlas.en-us.object_reference.meta/object_reference/field_types.htm
"""

import re
import string

PATTERN = r"[a-zA-Z0-9]{15}(?:[a-zA-Z0-9]{3})?"
ID = re.compile(PATTERN)
# The message for anything else.
NO_ID = "this is no id of a Salesforce record: expected 15 or 18 letters and digits"
WRONG_CHECKSUM = (
    "this is no id of a Salesforce record: its last three characters do not fit the others; a character was changed, "
    "perhaps a capital letter by a spreadsheet"
)
# What people enter instead of an id, and the pattern that detects it.
CASE_NUMBER = re.compile(r"\d{1,14}")
A_NUMBER = (
    f"{NO_ID}; this looks like the number that people know the record by, and its id stands in the address of its page"
)
AN_ADDRESS = f"{NO_ID}; this looks like the address of its page, and the id is one part of it"
LETTERS = string.ascii_uppercase + "012345"
# The first three characters of the ids of standard objects. Those of custom objects differ between orgs.
# https://help.salesforce.com/s/articleView?id=000385203&type=1
PREFIXES = {
    "account": "001",
    "case": "500",
    "contact": "003",
    "lead": "00Q",
    "opportunity": "006",
    "task": "00T",
    "user": "005",
}


def long(identifier: str) -> str:
    """Return the 18 characters of an id of 15 or 18, so that a record has only one id here."""
    if len(identifier) != 15:
        return identifier
    groups = (identifier[:5], identifier[5:10], identifier[10:])
    capitals = (sum(1 << place for place, letter in enumerate(group) if letter.isupper()) for group in groups)
    return identifier + "".join(LETTERS[number] for number in capitals)


def problem(given: str, kind: str = "") -> str | None:
    """Return why no record (of this kind: "Case") can have this id; None: one may.

    The last three of 18 characters are a checksum of the others. Without this check, an id that a spreadsheet has put
    into lower case would be the id of another record.
    """
    if not ID.fullmatch(given):
        return A_NUMBER if CASE_NUMBER.fullmatch(given) else AN_ADDRESS if ".com/" in given else NO_ID
    if len(given) == 18 and long(given[:15]) != given:
        return WRONG_CHECKSUM
    prefix = PREFIXES.get(kind.lower(), given[:3])
    if given[:3] != prefix:
        return f"this is the id of another kind of record: that of a {kind} begins with {prefix}"
    return None
