"""Check whether the org accepts what the mapping writes back: types, picklist values, lengths and permissions.

Where the possible values of a template can be derived, all are checked. Otherwise the template is rendered with an
outcome of minimum length.
"""

import contextlib
import difflib
import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from jinja2 import nodes

from connector.crms import Misfit
from connector.crms.salesforce import ids
from connector.crms.salesforce.describe import TEXTS, Field, Thing
from connector.expressions import ENVIRONMENT, CannotApply, Template, printed
from connector.mapping.schema import MappingFile

Values = frozenset[str]

# The shortest value of each fact of an outcome and of a hold.
SHORTEST = {
    "why": "x",
    "text": 1,
    "rule": "x",
    "chat": {"id": 1, "status": "x"},
    "at": "2026-01-01T00:00:00Z",
    "reason": "",
    "phone": {"invalid": False, "problem": ""},
    "contradicted": "",
    "held": {"why": "x", "until": ""},
}
NUMBER = (r"-?\d+(\.\d+)?", "a number")
FORMATS = {
    "boolean": (r"true|false", '"true" or "false"'),
    "int": (r"-?\d+", "a whole number"),
    "long": (r"-?\d+", "a whole number"),
    "double": NUMBER,
    "currency": NUMBER,
    "percent": NUMBER,
    "date": (r"\d{4}-\d\d-\d\d(T.*)?", "a date such as 2026-01-31"),
    "datetime": (r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)", "a time such as 2026-01-31T09:00:00Z"),
    "time": (r"\d\d:\d\d(:\d\d(\.\d+)?)?Z?", "a time of day such as 09:00:00Z"),
    "email": (r"[^@\s]+@[^@\s]+", "an e-mail address"),
    "reference": (ids.PATTERN, "the id of a record"),
}
NO_TEXT = ("address", "location", "base64", "anyType", "complexvalue", "id")
LISTS = ("picklist", "multipicklist")
MAX_VALUES, MAX_NAMED = 100, 30
FILTERS: dict[str, Callable[[str], str]] = {
    "upper": str.upper,
    "lower": str.lower,
    "capitalize": str.capitalize,
    "title": str.title,
    "trim": str.strip,
}


def misfits(file: MappingFile, thing: Thing) -> Iterator[Misfit]:
    """Yield what the org would, or might, refuse of the write-backs."""
    rules = frozenset(rule.name for rule in file.rules)
    for table, state, written in file.write_back.templates():
        for name, template in written.items():
            key, field = f"write_back.{table}.{name}", thing.fields.get(name.lower())
            if field is None:
                yield Misfit(f"{key}: {file.ticket.object} has no such field that this user can see")
            elif why := not_writable(field):
                yield Misfit(f"{key}: {why}")
            else:
                known = {"state": state.value} if state else {}
                possible = values_of(template, {"rule": rules} | {name: frozenset({it}) for name, it in known.items()})
                found = (
                    _said(field, possible) if possible is not None else _tried(field, template, known, file.chat_status)
                )
                yield from (Misfit(f"{key}: {misfit.words}", misfit.refused) for misfit in found)


def not_writable(field: Field) -> str | None:
    """Return why the field cannot be written; None: it can."""
    if field.get("calculated"):
        return "it is a formula, which nobody can write"
    if field.get("autoNumber"):
        return "the org numbers it by itself; nobody can write it"
    if field["type"] in NO_TEXT:
        return f"a field of type {field['type']} takes no text"
    return None if field.get("updateable") else "this user may not write it"


def _said(field: Field, possible: Values) -> Iterator[Misfit]:
    """Check values that are known."""
    for value in sorted(possible):
        if problem := _wrong(field, value):
            yield Misfit(problem)
        elif field["type"] in LISTS and value:
            unlisted = [part for part in _parts(field, value) if part not in listed(field)]
            yield from (Misfit(not_listed(field, part), bool(field.get("restrictedPicklist"))) for part in unlisted)
        elif _too_long(field, value):
            yield Misfit(f'"{value}" is cut to the {field["length"]} characters that the field takes', refused=False)


def _tried(
    field: Field, template: Template, known: Mapping[str, str], chat_status: Mapping[str, str]
) -> Iterator[Misfit]:
    """Check a template whose values are not known, apart from the words of `chat_status`."""
    if "chat" in template.names and chat_status:
        yield from _said(field, frozenset(_by_chat(template, known, chat_status)))
    if field["type"] in LISTS and field.get("restrictedPicklist"):
        yield Misfit(f"{template.source} may write what the field's list does not hold: {_named(field)}", refused=False)
    try:
        value = template.render({**SHORTEST, **known})
    except CannotApply:
        return  # reported for the text that it affects
    if problem := _wrong(field, value):
        yield Misfit(f"by {template.source}, {problem}")
    elif _too_long(field, value):
        yield Misfit(f"{template.source} is always longer than the {field['length']} characters that the field takes")


