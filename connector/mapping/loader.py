"""Load and validate a mapping file. Every fault is refused at start, with file, key and expectation."""

import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from connector import expected
from connector.errors import BadMapping, Fault
from connector.expressions import CannotApply
from connector.mapping import feedback_loops, lines
from connector.mapping.outcome_facts import FACTS, HELD_FACTS, HELD_SAMPLE
from connector.mapping.schema import HELD, MappingFile

NO_CHAT = " here, because a text that waits has no chat"


def load(path: Path) -> MappingFile:
    """Load and validate one mapping file. Raises BadMapping, which lists every problem found."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        raw = tomllib.loads(text)
    except OSError as error:
        raise BadMapping(str(path), [Fault("the file", f"cannot be read: {error.strerror}")]) from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise BadMapping(str(path), [Fault("the file", "expected TOML 1.0 in UTF-8: save it as UTF-8", line)]) from None
    except tomllib.TOMLDecodeError as error:
        raise BadMapping(str(path), [Fault("the file", f"expected TOML 1.0 in UTF-8: {error}")]) from None
    return parse(raw, str(path), text)


def parse(raw: dict[str, Any], name: str, text: str = "") -> MappingFile:
    """Validate the parsed TOML of `text`; `name` stands for the file in errors. Raises BadMapping, like `load`."""
    try:
        file = MappingFile.model_validate(raw)
    except ValidationError as error:
        raise BadMapping(name, _faults([_problem(one) for one in error.errors()], raw, text)) from None
    problems = [
        *_undefined(file),
        *_unused(file),
        *_never_written(file),
        *_written_twice(file),
        *_names_of(file),
        *_policy(file),
        *feedback_loops.find(file),
    ]
    if problems:
        raise BadMapping(name, _faults(problems, raw, text))
    return file


def _faults(problems: Sequence[tuple[str, str]], raw: dict[str, Any], text: str) -> list[Fault]:
    """Add lines to the problems, and call rules by their names."""
    found = lines.places(text)
    return [Fault(lines.called(key, raw), words, found.line(key)) for key, words in problems]


def _problem(error: Any) -> tuple[str, str]:
    path = [str(part) for part in error["loc"] if part != "[key]"]
    words = expected.words(error)
    return ".".join(path), f"{words}; {_meant(path)}" if error["type"] == "extra_forbidden" else words


def _meant(path: Sequence[str]) -> str:
    """Suggest the meaning of an unknown key."""
    if len(path) > 1 and path[-1] in MappingFile.model_fields:
        return f"{path[-1]} belongs above the first [table], or has a table of its own"
    return "see the comments in mappings/salesforce.toml for those that are"


def _undefined(file: MappingFile) -> Iterator[tuple[str, str]]:
    for key, name in file.names():
        if name not in file.fields:
            yield key, f'"{name}" is not defined; expected a name of [fields]: {", ".join(file.fields)}'
    for kind in file.write_back.kinds:
        for field, template in file.write_back.of(kind).items():
            facts = HELD_FACTS if kind == HELD else FACTS
            for name in sorted(template.names - facts.keys()):
                yield (
                    f"write_back.{kind}.{field}",
                    f'"{name}" is not defined{NO_CHAT if name == "chat" else ""}; '
                    f"expected one of {', '.join(sorted(facts))}",
                )


def _never_written(file: MappingFile) -> Iterator[tuple[str, str]]:
    """Find values without names that cannot be rendered: they are the same for every ticket, so they always fail.

    What a ticket shows while its text waits has the same facts each time, too.
    """
    for kind in file.write_back.kinds:
        for field, template in file.write_back.of(kind).items():
            try:
                if not template.names:
                    template.render({})
                elif kind == HELD and template.names <= HELD_FACTS.keys():
                    template.render(HELD_SAMPLE)
            except CannotApply as error:
                yield f"write_back.{kind}.{field}", f"expected a text: {error}"


def _written_twice(file: MappingFile) -> Iterator[tuple[str, str]]:
    """Find fields written twice. CRM field names are not case-sensitive: it is chance which value is kept."""
    for kind in file.write_back.kinds:
        names = list(file.write_back.of(kind))
        for index, name in enumerate(names):
            if name.lower() in (other.lower() for other in names[:index]):
                yield f"write_back.{kind}.{name}", "expected each field once: this one is written above"


def _unused(file: MappingFile) -> Iterator[tuple[str, str]]:
    used = {name for _, name in file.names()}
    for name in file.fields:
        if name not in used:
            yield f"fields.{name}", "is read but never used; use it or take it out"


def _names_of(file: MappingFile) -> Iterator[tuple[str, str]]:
    for key, found in (("rules", file.rules), ("templates", file.templates)):
        names = [one.name for one in found]
        for index, name in enumerate(names):
            if name in names[:index]:
                yield f"{key}.{index}.name", f'expected another name: "{name}" is taken, and a name keeps them apart'
    rules = [rule.name for rule in file.rules]
    if file.agents.rule and file.agents.rule not in rules:
        yield "agents.rule", f"expected one of the rules: {', '.join(rules)}"


def _policy(file: MappingFile) -> Iterator[tuple[str, str]]:
    if file.policy.hours.by_state and not file.policy.state:
        yield "policy.hours.by_state", "is never used: expected policy.state, a field with the state's code"
