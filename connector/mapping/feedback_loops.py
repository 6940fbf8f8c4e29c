"""Finds rules that would fire again because of the connector's own write-back.

The write-back updates the very ticket whose updates trigger the rule. So a write that touches what a rule's condition
asks about has to leave the condition false: whatever the ticket looked like. That is tried out on every ticket that
matters to the condition: each name it asks about takes each value it is compared with, no value, and one more.
"""

import contextlib
import itertools
import math
from collections.abc import Iterator
from typing import Any

from connector.expressions import CannotApply, Condition, Template
from connector.mapping.schema import MappingFile
from connector.model import OUTCOMES

OTHER = "any other value"
MAX_TICKETS = 20_000
MAX_TEXT = 1_000
SAMPLE = {
    "state": "sent",
    "why": "a reason",
    "text": 1,
    "rule": "a_rule",
    "chat": {"id": 114, "status": "selecting"},
    "at": "2026-01-01T00:00:00Z",
    "contradicted": "",
}


def find(file: MappingFile) -> Iterator[tuple[str, str]]:
    """(key, words) for each rule and outcome whose write-back would fire the rule again."""
    for index, rule in enumerate(file.rules):
        key = f"rules.{index}.when"
        choices = {name: _choices(rule.when, file) for name in sorted(rule.when.names)}
        if math.prod(len(values) for values in choices.values()) > MAX_TICKETS:
            yield key, "asks about too many names at once to be checked against the write-back; expected fewer"
            continue
        for state in OUTCOMES:
            # Salesforce, for one, does not tell upper from lower case in the names of fields.
            written = {path.lower(): template for path, template in file.write_back.of(state).items()}
            touched = {
                name: written[file.comparable(path)]
                for name, path in file.fields.items()
                if file.comparable(path) in written and name in choices
            }
            if touched and (ticket := _fires_again(rule.when, choices, touched)):
                yield (
                    f"write_back.{state}",
                    f'rule "{rule.name}" would fire again by what is written here: {rule.when.source} is true for '
                    f"a ticket with {ticket} afterwards; expected a value that makes it false",
                )


def _choices(condition: Condition, file: MappingFile) -> list[Any]:
    """Every value that may matter to the condition: what it is compared with, what is written anywhere, and others."""
    values: list[Any] = [None, "", OTHER, True, False]
    if len(condition.names) > 1:  # names may be compared with each other
        values += [
            template.source
            for state in OUTCOMES
            for template in file.write_back.of(state).values()
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
    """What a template may leave in the field: its text as the field's type has it, or anything if it has names."""
    if template.names:
        return choices
    try:
        text = template.render(SAMPLE)
    except CannotApply:
        return choices  # reported on its own
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
            continue  # a function that does not take this kind of value: no such ticket exists
        if fires:
            return ", ".join(f"{name} = {value!r}" for name, value in ticket.items())
    return None
