"""The two small languages of a mapping file: what they give, and that neither reaches Python."""

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.expressions import CannotApply, Condition, Template

VALUES = {"name": "Ada", "empty": None, "blank": "", "number": 7, "things": [1, 2], "yes": True, "no": False}


@pytest.mark.parametrize(
    ("source", "text"),
    [
        pytest.param("Hi {{ name }}", "Hi Ada", id="a name"),
        pytest.param("Hi {{ empty or 'there' }}", "Hi there", id="or, empty"),
        pytest.param("Hi {{ absent or 'there' }}", "Hi there", id="or, absent"),
        pytest.param("Hi {{ blank or 'there' }}", "Hi there", id="or, blank"),
        pytest.param("Hi {{ name or 'there' }}", "Hi Ada", id="or, not needed"),
        pytest.param("Hi {{ empty | default('there') }}", "Hi there", id="default, empty"),
        pytest.param("{% if empty %}a{% else %}b{% endif %}", "b", id="empty is false"),
        pytest.param("{% if empty is defined %}a{% else %}b{% endif %}", "b", id="empty is not defined"),
        pytest.param("{{ name | upper }}{{ number + 1 }}", "ADA8", id="filters and sums"),
        pytest.param("{% for one in things %}{{ one }},{% endfor %}", "1,2,", id="loops"),
        pytest.param("{{ name }} <b>&\"'", "Ada <b>&\"'", id="a text message is no HTML"),
        pytest.param("", "", id="empty text"),
        pytest.param("{{ yes }}, {{ no }}, {{ true }}", "true, false, true", id="true and false as CRMs spell them"),
    ],
)
def test_a_template_gives_its_text(source: str, text: str) -> None:
    assert Template(source).render(VALUES) == text


@pytest.mark.parametrize("name", ["empty", "absent"])
@pytest.mark.parametrize("source", ["Hi {{ %s }}", "{{ %s | upper }}", "{{ 'Hi ' ~ %s }}", "{{ '%%s' | format(%s) }}"])
def test_an_empty_name_without_a_fallback_is_named_as_the_reason(source: str, name: str) -> None:
    with pytest.raises(CannotApply, match=f"{name} is empty and has no fallback"):
        Template(source % name).render(VALUES)


@pytest.mark.parametrize(
    "source",
    [
        "{{ empty == 'a' }}",
        "{{ empty | length }}",
        "{{ empty.part }}",
        "{{ empty + 'a' }}",
        "{{ 1 / 0 }}",
        "{{ name + 1 }}",
        "{{ name.part.part }}",
        "{{ [] | first }}",
        "{{ name | round }}",
        "{{ '%d' | format(name) }}",
        "{{ name | truncate(2) }}",
        "{{ name | dictsort }}",
        "{{ name | xmlattr }}",
        "{% macro again() %}{{ again() }}{% endmacro %}{{ again() }}",
    ],
)
def test_a_template_that_does_not_suit_the_values_cannot_be_applied(source: str) -> None:
    with pytest.raises(CannotApply, match=r".+"):
        Template(source).render(VALUES)


class Trap:
    """Notices when a template goes where it must not."""

    touched = False

    def __format__(self, spec: str) -> str:
        return "formatted"

    def go(self) -> str:
        type(self).touched = True
        return "gone"

    go.unsafe_callable = True  # type: ignore[attr-defined]  # what Jinja looks for


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__ }}",
        "{{ ''['__class__'] }}",
        "{{ ''|attr('__class__') }}",
        "{{ ''.__class__.__mro__[1] }}",
        "{{ name.__class__.__base__.__subclasses__() }}",
        "{{ '{0.__class__}'.format(name) }}",
        "{{ '{x.__class__}'.format_map({'x': name}) }}",
        "{{ ('{0.__cla' ~ 'ss__}').format(name) }}",
        "{{ name.upper.__self__ }}",
        "{{ self.__init__.__globals__ }}",
        "{{ self._TemplateReference__context }}",
        "{% macro m() %}{% endmacro %}{{ m.__init__ }}",
        "{% for i in name %}{{ loop.__init__ }}{% endfor %}",
        "{{ things.append(3) }}",
        "{{ things.clear() }}",
        "{{ things.__setitem__(0, 1) }}",
        "{{ trap.go() }}",
        "{{ range(10) }}",
        "{{ cycler('a') }}",
        "{{ joiner() }}",
        "{{ namespace(a=1) }}",
        "{{ lipsum() }}",
        "{{ dict(a=1) }}",
        "{{ lipsum.__globals__ }}",
        "{{ cycler.__init__.__globals__.os }}",
        "{{ request }}",
        "{{ config }}",
        "{{ open('/etc/hostname') }}",
        "{{ __import__('os') }}",
        "{% include '/etc/hostname' %}",
        "{% import 'os' as os %}{{ os }}",
        "{% extends '/etc/hostname' %}",
        "{{ things | map('attr', '__class__') | join }}",
        "{{ things | map(attribute='__class__') | list | join }}",
    ],
)
def test_a_template_reaches_nothing_but_its_values(source: str) -> None:
    things = [1, 2]
    with pytest.raises((CannotApply, ValueError)):
        Template(source).render(VALUES | {"things": things, "trap": Trap()})
    assert things == [1, 2]
    assert not Trap.touched


