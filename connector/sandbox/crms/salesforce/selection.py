"""The result of a SOQL query: checks fields against the schema, filters and sorts records, renders them for REST."""

import operator
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any, NoReturn

from connector.sandbox.crms.salesforce import errors, ids, schema, soql, store

Row = store.Record
Read = Callable[[Row], Any]
Test = Callable[[Row], bool]

NUMERIC = frozenset({"int", "double", "currency", "percent"})
COMPARE = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class Selection:
    """A query on an org. `run` returns the rows, `render` a row's JSON."""

    def __init__(self, org: store.Store, query: soql.Query) -> None:
        self.org, self.query = org, query
        self.thing = _thing(query.thing)
        self._outputs = [self._path(path) for path in query.paths]

    def run(self) -> list[Row]:
        """The matching records, in order, after LIMIT and OFFSET."""
        where = self.query.where
        test = self._test(where) if where else None
        found = self.org.rows(self.thing, _only(where))
        if test:
            found = [row for row in found if test(row)]
        for order in reversed(self.query.orders):
            self._sort(found, order)
        end = None if self.query.limit is None else self.query.offset + self.query.limit
        return found[self.query.offset : end]

    def render(self, row: Row, version: str) -> dict[str, Any]:
        """A record as the query route answers it, with nested parents."""
        return self._nest(self.thing, row, [path.split(".") for path in self._outputs], version)

    def cells(self, row: Row) -> list[Any]:
        """A record's values for CSV, in the order of the query."""
        return [self._reader(path)(row) for path in self._outputs]

    @property
    def columns(self) -> list[str]:
        return self._outputs

    def _nest(self, thing: schema.SObject, row: Row, paths: list[list[str]], version: str) -> dict[str, Any]:
        answer: dict[str, Any] = {"attributes": attributes(thing.name, row["Id"], version)}
        below: dict[str, list[list[str]]] = {}
        for first, *rest in paths:
            if rest:
                below.setdefault(first, []).append(rest)
                answer.setdefault(first, None)
            else:
                answer[first] = store.as_rest(self.org.value(thing, row, first)) if first in thing.fields else None
        for relationship, nested in below.items():
            parent = self.org.parent(thing.relationships[relationship], row)
            answer[relationship] = parent and self._nest(*parent, nested, version)
        return answer

    def _path(self, path: str) -> str:
        """The path in the schema's spelling. Raises INVALID_FIELD."""
        names, things = [], [self.thing]
        *parents, last = path.split(".")
        for index, part in enumerate(parents):
            if index == 0 and part.lower() == self.thing.name.lower() and not self.thing.related(part):
                continue  # a path may begin with the object's own name
            reference = next((field for each in things if (field := each.related(part))), None)
            if reference is None:
                _unknown(f"Didn't understand relationship '{part}' in field path '{path}'")
            names.append(reference.relationship)
            things = [schema.OBJECTS[name] for name in reference.refers_to]
        field = next((field for each in things if (field := each.named(last))), None)
        if field is None:
            _unknown(f"No such column '{last}' on entity '{things[0].name}'")
        return ".".join([*names, field.name])

    def _field(self, path: str) -> schema.Field:
        things = [self.thing]
        *parents, last = path.split(".")
        for part in parents:
            reference = next(each.relationships[part] for each in things if part in each.relationships)
            things = [schema.OBJECTS[name] for name in reference.refers_to]
        return next(each.fields[last] for each in things if last in each.fields)

    def _reader(self, path: str) -> Read:
        *parents, last = path.split(".")
        if not parents and not self.thing.fields[last].formula:
            return operator.itemgetter(last)

        def read(row: Row) -> Any:
            thing = self.thing
            for part in parents:
                parent = self.org.parent(thing.relationships[part], row)
                if parent is None:
                    return None
                thing, row = parent
            return self.org.value(thing, row, last) if last in thing.fields else None

        return read

    def _test(self, condition: soql.Condition) -> Test:
        if isinstance(condition, soql.Comparison):
            return self._compare(condition)
        tests = [self._test(part) for part in condition.parts]
        if condition.word == "not":
            return lambda row: not tests[0](row)
        together = all if condition.word == "and" else any
        return lambda row: together(test(row) for test in tests)

    def _compare(self, comparison: soql.Comparison) -> Test:
        path = self._path(comparison.path)
        field, read, sign = self._field(path), self._reader(path), comparison.sign
        if sign in ("in", "not in"):
            wanted = {_operand(field, value, comparison) for value in comparison.value}
            negated = sign == "not in"
            return lambda row: (_key(read(row)) in wanted) is not negated
        value = _operand(field, comparison.value, comparison)
        if sign == "like":
            pattern = _like(comparison.value)
            return lambda row: bool(pattern.fullmatch(read(row) or ""))
        if isinstance(value, soql.Period):
            return _during(read, sign, value)
        if value is None or sign in ("=", "!="):
            same = sign == "="
            return lambda row: (_key(read(row)) == value) is same
        compare = COMPARE[sign]
        return lambda row: (actual := _key(read(row))) is not None and compare(actual, value)

    def _sort(self, found: list[Row], order: soql.Order) -> None:
        read = self._reader(self._path(order.path))
        present = [row for row in found if read(row) is not None]
        missing = [row for row in found if read(row) is None]
        present.sort(key=lambda row: _key(read(row)), reverse=order.descending)
        found[:] = present + missing if order.nulls_last else missing + present


