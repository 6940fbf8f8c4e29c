"""The structure of a mapping file. Unknown keys and wrong types are errors; loader.py checks the rest."""

from collections.abc import Iterator, Mapping
from functools import cached_property

from pydantic import Field

from connector import config_types
from connector.config_types import AnyCondition, AnyTemplate, Country, FieldName, FieldPath, Name, Strict, Written
from connector.expressions import Condition, Template
from connector.model import OUTCOMES
from connector.policy.config import PolicyKeys

# The table of what a ticket shows while its text waits.
HELD = "held"


class TicketKeys(Strict):
    """`object` is the CRM's type of record; `id` names the field that is sent to CCAI Platform as ticket_id.

    `number` and `customer` name the fields by which people know a ticket. Agents see them.
    """

    object: FieldName
    id: Name
    number: Name | None = None
    customer: Name | None = None


class Phones(Strict):
    """`prefer` names fields, best first; `country_from` names a field with the ISO code of the ticket's country."""

    prefer: list[Name] = Field(min_length=1)
    country: Country = "US"
    country_from: Name | None = None


class Rule(Strict):
    """A reason to text. See mappings/salesforce.toml for the meaning of each key."""

    name: Name
    label: str | None = Field(default=None, min_length=1, max_length=80)
    when: AnyCondition
    skip_when: dict[str, AnyCondition] = {}
    once_per: list[Name] = Field(min_length=1)
    message: AnyTemplate
    outbound_number: config_types.E164 | None = None
    agent_id: AnyCondition | None = None
    agent_email: AnyCondition | None = None
    window_hours: float | None = Field(default=None, ge=0, le=24 * 366)

    @property
    def label_or_name(self) -> str:
        """Return what agents see: the label, or else the name in plain writing."""
        return self.label or self.name.replace("_", " ").capitalize()

    def names(self) -> Iterator[tuple[str, str]]:
        """Yield (key, name) for every field name that the rule uses."""
        expressions: dict[str, Condition | Template] = {"when": self.when, "message": self.message}
        expressions |= {f"skip_when.{why}": condition for why, condition in self.skip_when.items()}
        expressions |= {key: value for key in ("agent_id", "agent_email") if (value := getattr(self, key))}
        for key, expression in expressions.items():
            yield from ((key, name) for name in sorted(expression.names))
        yield from (("once_per", name) for name in self.once_per)


class Words(Strict):
    """A template that an agent can start from; `label` is shown to the agent."""

    name: Name
    label: str = Field(min_length=1, max_length=80)
    message: AnyTemplate


class Agents(Strict):
    """How agents text: the rule that applies (else the first), and whether replies go to the requesting agent."""

    rule: Name | None = None
    replies_to_agent: bool = False


class WriteBack(Strict):
    """What each outcome writes to the ticket: the CRM's field and a template over the outcome.

    `held` is written while the text waits, and replaced by the outcome.
    """

    sent: Written
    failed: Written
    skipped: Written
    unknown: Written
    cancelled: Written
    held: Written | None = None

    @property
    def kinds(self) -> tuple[str, ...]:
        """Return the names of the tables that the file has."""
        return (*(state.value for state in OUTCOMES), *([HELD] if self.held else []))

    def of(self, kind: str) -> Mapping[str, Template]:
        written: Mapping[str, Template] | None = getattr(self, kind)
        return written or {}


class MappingFile(Strict):
    """A whole mapping file, validated. `skip_when` applies to all rules, in addition to each rule's own."""

    ticket: TicketKeys
    fields: dict[Name, FieldPath] = Field(min_length=1)
    phones: Phones
    outbound_number: config_types.E164 | None = None
    skip_when: dict[str, AnyCondition] = {}
    rules: list[Rule] = Field(min_length=1)
    templates: list[Words] = []
    agents: Agents = Agents()
    policy: PolicyKeys = PolicyKeys()
    write_back: WriteBack

    @cached_property
    def written_names(self) -> frozenset[str]:
        """Return the names of the fields that are written back."""
        paths = {self.comparable(path) for kind in self.write_back.kinds for path in self.write_back.of(kind)}
        return frozenset(name for name, path in self.fields.items() if self.comparable(path) in paths)

    def guards(self, rule: Rule) -> Mapping[str, Condition]:
        """Return all conditions that block a rule's text, by the reason for the ticket: the file's, then the rule's."""
        return {**self.skip_when, **rule.skip_when}

    def comparable(self, path: str) -> str:
        """Return a field's path as CRMs compare it: in lower case, without the object's own name before it."""
        own, _, rest = path.lower().partition(".")
        return rest if rest and own == self.ticket.object.lower() else path.lower()

    def names(self) -> Iterator[tuple[str, str]]:
        """Yield (key, name) for every field name that the file uses."""
        shown = {"id": self.ticket.id, "number": self.ticket.number, "customer": self.ticket.customer}
        yield from ((f"ticket.{key}", name) for key, name in shown.items() if name)
        yield from (("phones.prefer", name) for name in self.phones.prefer)
        if self.phones.country_from:
            yield "phones.country_from", self.phones.country_from
        for why, condition in self.skip_when.items():
            yield from ((f"skip_when.{why}", name) for name in sorted(condition.names))
        for index, rule in enumerate(self.rules):
            yield from ((f"rules.{index}.{key}", name) for key, name in rule.names())
        for index, words in enumerate(self.templates):
            yield from ((f"templates.{index}.message", name) for name in sorted(words.message.names))
        yield from self.policy.names()
