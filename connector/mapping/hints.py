"""Warnings about content of a mapping file that is valid but probably unintended, each with its line."""

from collections.abc import Iterator, Sequence

from connector import merge_syntax
from connector.expressions import literal
from connector.mapping import lines
from connector.mapping.lines import Places
from connector.mapping.schema import MappingFile, Rule, Words


def of(file: MappingFile, text: str) -> list[str]:
    """Return the warnings about this file; `text` is its source."""
    found = lines.places(text)
    return [
        f"line {found.line(key)}: {_called(key, file)}: {words}"
        for key, words in (*_guards(file, found), *_placeholders(file))
    ]


def _called(key: str, file: MappingFile) -> str:
    named: dict[str, Sequence[Rule | Words]] = {"rules": file.rules, "templates": file.templates}
    return lines.called(key, {what: [{"name": one.name} for one in all_] for what, all_ in named.items()})


def _guards(file: MappingFile, found: Places) -> Iterator[tuple[str, str]]:
    """Warn of headers [rules.skip_when]: each belongs to the rule above it, and a rule pasted between takes it over."""
    if len(file.rules) < 2:
        return
    for index, rule in enumerate(file.rules):
        key = f"rules.{index}.skip_when"
        if key in found.tables:
            others = ", ".join(other.name for other in file.rules if not other.skip_when)
            without = f"; without one: {others}" if others else ""
            yield (
                key,
                (
                    f"[rules.skip_when] belongs to the rule above it, which is {rule.name}{without}. "
                    "Write skip_when = { … } among the rule's own keys, or [skip_when] for all rules: those cannot move"
                ),
            )


def _placeholders(file: MappingFile) -> Iterator[tuple[str, str]]:
    for key, words in _texts(file):
        if placeholder := merge_syntax.found(words):
            yield (
                key,
                (
                    f"{placeholder} would be texted as it is: nothing fills it in. "
                    "Write a name of [fields] in two braces, such as {{ first_name or 'there' }}"
                ),
            )


def _texts(file: MappingFile) -> Iterator[tuple[str, str]]:
    """Yield (key, text) for all text that is sent as it is written in the file."""
    for index, rule in enumerate(file.rules):
        yield f"rules.{index}.message", literal(rule.message)
    for index, words in enumerate(file.templates):
        yield f"templates.{index}.message", literal(words.message)
    yield "policy.brand", file.policy.brand
    yield "policy.opt_out_line", file.policy.opt_out_line
    for kind in file.write_back.kinds:
        for field, template in file.write_back.of(kind).items():
            yield f"write_back.{kind}.{field}", literal(template)
