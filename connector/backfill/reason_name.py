"""The name of a back-fill's own reason, such as "spring recall": one more reason to text the same cases again."""

import unicodedata

from connector.errors import BadSettings

MAX_CHARACTERS = 80


def checked(name: str | None) -> str | None:
    """Return the name without needless blanks; None stays None. Raises BadSettings.

    Capitals and blanks make no other reason: see mapping/rules.py.
    """
    if name is None:
        return None
    plain = " ".join(unicodedata.normalize("NFC", name).split())
    if not plain or len(plain) > MAX_CHARACTERS or not plain.isprintable():
        raise BadSettings(f"reason: expected a name of 1 to {MAX_CHARACTERS} characters, such as: spring recall")
    return plain
