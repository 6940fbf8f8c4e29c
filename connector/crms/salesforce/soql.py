"""Parse SOQL without cutting a quoted string: one tokenizer for every use.

https://developer.salesforce.com/docs/atlas.en-us.soql_sosl.meta/soql_sosl/sforce_api_calls_soql_select_quotedstringescapes.htm
"""

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass

from connector.errors import RefusalScope, Refused

TOKEN = re.compile(r"(?P<string>'(?:[^'\\]|\\.)*')|(?P<word>\w+)|(?P<comment>--|//|/\*)|(?P<sign>\S)", re.DOTALL)
# Clauses that may follow the condition of a query: the word, and a pattern for the next word.
CLAUSES = {
    "order": r"by",
    "group": r"by",
    "limit": r"\d+",
    "offset": r"\d+",
    "for": r"view|reference|update",
    "with": r"security_enforced|user_mode|system_mode|data",
    "all": r"rows",
    "having": r".*",
}


@dataclass(frozen=True, slots=True)
class Token:
    """A quoted string, a word in lower case, or a sign; with its position and its depth of parentheses.

    Both parentheses of a pair count as outside of it.
    """

    kind: str
    text: str
    start: int
    end: int
    depth: int


def condition(where: str) -> str:
    """Return the condition alone, which can be put in parentheses. Raises Refused with a description of the fault."""
    tokens = read(where)
    if tokens and tokens[0].text == "where":
        where, tokens = where[tokens[0].end :], tokens[1:]
    if not tokens:
        raise _refused("expected a condition, such as: Status = 'New'")
    if (place := _clause(tokens)) is not None:
        words = f"{tokens[place].text} {tokens[place + 1].text}".upper()
        raise _refused(f"{words} is no part of a condition: give the whole query instead (--query)")
    if any(token.text == ";" for token in tokens):
        raise _refused("a condition holds no semicolon")
    return where.strip()


def after_from(query: str, kind: str) -> str:
    """Return what follows FROM <kind> in a whole query for this kind of record. Raises Refused."""
    tokens = read(query)
    if tokens and tokens[-1].text == ";":
        query, tokens = query[: tokens[-1].start], tokens[:-1]
    place = next((at for at, token in enumerate(tokens) if token.kind == "word" and token.text == "from"), None)
    plain = place is not None and not any(token.text == "(" for token in tokens[:place])
    about = tokens[place + 1] if place is not None and len(tokens) > place + 1 else None
    if not plain or tokens[0].text != "select" or place == 1 or about is None or about.text != kind.lower():
        raise _refused(f"expected a query of {kind}: SELECT, names of fields, FROM {kind}, and the rest")
    if any(token.text == ";" for token in tokens):
        raise _refused("expected one query, without a semicolon in it")
    return query[about.end :].strip()


def without_order(rest: str) -> str:
    """Return the rest of a query without its ORDER BY, which a count does not accept. Its LIMIT stays."""
    tokens = read(rest)
    start = _clause(tokens, only="order")
    if start is None:
        return rest
    end = _clause(tokens[start + 1 :])
    behind = "" if end is None else rest[tokens[start + 1 + end].start :]
    return f"{rest[: tokens[start].start]}{behind}"


def read(text: str) -> list[Token]:
    """Return the tokens. Raises Refused for an unclosed quote or parenthesis, and for comments: SOQL has none."""
    tokens, depth = list[Token](), 0
    for found in TOKEN.finditer(text):
        kind = str(found.lastgroup)
        shown = found[0].lower() if kind == "word" else found[0]
        depth -= shown == ")"
        tokens.append(Token(kind, shown, found.start(), found.end(), depth))
        depth += shown == "("
        if shown == "'" or kind == "comment" or depth < 0:
            raise _refused(f"at character {found.start() + 1}: {_WRONG.get(shown, 'SOQL has no comments')}")
    if depth:
        raise _refused("a parenthesis is not closed")
    return tokens


_WRONG = {"'": "a quote is not closed", ")": "a parenthesis that was not opened"}


def _clause(tokens: Sequence[Token], only: str = "") -> int | None:
    """Return the position of the first clause outside of parentheses."""
    for place, (token, following) in enumerate(itertools.pairwise(tokens)):
        wanted = CLAUSES.get(token.text) if token.kind == "word" and token.depth == 0 else None
        if wanted and only in ("", token.text) and re.fullmatch(wanted, following.text, re.DOTALL):
            return place
    return None


def _refused(words: str) -> Refused:
    return Refused(f"the query cannot be read: {words}", RefusalScope.TICKET)
