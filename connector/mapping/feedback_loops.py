"""Find rules that the connector's own write-back would trigger again.

The write-back updates the ticket whose updates trigger the rule. A write to a field that a rule's condition uses must
therefore leave the condition false, whatever the ticket's other values. The check tries every ticket that matters to
the condition: each name takes each value that it is compared with, no value, and one other value.
"""

import contextlib
import itertools
import math
from collections.abc import Iterator
from typing import Any

from connector.expressions import CannotApply, Condition, Template
from connector.mapping.outcome_facts import SAMPLE
from connector.mapping.schema import CHAT, MappingFile

OTHER = "any other value"
MAX_TICKETS = 20_000
MAX_TEXT = 1_000


def find(file: MappingFile) -> Iterator[tuple[str, str]]:
    """Yield (key, message) for each rule and outcome whose write-back would trigger the rule again."""
    yield from _by_a_chat(file)
    for index, rule in enumerate(file.rules):
        key = f"rules.{index}.when"
        choices = {name: _choices(rule.when, file) for name in sorted(rule.when.names)}
        if math.prod(len(values) for values in choices.values()) > MAX_TICKETS:
            yield key, "asks about too many names at once to be checked against the write-back; expected fewer"
            continue
        for table, _, templates in file.write_back.templates():
            # Field names in Salesforce, for example, are not case-sensitive.
            written = {path.lower(): template for path, template in templates.items()}
            touched = {
                name: written[file.comparable(path)]
                for name, path in file.fields.items()
                if file.comparable(path) in written and name in choices
            }
            if table != CHAT and touched and (ticket := _fires_again(rule.when, choices, touched)):
                yield (
                    f"write_back.{table}",
                    f'rule "{rule.name}" would fire again by what is written here: {rule.when.source} is true for '
                    f"a ticket with {ticket} afterwards; expected a value that makes it false",
                )


def _by_a_chat(file: MappingFile) -> Iterator[tuple[str, str]]:
    """Find fields that follow a chat and that a rule asks about. A chat may have any status word, at any time."""
    asked = {
        file.comparable(file.fields[name]): rule for rule in file.rules for name in rule.when.names & file.fields.keys()
    }
    for field in file.write_back.chat or ():
        if rule := asked.get(file.comparable(field)):
            yield (
                f"write_back.chat.{field}",
                f'rule "{rule.name}" could fire again when the chat changes: {rule.when.source} uses this field; '
                "expected a field that no `when` uses",
            )


def _choices(condition: Condition, file: MappingFile) -> list[Any]:
    """Return all values that may matter to the condition: those it is compared with, those written back, and others."""
    values: list[Any] = [None, "", OTHER, True, False]
    if len(condition.names) > 1:  # names may be compared with each other
        values += [
            template.source
            for _, _, templates in file.write_back.templates()
            for template in templates.values()
            if not template.names and "{" not in template.source
        ]
    for literal in _flat(condition.literals):
        values.append(literal)
        if isinstance(literal, int | float) and not isinstance(literal, bool):
            values += [literal - 1, literal + 1]
            values.append("x" * min(int(abs(literal)) + 1, MAX_TEXT))
    return list({(type(value), repr(value)): value for value in values}.values())


def _flat(literals: list[Any]) -> Iterator[Any]:
    for literal in literals:
        yield from _flat(literal) if isinstance(literal, list) else [literal]


def _written(template: Template, choices: list[Any]) -> list[Any]:
    """Return what a template may leave in the field: its text in the field's type, or any choice if it uses names."""
    if template.names:
        return choices
    try:
        text = template.render(SAMPLE)
    except CannotApply:
        return choices  # reported by another check
    as_types: list[Any] = [text or None]
    if text.lower() in ("true", "false"):
        as_types.append(text.lower() == "true")
    with contextlib.suppress(ValueError):
        as_types.append(float(text))
    return as_types


def _fires_again(condition: Condition, choices: dict[str, list[Any]], touched: dict[str, Template]) -> str | None:
    after = {name: _written(touched[name], values) if name in touched else values for name, values in choices.items()}
    for values in itertools.product(*after.values()):
        ticket = dict(zip(after, values, strict=True))
        try:
            fires = condition.search(ticket)
        except CannotApply:
            continue  # a function that does not accept this type of value: no such ticket exists
        if fires:
            return ", ".join(f"{name} = {value!r}" for name, value in ticket.items())
    return None
