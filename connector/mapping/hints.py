"""Warnings about content of a mapping file that is valid but probably unintended, each with its line."""

from collections.abc import Iterator, Sequence

from connector import merge_syntax
from connector.expressions import CannotApply, Condition, literal
from connector.mapping import lines
from connector.mapping.lines import Places
from connector.mapping.schema import MappingFile, Rule, Words
from connector.model import OUTCOMES
from connector.policy.config import DAYS


def of(file: MappingFile, text: str) -> list[str]:
    """Return the warnings about this file; `text` is its source."""
    found = lines.places(text)
    return [
        f"line {found.line(key)}: {_called(key, file)}: {words}"
        for key, words in (*_guards(file, found), *_never(file), *_days_off(file), *_placeholders(file), *_left(file))
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


def _never(file: MappingFile) -> Iterator[tuple[str, str]]:
    """Warn of rules that no trigger reaches: an earlier rule's `when` is the same, or always true."""
    for index, rule in enumerate(file.rules):
        for earlier in file.rules[:index]:
            same = " ".join(earlier.when.source.split()) == " ".join(rule.when.source.split())
            if same or _always(earlier.when):
                holds = "has the same `when`" if same else "has a `when` that is always true"
                yield (
                    f"rules.{index}.when",
                    f"no trigger ever reaches this rule: {earlier.name} stands before it and {holds}. "
                    "Put the special rule first, or make the conditions differ",
                )
                break


def _always(condition: Condition) -> bool:
    try:
        return not condition.names and bool(condition.search({}))
    except CannotApply:
        return False


def _left(file: MappingFile) -> Iterator[tuple[str, str]]:
    """Warn of outcomes that leave a field of a rule's `when` as it is, while other outcomes write it."""
    asked = {file.comparable(file.fields[name]): rule.name for rule in file.rules for name in rule.when.names}
    written = {state: {file.comparable(field): field for field in file.write_back.of(state)} for state in OUTCOMES}
    everywhere = {path: field for fields in written.values() for path, field in fields.items()}
    for state, fields in written.items():
        for path in asked.keys() & everywhere.keys() - fields.keys():
            yield (
                f"write_back.{state}",
                f"{everywhere[path]} is not written here, but by other outcomes: the ticket goes on asking for the "
                f"rule {asked[path]}, as if there were no outcome",
            )


def _days_off(file: MappingFile) -> Iterator[tuple[str, str]]:
    hours = file.policy.hours
    tables = {"policy.hours": hours, **{f"policy.hours.by_state.{code}": keys for code, keys in hours.by_state.items()}}
    for key, keys in tables.items():
        if set(DAYS) <= {*keys.days_off}:
            yield f"{key}.days_off", "no weekday is left: triggers and batches are never sent"


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


def _in(key: str, language: str) -> str:
    return f"{key}.{language}" if language else key


def _texts(file: MappingFile) -> Iterator[tuple[str, str]]:
    """Yield (key, text) for all text that is sent as it is written in the file."""
    for key, messages in file.messages():
        for language, template in messages.templates.items():
            yield _in(key, language), literal(template)
    for key, words in (("policy.brand", file.policy.brand), ("policy.opt_out_line", file.policy.opt_out_line)):
        for language, text in words.items():
            yield _in(key, language), text
    for table, _, written in file.write_back.templates():
        for field, template in written.items():
            yield f"write_back.{table}.{field}", literal(template)