def _by_chat(template: Template, known: Mapping[str, str], chat_status: Mapping[str, str]) -> Iterator[str]:
    """Yield what the template writes for each word of `chat_status`."""
    for words in chat_status.values():
        with contextlib.suppress(CannotApply):  # reported for the text that it affects
            yield template.render({**SHORTEST, **known, "chat": {"id": 1, "status": words}})


def _wrong(field: Field, value: str) -> str | None:
    """Return what is wrong with this value, apart from the field's picklist and length."""
    kind = field["type"]
    if not value:
        if kind == "boolean":
            return 'a checkbox cannot be emptied; expected "false"'
        return None if field.get("nillable", True) else "the field cannot be emptied: the org requires a value"
    pattern, words = FORMATS.get(kind, (".*", ""))
    if not re.fullmatch(pattern, value, re.DOTALL) or (kind == "reference" and ids.problem(value)):
        return f'"{value}" does not suit a field of type {kind}; expected {words}'
    return None


def _too_long(field: Field, value: str) -> bool:
    length = field.get("length")
    return field["type"] in TEXTS and bool(length) and len(value.encode("utf-16-le")) > 2 * int(length or 0)


def _parts(field: Field, value: str) -> list[str]:
    return value.split(";") if field["type"] == "multipicklist" else [value]


def listed(field: Field) -> list[str]:
    """Return the active values of a picklist."""
    return [str(one.get("value")) for one in field.get("picklistValues") or () if one.get("active", True)]


def not_listed(field: Field, value: str) -> str:
    """Return the message that a picklist does not have this value, with those that it has."""
    inactive = any(one.get("value") == value for one in field.get("picklistValues") or ())
    known = {one.lower(): one for one in listed(field)}
    near = difflib.get_close_matches(value.lower(), known, n=1)
    meant = f'; did you mean "{known[near[0]]}"?' if near else ""
    what = "is an inactive value" if inactive else "is not a value"
    return f'"{value}" {what} of {field["name"]}; it has {_named(field)}{meant}'


def _named(field: Field) -> str:
    known = listed(field)
    more = f" and {len(known) - MAX_NAMED} more" if len(known) > MAX_NAMED else ""
    return f"{', '.join(known[:MAX_NAMED])}{more}" if known else "none"


def values_of(template: Template, known: Mapping[str, Values]) -> Values | None:
    """Return every text that a template can write, given the values of its names; None: not derivable."""
    try:
        return _body(ENVIRONMENT.parse(template.source).body, known)
    except RecursionError:
        return None


def _body(parts: list[Any], known: Mapping[str, Values]) -> Values | None:
    pieces = [piece for part in parts for piece in _pieces(part, known)]
    if any(piece is None for piece in pieces):
        return None
    derived = [piece for piece in pieces if piece is not None]
    joined = {"".join(one) for one in itertools.islice(itertools.product(*derived), MAX_VALUES + 1)}
    return frozenset(joined) if len(joined) <= MAX_VALUES else None


def _pieces(part: Any, known: Mapping[str, Values]) -> Iterator[Values | None]:
    if isinstance(part, nodes.Output):
        yield from (_expression(node, known) for node in part.nodes)
    elif isinstance(part, nodes.If):
        branches = [part.body, part.else_, *(one.body for one in part.elif_)]
        yield _either(*(_body(branch, known) for branch in branches))
    else:
        yield None


def _expression(node: Any, known: Mapping[str, Values]) -> Values | None:
    if isinstance(node, nodes.TemplateData):
        return frozenset({node.data})
    if isinstance(node, nodes.Const):
        return frozenset({str(printed(node.value))})
    if isinstance(node, nodes.Name):
        return known.get(node.name)
    if isinstance(node, nodes.CondExpr):
        return _either(_expression(node.expr1, known), _expression(node.expr2, known))
    if isinstance(node, nodes.Or | nodes.And):
        return _either(_expression(node.left, known), _expression(node.right, known))
    if isinstance(node, nodes.Filter) and node.name in FILTERS and not node.args:
        inner = _expression(node.node, known)
        return None if inner is None else frozenset(map(FILTERS[node.name], inner))
    return None


def _either(*choices: Values | None) -> Values | None:
    derived = [choice for choice in choices if choice is not None]
    return frozenset().union(*derived) if len(derived) == len(choices) else None
