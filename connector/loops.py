"""Finds rules that would fire again because of the connector's own write-back.

The write-back updates the very ticket whose updates trigger the rule. So a write that touches what a rule's condition
asks about has to leave the condition false: whatever the ticket looked like. That is tried out on every ticket that
matters to the condition: each name it asks about takes each value it is compared with, no value, and one more.
"""

import itertools
import math
from collections.abc import Iterator
from typing import Any

from connector.mapping_file import MappingFile
from connector.model import OUTCOMES
from connector.templates import CannotApply, Condition, Template

OTHER = "any other value"
MOST_TICKETS = 20_000
SAMPLE = {
    "state": "sent",
    "why": "a reason",
    "text": 1,
    "rule": "a_rule",
    "chat": {"id": 114, "status": "selecting"},
    "at": "2026-01-01T00:00:00Z",
}


def find(file: MappingFile) -> Iterator[tuple[str, str]]:
    """(key, words) for each rule and outcome whose write-back would fire the rule again."""
    for index, rule in enumerate(file.rules):
        key = f"rules.{index}.when"
        choices = {name: _choices(rule.when) for name in sorted(rule.when.names)}
        if math.prod(len(values) for values in choices.values()) > MOST_TICKETS:
            yield key, "asks about too many names at once to be checked against the write-back; expected fewer"
            continue
        for state in OUTCOMES:
            written = file.write_back.of(state)
            touched = {name: written[path] for name, path in file.fields.items() if path in written and name in choices}
            if touched and (ticket := _fires_again(rule.when, choices, touched)):
                yield (
                    f"write_back.{state}",
                    f'rule "{rule.name}" would fire again by what is written here: {rule.when.source} is true for '
                    f"a ticket with {ticket} afterwards; expected a value that makes it false",
                )


def _choices(condition: Condition) -> list[Any]:
    values: list[Any] = [None, "", OTHER, True, False]
    for literal in condition.literals:
        values.append(literal)
        if isinstance(literal, int | float) and not isinstance(literal, bool):
            values += [literal - 1, literal + 1]
    return [value for index, value in enumerate(values) if value not in values[:index] or isinstance(value, bool)]


def _written(template: Template, choices: list[Any]) -> list[Any]:
    """What a template may write: its text, and where it depends on the outcome anything at all."""
    return choices if template.names else [template.render(SAMPLE) or None]


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
