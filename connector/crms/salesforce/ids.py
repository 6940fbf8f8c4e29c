"""Record ids: 15 characters that tell upper from lower case, and three more for systems that cannot.

https://developer.salesforce.com/docs/atlas.en-us.object_reference.meta/object_reference/field_types.htm
"""

import re
import string

PATTERN = r"[a-zA-Z0-9]{15}(?:[a-zA-Z0-9]{3})?"
ID = re.compile(PATTERN)
# What people are told about anything else.
NO_ID = "this is no id of a Salesforce record: expected 15 or 18 letters and digits"
LETTERS = string.ascii_uppercase + "012345"


def long(identifier: str) -> str:
    """The 18 characters of an id of 15 or 18: a record has one name here, whichever way it came."""
    if len(identifier) != 15:
        return identifier
    groups = (identifier[:5], identifier[5:10], identifier[10:])
    capitals = (sum(1 << place for place, letter in enumerate(group) if letter.isupper()) for group in groups)
    return identifier + "".join(LETTERS[number] for number in capitals)