@pytest.mark.parametrize(
    "source", ["{{ name", "{{ name | nofilter }}", "{% if name %}", "{% nothing %}", "{{ name is notest }}", "{{ }}"]
)
def test_a_template_that_cannot_be_read_is_refused_when_it_is_loaded(source: str) -> None:
    with pytest.raises(ValueError, match="not a template that can be read"):
        Template(source)


@pytest.mark.parametrize(
    "source",
    [
        "{{ " + "(" * 500 + "1" + ")" * 500 + " }}",
        "{{ " + "name + " * 1000 + "name }}",
        "{% if name %}" * 150 + "{% endif %}" * 150,
    ],
)
def test_a_template_that_is_nested_too_deeply_is_refused(source: str) -> None:
    with pytest.raises(ValueError, match="nested too deeply"):
        Template(source)


@pytest.mark.parametrize("source", ["!" * 5000 + "name", "name && " * 3000 + "name", "length(" * 2000 + "name"])
def test_a_condition_that_is_nested_too_deeply_is_refused(source: str) -> None:
    with pytest.raises(ValueError, match="nested too deeply"):
        Condition(source)


def test_a_template_knows_the_names_it_uses() -> None:
    source = "{% set a = name %}{{ a }}{% for one in things %}{{ one }}{% endfor %}{{ other or 'x' }}"
    assert Template(source).names == {"name", "things", "other"}


@pytest.mark.parametrize(
    ("source", "value"),
    [
        pytest.param("name == 'Ada'", True, id="equal"),
        pytest.param("name != 'Ada'", False, id="unequal"),
        pytest.param("number > `5` && number < `9`", True, id="between"),
        pytest.param("empty || name", "Ada", id="or gives the value"),
        pytest.param("!empty", True, id="not"),
        pytest.param("absent", None, id="absent"),
        pytest.param("contains(name, 'd')", True, id="function"),
        pytest.param("not_null(empty, 'x')", "x", id="fallback"),
        pytest.param("length(things) == `2`", True, id="list"),
    ],
)
def test_a_condition_gives_its_value(source: str, value: object) -> None:
    assert Condition(source).search(VALUES) == value


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("name.part", "subexpression"),
        ("things[0]", "index"),
        ("things[1:2]", "slice|index"),
        ("things[]", "flatten"),
        ("things[*]", "for conditions"),
        ("*", "for conditions"),
        ("@", "current"),
        ("[name]", "multi select list"),
        ("{a: name}", "for conditions"),
        ("name | number", "pipe"),
        ("things[?a]", "filter projection"),
        ("&name", "expref"),
        ("length(@)", "current"),
        ("sort_by(things, &a)", "expref"),
        ("!(name | a)", "pipe"),
    ],
)
def test_only_names_literals_comparisons_and_functions_are_for_conditions(source: str, words: str) -> None:
    with pytest.raises(ValueError, match=f"({words}).* use names, literals") as caught:
        Condition(source)
    assert not isinstance(caught.value, CannotApply)


@pytest.mark.parametrize(
    "source", ["", "  ", "name ==", "name == `1", "nofunction(name)", "length(name, name)", "name = 'x'", 'name == "x']
)
def test_a_condition_that_cannot_be_read_is_refused_when_it_is_loaded(source: str) -> None:
    with pytest.raises(ValueError, match="not a condition that can be read"):
        Condition(source)


@pytest.mark.parametrize("source", ["abs(name)", "length(number)", "sum(name)", "starts_with(number, 'a')"])
def test_a_function_of_the_wrong_kind_of_value_cannot_be_applied(source: str) -> None:
    with pytest.raises(CannotApply, match="invalid type"):
        Condition(source).search(VALUES)


@pytest.mark.parametrize(
    ("source", "value"),
    [
        pytest.param("name > `1`", "Ada", id="text and number"),
        pytest.param("name <= `1`", "", id="empty text and number"),
        pytest.param("name < 'b'", 3, id="number and text"),
        pytest.param("ceil(to_number(name)) == `1`", "inf", id="ceil of infinity"),
        pytest.param("floor(to_number(name)) == `1`", "nan", id="floor of not-a-number"),
    ],
)
def test_values_of_different_kinds_are_false_or_cannot_be_applied(source: str, value: object) -> None:
    found = None
    with contextlib.suppress(CannotApply):
        found = Condition(source).search({"name": value})
    assert not found


def test_a_condition_knows_its_names_and_literals() -> None:
    condition = Condition("a == 'x' && (b > `5` || !contains(c, 'y'))")
    assert (condition.names, condition.literals) == (frozenset("abc"), ["x", 5, "y"])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(), children, max_size=3),
    max_leaves=5,
)


@given(
    value=JSON,
    source=st.sampled_from(["a == 'x'", "a != `1`", "!a", "a || b", "a < `1`", "contains(a, 'x')", "length(a) > `1`"]),
)
def test_no_value_of_a_crm_makes_a_condition_fail_in_another_way(value: Any, source: str) -> None:
    found = "cannot be applied"
    with contextlib.suppress(CannotApply):
        found = Condition(source).search({"a": value})
    assert found in (True, False, None, "cannot be applied") or found == value


def test_a_projection_onto_a_name_is_not_for_conditions() -> None:
    with pytest.raises(ValueError, match="projection is not for conditions"):
        Condition("things[*].name")
