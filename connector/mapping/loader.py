"""Load and validate a mapping file. Every fault is refused at start, with file, key and expectation."""

import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from connector import expected
from connector.errors import BadMapping, Fault
from connector.mapping import feedback_loops, lines, message_checks, template_checks
from connector.mapping.schema import RECORD_FIELD_KEYS, MappingFile
from connector.model import FieldKind
from connector.policy import opt_out_words
from connector.policy.opt_out_words import OptOutClass

# What asks about a checkbox in place of a rule's `when`.
WHEN_INSTEAD = {FieldKind.OPT_OUT: "policy.opt_out", FieldKind.PHONE_INVALID: "skip_when"}

# The most dots in a line: a key of tens of thousands of parts would take minutes and gigabytes to read.
MAX_DOTS = 500


def load(path: Path) -> MappingFile:
    """Load and validate one mapping file. Raises BadMapping, which lists every problem found."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadMapping(str(path), [Fault("the file", f"cannot be read: {error.strerror}")]) from None
    return loads(content, str(path))


def text_of(content: bytes) -> str:
    """Return the text of a mapping file, with any line ends made newlines. Raises UnicodeDecodeError."""
    return content.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")


def loads(content: bytes, name: str) -> MappingFile:
    """Validate the content of a mapping file; `name` stands for the file in errors. Raises BadMapping, like `load`."""
    try:
        text = text_of(content)
        _require_few_dots(text, name)
        raw = tomllib.loads(text)
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise BadMapping(name, [Fault("the file", "expected TOML 1.0 in UTF-8: save it as UTF-8", line)]) from None
    except tomllib.TOMLDecodeError as error:
        raise BadMapping(name, [Fault("the file", f"expected TOML 1.0 in UTF-8: {error}")]) from None
    except (RecursionError, ValueError):
        expected = "expected TOML 1.0 without hundreds of nested brackets, and without numbers of thousands of digits"
        raise BadMapping(name, [Fault("the file", expected)]) from None
    return parse(raw, name, text)


def _require_few_dots(text: str, name: str) -> None:
    for number, line in enumerate(text.split("\n"), 1):
        if line.count(".") > MAX_DOTS:
            raise BadMapping(name, [Fault("the file", f"expected at most {MAX_DOTS} dots in a line", number)])


def parse(raw: dict[str, Any], name: str, text: str = "") -> MappingFile:
    """Validate the parsed TOML of `text`; `name` stands for the file in errors. Raises BadMapping, like `load`."""
    try:
        file = MappingFile.model_validate(raw)
    except ValidationError as error:
        raise BadMapping(name, _faults([_problem(one) for one in error.errors()], raw, text)) from None
    problems = [
        *template_checks.find(file),
        *_unused(file),
        *_written_twice(file),
        *_names_of(file),
        *_policy(file),
        *_chat_status(file),
        *message_checks.find(file),
        *_opt_outs(file),
        *_record_fields(file),
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


def _written_twice(file: MappingFile) -> Iterator[tuple[str, str]]:
    """Find fields written twice. CRM field names are not case-sensitive: it is chance which value is kept."""
    for table, _, written in file.write_back.templates():
        names = list(written)
        for index, name in enumerate(names):
            if name.lower() in (other.lower() for other in names[:index]):
                yield f"write_back.{table}.{name}", "expected each field once: this one is written above"


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
    if file.policy.opt_out and not file.policy.opt_out.names:
        same = "is the same for every customer"
        yield "policy.opt_out", f"{same}: expected a condition with a name of [fields], which has no quotes around it"


def _opt_outs(file: MappingFile) -> Iterator[tuple[str, str]]:
    """Find words that mean both things."""
    keys = file.opt_outs
    lists: list[tuple[str, Sequence[str], Sequence[str], OptOutClass]] = [
        ("words", keys.words, keys.start_words, OptOutClass.START),
        ("start_words", keys.start_words, (), OptOutClass.CERTAIN),
    ]
    for key, words, others, opposite in lists:
        taken = {opt_out_words.plain(word) for word in others}
        for index, word in enumerate(words):
            if opt_out_words.classify(word) is opposite or opt_out_words.plain(word) in taken:
                yield f"opt_outs.{key}.{index}", f'expected a word with one meaning: "{word}" means the opposite too'


def _record_fields(file: MappingFile) -> Iterator[tuple[str, str]]:
    """Find one field for two purposes, and rules that could fire when the connector writes such a field."""
    names = file.record_fields
    if len(set(names.values())) < len(names):
        yield RECORD_FIELD_KEYS[FieldKind.PHONE_INVALID], "expected another field than that of opt_outs.field"
    for index, rule in enumerate(file.rules):
        for kind, name in names.items():
            if name in rule.when.names:
                expectation = f"expected a condition without {name}: {RECORD_FIELD_KEYS[kind]} is written by itself"
                yield f"rules.{index}.when", f"{expectation}; use {WHEN_INSTEAD[kind]}"


def _chat_status(file: MappingFile) -> Iterator[tuple[str, str]]:
    if file.chat_status and not any(
        "chat" in used.names for _, _, table in file.write_back.templates() for used in table.values()
    ):
        yield "chat_status", "is never used: expected a field of [write_back] that says {{ chat.status }}"
