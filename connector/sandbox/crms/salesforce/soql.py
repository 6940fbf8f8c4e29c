"""A parser for the part of SOQL that a connector uses. Returns a `Query`; raises MALFORMED_QUERY."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from connector.sandbox.crms.salesforce import errors, soql_tokens

ESCAPES = {"n": "\n", "N": "\n", "r": "\r", "R": "\r", "t": "\t", "T": "\t", "b": "\b", "f": "\f"}
SIGNS = {"=": "=", "!=": "!=", "<>": "!=", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
CONSTANTS = {"null": None, "true": True, "false": False}
RESERVED = frozenset({"and", "or", "not", "in", "like", "from", "where", "order", "limit", "offset", "select"})


@dataclass(frozen=True, slots=True)
class Period:
    """A date literal such as TODAY or LAST_N_DAYS:7: from `start`, up to but excluding `end`."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Comparison:
    """`path` against a value, or a list of values for `in` and `not in`. `quoted`: written as a string."""

    path: str
    sign: str
    value: Any
    quoted: bool


@dataclass(frozen=True, slots=True)
class Combination:
    """`and` or `or` of several conditions, or `not` of one."""

    word: str
    parts: tuple["Condition", ...]


Condition = Comparison | Combination


@dataclass(frozen=True, slots=True)
class Order:
    path: str
    descending: bool
    nulls_last: bool


@dataclass(frozen=True, slots=True)
class Query:
    """A SELECT. Empty `paths`: COUNT()."""

    paths: tuple[str, ...]
    thing: str
    where: Condition | None
    orders: tuple[Order, ...]
    limit: int | None
    offset: int


def parse(text: str, now: datetime) -> Query:
    """Parse a query. `now` is the reference for TODAY and similar literals. Raises MALFORMED_QUERY."""
    return _Parser(text, now).query()


