"""The structure of a mapping file. Unknown keys and wrong types are errors; loader.py checks the rest."""

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from connector import config_types, languages
from connector.config_types import (
    AnyCondition,
    AnyMessage,
    Country,
    FieldName,
    FieldPath,
    Language,
    Name,
    StatusWord,
    Strict,
    Written,
)
from connector.expressions import Condition, Template
from connector.languages import Messages
from connector.model import OUTCOMES, FieldKind, State
from connector.policy import opt_out_words
from connector.policy.config import PolicyKeys

# The tables of [write_back] beside those of the outcomes.
CHAT, HELD = "chat", "held"


def _word(given: str) -> str:
    if not opt_out_words.plain(given):
        raise ValueError('expected a word such as "BASTA"')
    return given


# A whole message of a customer, in any spelling.
Word = Annotated[str, AfterValidator(_word)]


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
    message: AnyMessage
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
        expressions: dict[str, Condition | Messages] = {"when": self.when, "message": self.message}
        expressions |= {f"skip_when.{why}": condition for why, condition in self.skip_when.items()}
        expressions |= {key: value for key in ("agent_id", "agent_email") if (value := getattr(self, key))}
        for key, expression in expressions.items():
            yield from ((key, name) for name in sorted(expression.names))
        yield from (("once_per", name) for name in self.once_per)


class Words(Strict):
    """A template that an agent can start from; `label` is shown to the agent."""

    name: Name
    label: str = Field(min_length=1, max_length=80)
    message: AnyMessage


class Agents(Strict):
    """How agents text: the rule that applies (else the first), and whether replies go to the requesting agent."""

    rule: Name | None = None
    replies_to_agent: bool = False


class Languages(Strict):
    """The languages of messages: `of` finds the customer's on the ticket, and `fallback` is for all others.

    `called` has tags for words that are no tags, such as "Spanish".
    """

    of: AnyCondition
    fallback: Language
    called: Annotated[dict[str, str], BeforeValidator(languages.called)] = {}


class WriteBack(Strict):
    """What each outcome writes to the ticket: the CRM's field and a template over the outcome.

    `chat` is written with `sent`, and again whenever the chat's status changes; without it, the status is not followed.
    `held` is written while the text waits, and replaced by the outcome.
    """

    sent: Written
    failed: Written
    skipped: Written
    unknown: Written
    cancelled: Written
    chat: Written | None = None
    held: Written | None = None

    def of(self, state: State) -> Mapping[str, Template]:
        written: Mapping[str, Template] = getattr(self, state.value)
        return written

    def templates(self) -> Iterator[tuple[str, State | None, Mapping[str, Template]]]:
        """Yield (name of the table, state of the text, fields) for everything that is written. None: it still waits."""
        yield from ((state.value, state, self.of(state)) for state in OUTCOMES)
        if self.chat:
            yield CHAT, State.SENT, self.chat
        if self.held:
            yield HELD, None, self.held


class OptOuts(Strict):
    """Opt-outs by text: the field of `[fields]` that is written, and words beside those of the connector."""

    field: Name | None = None
    words: list[Word] = []
    start_words: list[Word] = []


class InvalidNumbers(Strict):
    """Numbers that cannot be texted: the field of `[fields]` that marks them."""

    field: Name | None = None


# The keys that name the checkboxes which are written beside the outcomes.
RECORD_FIELD_KEYS = {FieldKind.OPT_OUT: "opt_outs.field", FieldKind.PHONE_INVALID: "invalid_numbers.field"}


class MappingFile(Strict):
    """A whole mapping file, validated. `skip_when` applies to all rules, in addition to each rule's own.

    `chat_status` has the words that people read for CCAI Platform's status words. A word that it lacks stays as it is.
    """

    ticket: TicketKeys
    fields: dict[Name, FieldPath] = Field(min_length=1)
    phones: Phones
    outbound_number: config_types.E164 | None = None
    skip_when: dict[str, AnyCondition] = {}
    rules: list[Rule] = Field(min_length=1)
    languages: Languages | None = None
    templates: list[Words] = []
    agents: Agents = Agents()
    policy: PolicyKeys = PolicyKeys()
    opt_outs: OptOuts = OptOuts()
    invalid_numbers: InvalidNumbers = InvalidNumbers()
    write_back: WriteBack
    chat_status: dict[StatusWord, StatusWord] = {}

    @cached_property
    def written_names(self) -> frozenset[str]:
        """Return the names of the fields that are written back."""
        paths = {self.comparable(path) for _, _, written in self.write_back.templates() for path in written}
        return frozenset(name for name, path in self.fields.items() if self.comparable(path) in paths)

    @property
    def record_fields(self) -> dict[FieldKind, str]:
        """Return the names of the checkboxes that are written beside the outcomes, where the file has them."""
        named = {FieldKind.OPT_OUT: self.opt_outs.field, FieldKind.PHONE_INVALID: self.invalid_numbers.field}
        return {kind: name for kind, name in named.items() if name}

    @property
    def fallback_language(self) -> str:
        """Return the tag of messages that name no language; empty: the file has no languages."""
        return self.languages.fallback if self.languages else ""

    def messages(self) -> Iterator[tuple[str, Messages]]:
        """Yield (key, message) for the messages of all rules and templates."""
        yield from ((f"rules.{index}.message", rule.message) for index, rule in enumerate(self.rules))
        yield from ((f"templates.{index}.message", words.message) for index, words in enumerate(self.templates))

    def message_templates(self) -> Iterator[tuple[str, Template]]:
        """Yield (key, template) for each language of these messages."""
        for key, message in self.messages():
            for language, template in message.templates.items():
                yield f"{key}.{language}" if language else key, template

    @cached_property
    def offered_languages(self) -> tuple[str, ...]:
        """Return the tags of the languages of all messages, in order; none where the file has no languages."""
        if self.languages is None:
            return ()
        named = (message.languages for _, message in self.messages())
        return tuple(sorted({self.languages.fallback}.union(*named)))

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
        if self.languages:
            yield from (("languages.of", name) for name in sorted(self.languages.of.names))
        yield from self.policy.names()
        yield from ((RECORD_FIELD_KEYS[kind], name) for kind, name in self.record_fields.items())
