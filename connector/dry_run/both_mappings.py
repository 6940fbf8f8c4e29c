"""The mapping in use and a draft of another one, applied to the same tickets, each of which is read once for both."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from connector.errors import BadMapping, Fault
from connector.mapping import daily_budgets, hints, loader, rules
from connector.mapping.rules import Mapping as TicketMapping
from connector.mapping.schema import MappingFile
from connector.model import Accepted, Ticket

Values = Mapping[str, Any]
# Bytes of a draft. The shipped mapping file, with all its comments, has an eighth of it.
MAX_DRAFT_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class BothMappings:
    """The mapping in use and a draft. `warnings`: what is valid in the draft, but probably unintended, by line."""

    live: TicketMapping
    draft: TicketMapping
    warnings: Sequence[str] = ()

    @property
    def to_read(self) -> MappingFile:
        """Return a file with the fields of both, by their comparable paths: what has to be read of a ticket."""
        files = (self.live.file, self.draft.file)
        fields = {file.comparable(path): path for file in files for path in file.fields.values()}
        return self.live.file.model_copy(update={"fields": fields})


def with_draft(mappings: Mapping[str, TicketMapping], crm: str, content: bytes, name: str) -> BothMappings:
    """Return a CRM's mapping in use with a draft, which has the same settings. `name` stands for the draft in errors.

    Raises BadMapping, which lists every problem with its line.
    """
    if len(content) > MAX_DRAFT_BYTES:
        expected = f"expected at most {MAX_DRAFT_BYTES // 1024} KB, but it has {-(-len(content) // 1024):,}"
        raise BadMapping(name, [Fault("the file", expected)])
    file, live = loader.loads(content, name), mappings[crm]
    if file.ticket.object.lower() != live.file.ticket.object.lower():
        expected = f"expected {live.file.ticket.object}, as in the mapping in use: both are tried on the same tickets"
        raise BadMapping(name, [Fault("ticket.object", expected)])
    others = {f"{crm_name}.toml": mapping for crm_name, mapping in mappings.items() if crm_name != crm}
    draft = replace(live, file=file)
    draft = replace(draft, budgets=daily_budgets.of(others | {name: draft}))
    return BothMappings(live, draft, hints.of(file, loader.text_of(content)))


def as_read_by(mapping: TicketMapping, ticket: Ticket) -> Ticket:
    """Return a ticket that was read for both mappings, by the names of one of them."""
    file = mapping.file
    values = {name: ticket.values[file.comparable(path)] for name, path in file.fields.items()}
    return Ticket(ticket.crm, ticket.id, values)


def as_accepted(live: TicketMapping, ticket: Ticket, accepted: Accepted, own_writes: Sequence[Values]) -> Ticket:
    """Return the ticket as it was before the connector's own write-backs, as far as the accepted rule read them.

    Otherwise no rule would ask for a text that was sent: its ticket says so.
    """
    file = live.file
    values = rules.before_own_writes(as_read_by(live, ticket).values, accepted, own_writes)
    restored = {file.comparable(file.fields[name]): value for name, value in values.items() if name in file.fields}
    return Ticket(ticket.crm, ticket.id, {**ticket.values, **restored})
