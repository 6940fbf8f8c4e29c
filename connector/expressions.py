"""The two expression languages of a mapping file. Neither gives access to Python.

Messages and written-back values are Jinja2 templates (https://jinja.palletsprojects.com/templates/), sandboxed and
without globals. A name whose field is empty in the CRM counts as false, so `{{ first_name or 'there' }}` and `{{
first_name | default('there') }}` both work. Printing an empty name without such a fallback is an error.

Conditions are JMESPath (https://jmespath.org/specification.html). Only what a flat ticket needs is allowed: names,
literals, comparisons, `&&`, `||`, `!` and functions.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Never

import jinja2
import jmespath
from jinja2 import meta, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jmespath.exceptions import JMESPathError, JMESPathTypeError

from connector import masking, merge_syntax


class CannotApply(ValueError):
    """A template or condition fails on this ticket's values. The message says why; numbers in it are masked."""

    def __init__(self, words: str) -> None:
        super().__init__(masking.masked(words))


# Exceptions that filters and functions raise for values of the wrong type.
VALUES_DO_NOT_SUIT = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)


class Empty(jinja2.StrictUndefined):
    """A name without a value: false in a condition, an error when printed."""

    __slots__ = ()

    def __bool__(self) -> bool:  # type: ignore[override]  # jinja2's types: one that never returns
        return False

    def __str__(self) -> Never:
        raise jinja2.UndefinedError(f"{self._undefined_name} is empty and has no fallback")


TOO_DEEP = "its parts are nested too deeply"


def printed(value: Any) -> Any:
    """A value as it is printed: true and false as mapping files and CRMs spell them."""
    return str(value).lower() if isinstance(value, bool) else value


ENVIRONMENT = ImmutableSandboxedEnvironment(undefined=Empty, autoescape=False, finalize=printed)
ENVIRONMENT.globals.clear()


class Template:
    """A template, validated when it is loaded.

    `names` are the names it uses; `attributes` are the pairs of a name and its attribute or key: ("chat", "id").
    """

    def __init__(self, source: str) -> None:
        """Raises ValueError with a message for the mapping's author."""
        try:
            tree = ENVIRONMENT.parse(source)
            self.names = frozenset(meta.find_undeclared_variables(tree))
            self.attributes = sorted(pair for pair in _attributes(tree) if pair[0] in self.names)
            self._template = ENVIRONMENT.from_string(source)
            self._same = None if "{" in source else self._template.render()
        except jinja2.TemplateError as error:
            raise ValueError(f"not a template that can be read: {error}{_foreign(source)}") from None
        except (RecursionError, SyntaxError, MemoryError):
            raise ValueError(f"not a template that can be read: {TOO_DEEP}") from None
        self.source = source

    def render(self, values: Mapping[str, Any]) -> str:
        """Return the text. Raises CannotApply, above all where an empty name is printed."""
        if self._same is not None:
            return self._same
        try:
            return self._template.render({name: value for name, value in values.items() if value is not None})
        except (jinja2.TemplateError, *VALUES_DO_NOT_SUIT) as error:
            raise CannotApply(str(error) or type(error).__name__) from None


def _attributes(tree: nodes.Template) -> Iterator[tuple[str, str]]:
    """Yield the name and the attribute of `name.attribute` and `name['attribute']`."""
    for by_dot in tree.find_all(nodes.Getattr):
        if isinstance(by_dot.node, nodes.Name):
            yield by_dot.node.name, by_dot.attr
    for by_key in tree.find_all(nodes.Getitem):
        key = by_key.arg.value if isinstance(by_key.arg, nodes.Const) else None
        if isinstance(by_key.node, nodes.Name) and isinstance(key, str):
            yield by_key.node.name, key


def has_attribute(sample: Any, attribute: str) -> bool:
    """Return whether a template can read this attribute, key or method of a value like the sample."""
    if isinstance(sample, Mapping) and attribute in sample:
        return True
    return hasattr(sample, attribute) and ENVIRONMENT.is_safe_attribute(sample, attribute, None)


def literal(template: Template) -> str:
    """Return the fixed parts of a template, without what is filled in."""
    return "".join(value for _, kind, value in ENVIRONMENT.lex(template.source) if kind == "data")


def _foreign(source: str) -> str:
    """Return a hint where the source uses the placeholder syntax of another program."""
    placeholder = merge_syntax.found(source)
    return f"; {placeholder} is written {{{{ name }}}} here, with a name of [fields]" if placeholder else ""


NODES = {"field", "literal", "comparator", "and_expression", "or_expression", "not_expression", "function_expression"}


class Condition:
    """A condition on a ticket, validated when it is loaded.

    `names` are the names it uses, `literals` its values, `comparisons` the pairs of a name and the value it is compared
    with. `is_name`: it is a single name, so it holds unless the field is false or empty.
    """

    def __init__(self, source: str) -> None:
        """Raises ValueError with a message for the mapping's author."""
        try:
            self._compiled = jmespath.compile(source)
            self._compiled.search({})
        except JMESPathError as error:
            # Types are known only when there are values: a function may well fail on an empty ticket.
            if not isinstance(error, JMESPathTypeError):
                raise ValueError(f"not a condition that can be read: {error}") from None  # noqa: TRY004
        except RecursionError:
            raise ValueError(f"not a condition that can be read: {TOO_DEEP}") from None
        parts = list(_nodes(self._compiled.parsed))
        if foreign := [node["type"] for node in parts if node["type"] not in NODES]:
            # An index, a slice and the like make a projection. Where there is one, its own name says more.
            named = next((kind for kind in foreign if kind != "projection"), "projection")
            raise ValueError(
                f"{named.replace('_', ' ')} is not for conditions: "
                "use names, literals, comparisons, &&, ||, ! and functions"
            )
        self.names = frozenset(node["value"] for node in parts if node["type"] == "field")
        self.literals = [node["value"] for node in parts if node["type"] == "literal"]
        self.comparisons = [one for node in parts if node["type"] == "comparator" for one in _comparison(node)]
        self.is_name = self._compiled.parsed["type"] == "field"
        self.source = source

    def search(self, values: Mapping[str, Any]) -> Any:
        """Return the result of the expression for these values; None where there is none. Raises CannotApply."""
        try:
            return self._compiled.search(values)
        except (JMESPathError, *VALUES_DO_NOT_SUIT) as error:
            raise CannotApply(f"{self.source}: {_without_value(error)}") from None


def _without_value(error: Exception) -> str:
    """Describe the error without the ticket's value, which may be personal data."""
    if isinstance(error, JMESPathTypeError):
        expected = ", ".join(error.expected_types)
        return f"invalid type for {error.function_name}(): expected one of {expected}, found {error.actual_type}"
    return str(error) or type(error).__name__


def _nodes(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield node
    for child in node.get("children", ()):
        if isinstance(child, Mapping):  # the children of a slice are plain numbers
            yield from _nodes(child)


def _comparison(node: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the name and the value where a name is compared with a literal."""
    kinds = {child["type"]: child["value"] for child in node["children"] if child["type"] in ("field", "literal")}
    if len(kinds) == 2:
        yield kinds["field"], kinds["literal"]