class _Parser:
    """Recursive descent over the tokens. `self._at` is the index of the next one."""

    def __init__(self, text: str, now: datetime) -> None:
        self._now = now
        self._tokens = list(soql_tokens.tokens(text))
        self._at = 0

    def query(self) -> Query:
        self._expect("select")
        paths = self._paths()
        self._expect("from")
        thing = self._name()
        where = self._any() if self._skip("where") else None
        orders = self._orders() if self._skip("order") else ()
        limit = self._count() if self._skip("limit") else None
        offset = self._count() if self._skip("offset") else 0
        if self._skip("for") and self._name().lower() not in ("view", "reference", "update"):
            errors.malformed_query("FOR needs VIEW, REFERENCE or UPDATE")
        if self._at < len(self._tokens):
            errors.malformed_query(f"unexpected token: '{self._tokens[self._at][1]}'")
        return Query(paths, thing, where, orders, limit, offset)

    def _paths(self) -> tuple[str, ...]:
        if self._peek() == "count" and self._tokens[self._at + 1 : self._at + 3] == [("sign", "("), ("sign", ")")]:
            self._at += 3
            return ()
        paths = [self._name()]
        while self._skip(","):
            paths.append(self._name())
        return tuple(dict.fromkeys(paths))

    def _any(self) -> Condition:
        first = self._part()
        word = self._peek()
        if word not in ("and", "or"):
            return first
        parts = [first]
        while self._skip(word):
            parts.append(self._part())
        if self._peek() in ("and", "or"):
            errors.malformed_query(f"unexpected token: '{self._peek()}': AND and OR need parentheses between them")
        return Combination(word, tuple(parts))

    def _part(self) -> Condition:
        if self._skip("not"):
            return Combination("not", (self._part(),))
        if self._skip("("):
            inner = self._any()
            self._expect(")")
            return inner
        return self._comparison()

    def _comparison(self) -> Comparison:
        path = self._name()
        negated = self._skip("not")
        if self._skip("in"):
            values = self._values()
            quoted = any(kind == "string" for kind, _ in values)
            return Comparison(path, "not in" if negated else "in", [value for _, value in values], quoted)
        if negated:
            errors.malformed_query(f"unexpected token: 'not' after '{path}'")
        if self._skip("like"):
            kind, value = self._value()
            return Comparison(path, "like", value, kind == "string")
        token = self._next()
        if token[1] not in SIGNS:
            errors.malformed_query(f"unexpected token: '{token[1]}'")
        kind, value = self._value()
        return Comparison(path, SIGNS[token[1]], value, kind == "string")

    def _values(self) -> list[tuple[str, Any]]:
        self._expect("(")
        values = [self._value()]
        while self._skip(","):
            values.append(self._value())
        self._expect(")")
        return values

    def _value(self) -> tuple[str, Any]:
        kind, text = self._next()
        if kind == "string":
            return kind, re.sub(r"\\(.)", lambda match: ESCAPES.get(match[1], match[1]), text[1:-1], flags=re.DOTALL)
        if kind == "number":
            return kind, float(text)
        if kind == "moment":
            return kind, datetime.fromisoformat(text).astimezone(UTC)
        if kind == "date":
            return kind, _day(datetime.combine(date.fromisoformat(text), datetime.min.time(), UTC))
        if text.lower() in CONSTANTS:
            return "constant", CONSTANTS[text.lower()]
        return "period", self._period(text)

    def _period(self, text: str) -> Period:
        word, _, count = text.upper().partition(":")
        today = self._now.replace(hour=0, minute=0, second=0, microsecond=0)
        days = timedelta(days=int(count or 1))
        known = {
            "TODAY": (today, today + timedelta(days=1)),
            "YESTERDAY": (today - timedelta(days=1), today),
            "TOMORROW": (today + timedelta(days=1), today + timedelta(days=2)),
            "LAST_N_DAYS": (today - days, today + timedelta(days=1)),
            "NEXT_N_DAYS": (today + timedelta(days=1), today + timedelta(days=1) + days),
        }
        if word not in known or word.endswith("_N_DAYS") != bool(count):
            errors.malformed_query(f"unexpected token: '{text}'")
        return Period(*known[word])

    def _orders(self) -> tuple[Order, ...]:
        self._expect("by")
        orders = [self._order()]
        while self._skip(","):
            orders.append(self._order())
        return tuple(orders)

    def _order(self) -> Order:
        path = self._name()
        descending = not self._skip("asc") and self._skip("desc")
        nulls = self._next()[1].lower() if self._skip("nulls") else "first"
        if nulls not in ("first", "last"):
            errors.malformed_query(f"unexpected token: '{nulls}'")
        return Order(path, descending, nulls == "last")

    def _count(self) -> int:
        kind, text = self._next()
        if kind != "number" or not text.isdigit():
            errors.malformed_query(f"unexpected token: '{text}'")
        return int(text)

    def _name(self) -> str:
        kind, text = self._next()
        if kind != "word" or text.lower() in RESERVED or ":" in text or text.endswith("."):
            errors.malformed_query(f"unexpected token: '{text}'")
        return text

    def _peek(self) -> str:
        """The next token in lower case; empty when it is neither a word nor a sign."""
        kind, text = self._tokens[self._at] if self._at < len(self._tokens) else ("", "")
        return text.lower() if kind in ("word", "sign") else ""

    def _skip(self, word: str) -> bool:
        found = self._peek() == word
        self._at += found
        return found

    def _expect(self, word: str) -> None:
        if not self._skip(word):
            text = self._tokens[self._at][1] if self._at < len(self._tokens) else "<EOF>"
            errors.malformed_query(f"unexpected token: '{text}', expecting '{word}'")

    def _next(self) -> tuple[str, str]:
        if self._at >= len(self._tokens):
            errors.malformed_query("unexpected token: '<EOF>'")
        self._at += 1
        return self._tokens[self._at - 1]


def _day(start: datetime) -> Period:
    return Period(start, start + timedelta(days=1))
