"""From an outcome, or from what a text waits for, to the fields of the ticket. Pure."""

from collections.abc import Mapping
from typing import Any

from connector.expressions import Template
from connector.mapping import outcome_facts
from connector.mapping.schema import MappingFile
from connector.model import State
from connector.outcome import HeldNote, Outcome

# By the CRM's names; None empties a field.
Fields = dict[str, str | None]


def of_outcome(file: MappingFile, outcome: Outcome) -> Fields:
    """Return the ticket's fields after this outcome. Raises CannotApply.

    A field of `write_back.chat` counts instead of the same one of `write_back.sent`.
    """
    fields = _rendered(file.write_back.of(outcome.state), outcome_facts.of(outcome, file.chat_status))
    status = of_chat(file, outcome) or {}
    ours = {name.lower() for name in status}
    return {name: value for name, value in fields.items() if name.lower() not in ours} | status


def of_chat(file: MappingFile, outcome: Outcome) -> Fields | None:
    """Return the fields that follow the chat. None: there is no chat, or none is followed. Raises CannotApply."""
    templates = file.write_back.chat
    if templates is None or outcome.state is not State.SENT or not outcome.chat:
        return None
    return _rendered(templates, outcome_facts.of(outcome, file.chat_status))


def of_note(file: MappingFile, note: HeldNote) -> Fields:
    """Return the ticket's fields while its text waits. Raises CannotApply."""
    return _rendered(file.write_back.held or {}, outcome_facts.of_note(note))


def _rendered(templates: Mapping[str, Template], facts: Mapping[str, Any]) -> Fields:
    return {name: template.render(facts) or None for name, template in templates.items()}
