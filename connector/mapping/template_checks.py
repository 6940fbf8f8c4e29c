"""Find names, attributes and outcomes that the conditions and templates of a mapping file cannot have."""

import difflib
from collections.abc import Collection, Iterator

from connector import expressions
from connector.expressions import CannotApply, Template
from connector.mapping import outcome_facts
from connector.mapping.outcome_facts import HELD_SAMPLE, SAMPLE
from connector.mapping.schema import MappingFile
from connector.model import State

# What a field of a ticket may hold.
FIELD_VALUES = ("", True, 0, 0.0)
# The most names, and the most characters of two names, that are compared to find what somebody meant.
MAX_COMPARED = 300
NO_CHAT = " here, because a text that waits has no chat"


def find(file: MappingFile) -> Iterator[tuple[str, str]]:
    """Yield (key, message) for everything that is misspelt, and for every write-back that can never be rendered."""
    for key, name in file.names():
        if name not in file.fields:
            yield key, _undefined(name, file.fields, f"a name of [fields]: {', '.join(file.fields)}")
    for key, template in file.message_templates():
        for name, attribute in template.attributes:
            if name in file.fields and not any(expressions.has_attribute(one, attribute) for one in FIELD_VALUES):
                yield key, f"{name}.{attribute} is not defined: {name} is the value of a field and has no parts"
    for table, state, written in file.write_back.templates():
        for field, template in written.items():
            key = f"write_back.{table}.{field}"
            problems = list(_misspelt(state, template)) or list(_unwritable(state, template))
            yield from ((key, words) for words in problems)


def _misspelt(state: State | None, template: Template) -> Iterator[str]:
    samples = HELD_SAMPLE if state is None else SAMPLE
    for name in sorted(template.names - samples.keys()):
        where = NO_CHAT if state is None and name == "chat" else ""
        yield _undefined(name, samples, f"one of {', '.join(sorted(samples))}", where)
    for name, attribute in template.attributes:
        sample = samples.get(name)
        if name in samples and not expressions.has_attribute(sample, attribute):
            known = [f"{name}.{key}" for key in sample] if isinstance(sample, dict) else []
            expected = f"one of {', '.join(known)}" if known else f"{name} alone, which has no parts"
            yield _undefined(f"{name}.{attribute}", known, expected)


def _unwritable(state: State | None, template: Template) -> Iterator[str]:
    """Find a template that fails for a text in this state which has no more than is certain. None: it still waits."""
    try:
        template.render(outcome_facts.sample(state))
    except CannotApply as error:
        absent = [name for name in outcome_facts.ONLY_SENT if name in template.names and state is not State.SENT]
        if absent:
            name, is_so = absent[0], f"is {state}" if state else "waits"
            yield (
                f"expected a text, but a text that {is_so} may have no {name}: use it in write_back.sent only, "
                f"or with a fallback, such as {{{{ {_fallback(name)} }}}}"
            )
        else:
            yield f"expected a text: {error}"


def _fallback(name: str) -> str:
    return "chat.id if chat" if name == "chat" else f"{name} or ''"


def _undefined(name: str, known: Collection[str], expected: str, where: str = "") -> str:
    compared = not where and len(name) + max(map(len, known), default=0) < MAX_COMPARED and len(known) < MAX_COMPARED
    near = difflib.get_close_matches(name, known, n=1) if compared else []
    meant = f" (do you mean {near[0]}?)" if near else ""
    return f'"{name}" is not defined{where}{meant}; expected {expected}'