def attributes(name: str, identifier: str, version: str) -> dict[str, str]:
    return {"type": name, "url": f"/services/data/v{version}/sobjects/{name}/{identifier}"}


def _thing(name: str) -> schema.SObject:
    thing = schema.named(name)
    if thing is None:
        raise errors.ApiError(400, "INVALID_TYPE", f"sObject type '{name}' is not supported.")
    return thing


def _unknown(message: str) -> NoReturn:
    raise errors.ApiError(400, "INVALID_FIELD", message)


def _only(where: soql.Condition | None) -> list[str] | None:
    """The ids in a top-level condition on Id, which spare a scan of all records. None without such a condition."""
    parts = where.parts if isinstance(where, soql.Combination) and where.word == "and" else (where,)
    for part in parts:
        if isinstance(part, soql.Comparison) and part.path.lower() == "id" and part.sign in ("=", "in"):
            values = part.value if part.sign == "in" else [part.value]
            return [complete for value in values if isinstance(value, str) and (complete := ids.long(value))]
    return None


def _key(value: Any) -> Any:
    """The value for comparisons: SOQL ignores the case of text."""
    return value.lower() if isinstance(value, str) else value


def _operand(field: schema.Field, value: Any, comparison: soql.Comparison) -> Any:
    """The value to compare a field with. Raises ApiError when the types do not match."""
    if value is None:
        return None
    if field.type in ("id", "reference") and isinstance(value, str):
        complete = ids.long(value)
        if complete is None:
            message = f"invalid ID field: {value}"
            raise errors.ApiError(400, "INVALID_QUERY_FILTER_OPERATOR", message)
        return complete.lower()
    kinds = {"datetime": (datetime, soql.Period), "boolean": (bool,), "double": (float,)}.get(field.type, (str,))
    if not isinstance(value, kinds):
        quotes = "should not be enclosed in quotes" if comparison.quoted else "should be enclosed in quotes"
        kind = "dateTime" if field.type == "datetime" else field.type
        _unknown(f"value of filter criterion for field '{field.name}' must be of type {kind} and {quotes}")
    return _key(value)


def _like(pattern: Any) -> re.Pattern[str]:
    if not isinstance(pattern, str):
        errors.malformed_query("LIKE needs a string")
    wild = {"%": ".*", "_": "."}
    return re.compile("".join(wild.get(char, re.escape(char)) for char in pattern), re.IGNORECASE | re.DOTALL)


def _during(read: Read, sign: str, period: soql.Period) -> Test:
    within: dict[str, Callable[[datetime], bool]] = {
        "=": lambda at: period.start <= at < period.end,
        "!=": lambda at: not period.start <= at < period.end,
        "<": lambda at: at < period.start,
        "<=": lambda at: at < period.end,
        ">": lambda at: at >= period.end,
        ">=": lambda at: at >= period.start,
    }
    test = within[sign]
    return lambda row: (at := read(row)) is not None and test(at)
