"""The tokens of a SOQL query: strings, times, dates, numbers, words and signs."""

import re
from collections.abc import Iterator

from connector.sandbox.crms.salesforce import errors

TOKEN = re.compile(
    r"""\s*(?:
        (?P<string>'(?:[^'\\]|\\.)*')
      | (?P<moment>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d))
      | (?P<date>\d{4}-\d\d-\d\d)
      | (?P<number>[+-]?\d+(?:\.\d+)?)
      | (?P<word>[A-Za-z_][\w.]*(?::\d+)?)
      | (?P<sign><=|>=|!=|<>|[=<>(),])
    )""",
    re.VERBOSE | re.DOTALL,
)


def tokens(text: str) -> Iterator[tuple[str, str]]:
    """Yield the kind of each token and its text. Raises MALFORMED_QUERY."""
    at, end = 0, len(text.rstrip())
    while at < end:
        match = TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            errors.malformed_query(f"line 1:{at} no viable alternative at character '{text[at:].lstrip()[:1]}'")
        yield match.lastgroup, match[match.lastgroup]
        at = match.end()
