"""From an outcome to the fields of the ticket. Pure."""

from collections.abc import Mapping

from connector.expressions import Template
from connector.mapping import outcome_facts
from connector.mapping.schema import MappingFile
from connector.model import Outcome, State

# By the CRM's names; None empties a field.
Fields = dict[str, str | None]


def of_outcome(file: MappingFile, outcome: Outcome) -> Fields:
    """Return the ticket's fields after this outcome. Raises CannotApply.

    A field of `write_back.chat` counts instead of the same one of `write_back.sent`.
    """
    fields = _rendered(file, file.write_back.of(outcome.state), outcome)
    status = of_chat(file, outcome) or {}
    ours = {name.lower() for name in status}
    return {name: value for name, value in fields.items() if name.lower() not in ours} | status


def of_chat(file: MappingFile, outcome: Outcome) -> Fields | None:
    """Return the fields that follow the chat. None: there is no chat, or none is followed. Raises CannotApply."""
    templates = file.write_back.chat
    if templates is None or outcome.state is not State.SENT or not outcome.chat:
        return None
    return _rendered(file, templates, outcome)


def _rendered(file: MappingFile, templates: Mapping[str, Template], outcome: Outcome) -> Fields:
    facts = outcome_facts.of(outcome, file.chat_status)
    return {name: template.render(facts) or None for name, template in templates.items()}
