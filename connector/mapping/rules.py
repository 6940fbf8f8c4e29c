"""Apply the rules of a mapping file: from a ticket to a text, or to the reason why there is none. Pure."""

import re
from collections import abc
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from connector import phone
from connector.expressions import CannotApply
from connector.languages import Messages
from connector.mapping import customer, message_language, written_fields
from connector.mapping.reasons import reason_of, same_value
from connector.mapping.schema import MappingFile, Rule
from connector.model import Accepted, Decision, LanguageChoice, OutboundSms, Skip, TextRequest, Ticket
from connector.outcome import HeldNote, Outcome
from connector.policy.checks import Policy, Without
from connector.policy.daily_budget import Budgets

# The fields of a ticket, by the mapping's names.
Values = abc.Mapping[str, Any]
# NUL and lone surrogates.
NO_TEXT_CARRIES = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Mapping:
    """A mapping file with the settings that it depends on.

    `outbound_number` (E.164) is for rules that name none; `countries` are the ISO 3166 codes of the countries that may
    be texted; `without` are the policy checks that a trial leaves out; `budgets` are the daily budgets of all mapping
    files (see daily_budgets.py).
    """

    file: MappingFile
    outbound_number: str
    countries: Sequence[str]
    without: frozenset[Without] = frozenset()
    budgets: Budgets = field(default_factory=dict)

    @property
    def policy(self) -> Policy:
        return Policy(self.file.policy, self.without, self.file.fallback_language, self.budgets)

    @property
    def outbound_numbers(self) -> set[str]:
        """Return the numbers that texts may be sent from."""
        return {self._outbound_number(rule) for rule in self.file.rules}

    def _outbound_number(self, rule: Rule) -> str:
        return rule.outbound_number or self.file.outbound_number or self.outbound_number

    def outbound_number_of(self, name: str | None) -> str:
        """Return the number that texts of a request for this rule are sent from. None: the rule of such requests."""
        rule = self._rule(TextRequest(rule=name))
        return self._outbound_number(rule) if rule else ""

    def decide(self, ticket: Ticket, request: TextRequest | None = None) -> Decision | Skip:
        """Decide what to text for this ticket.

        Without a request, the first rule whose `when` holds decides, and later rules are not checked. A request names
        its rule, and the rule's `when` is not checked. A `when` that cannot be applied to the ticket does not hold; a
        `skip_when` that cannot be applied blocks the text. For a trigger that was accepted before, see `decide_again`.
        """
        if request:
            rule = self._rule(request)
            return (
                self._applied(rule, ticket, request) if rule else Skip(f"there is no rule {request.rule}", check="rule")
            )
        for rule in self.file.rules:
            try:
                asks = rule.when.search(ticket.values)
            except CannotApply:
                continue  # a function got no value, or one of another type: the ticket does not meet it
            if asks:
                return self._accepted(rule, ticket, Accepted(rule.name, self._own(rule, ticket.values)))
        return Skip("no rule asks for a text", notify=False, check="rule")

    def decide_again(self, ticket: Ticket, accepted: Accepted, own_writes: Sequence[Values]) -> Decision | Skip:
        """Decide what to text for a ticket that a rule has accepted. Only that rule is applied.

        Its `when` still has to hold, but the connector's own write-backs since then do not count: where a field has a
        value of `own_writes`, the value at acceptance is used instead. So only a change by a person can make the `when`
        false.
        """
        rule = next((rule for rule in self.file.rules if rule.name == accepted.rule), None)
        if rule is None:
            return Skip(f"there is no rule {accepted.rule} any more", check="rule")
        try:
            asks = rule.when.search({**ticket.values, **before_own_writes(ticket.values, accepted, own_writes)})
        except CannotApply:
            asks = False
        if not asks:
            return Skip(f"the ticket was changed and no longer asks for a text (rule {rule.name})", check="changed")
        return self._accepted(rule, ticket, accepted)

    def _accepted(self, rule: Rule, ticket: Ticket, accepted: Accepted) -> Decision | Skip:
        return replace(self._applied(rule, ticket, TextRequest()), accepted=accepted)

    def _own(self, rule: Rule, values: Values) -> dict[str, Any]:
        """Return the values that the rule's `when` uses and that write-backs may change, by the mapping's names."""
        return {name: values[name] for name in rule.when.names if name in self.file.written_names and name in values}

    def asked_about(self, changes: abc.Mapping[str, str | None]) -> dict[str, str | None]:
        """Return those of the written values (by the CRM's names) that any `when` uses, by the mapping's names."""
        written = {self.file.comparable(path): value for path, value in changes.items()}
        asked = {name for rule in self.file.rules for name in rule.when.names}
        return {
            name: written[self.file.comparable(path)]
            for name, path in self.file.fields.items()
            if name in asked and self.file.comparable(path) in written
        }

    def _applied(self, rule: Rule, ticket: Ticket, request: TextRequest) -> Decision | Skip:
        try:
            return self._apply(rule, ticket, request)
        except CannotApply as error:
            return Skip(f"rule {rule.name} cannot be applied: {error}", check="mapping")

    def _apply(self, rule: Rule, ticket: Ticket, request: TextRequest) -> Decision | Skip:
        for why, condition in self.file.guards(rule).items():
            if condition.search(ticket.values):
                return Skip(why)
        ticket_id = ticket.values[self.file.ticket.id]
        if ticket_id is None or not str(ticket_id).strip():
            field = self.file.fields[self.file.ticket.id]
            return Skip(f"{field} is empty: no text without a ticket_id", check="mapping")
        number = customer.number(self.file, ticket, self.countries)
        if isinstance(number, phone.Unusable):
            return Skip(f"no usable phone: {number.why}", check="phone")
        message, language = self._message(rule, ticket, request)
        if NO_TEXT_CARRIES.search(message):
            return Skip("the message holds a character that no text can carry", check="content")
        agent_id, agent_email = customer.agent(self.file, rule, ticket, request)
        sms = OutboundSms(
            end_user_number=number.e164,
            outbound_number=self._outbound_number(rule),
            message=message,
            ticket_id=str(ticket_id),
            agent_id=agent_id,
            agent_email=agent_email,
        )
        return Decision(
            rule.name,
            reason_of(rule, ticket, request.reason_name),
            sms,
            customer.recipient(self.file, ticket),
            rule.window_hours,
            empty=[name for name in rule.once_per if same_value(ticket.values.get(name), None)],
            language=language,
            marked_invalid=self._marked_invalid(ticket),
            ticket_id=ticket.id,
        )

    def _marked_invalid(self, ticket: Ticket) -> bool:
        name = self.file.invalid_numbers.field
        return bool(name and ticket.values.get(name))

    def _message(self, rule: Rule, ticket: Ticket, request: TextRequest) -> tuple[str, LanguageChoice]:
        """Return the message and its language; a request may bring its own words. Raises CannotApply."""
        choice = message_language.choose(self.file, ticket, request.language)
        if request.message is not None:
            return request.message.strip(), choice
        found = self._named(rule, request)
        if found is None:
            raise CannotApply(f"there is no template {request.template}")
        return message_language.render(self.file, found, ticket, choice, request.language)

    def _named(self, rule: Rule, request: TextRequest) -> Messages | None:
        """Return the message of the template that the request names, else of the rule; None: there is none."""
        if request.template is None:
            return rule.message
        found = self.templates().get(request.template)
        return found[1] if found else None

    def unknown(self, request: TextRequest) -> tuple[str, str, list[str]] | None:
        """Return what the request names but the file lacks: rule, template or language, the name, and the known names.

        A language has to be one of the message's own, unless the request brings its own words.
        """
        named = {
            "rule": (request.rule, [rule.name for rule in self.file.rules]),
            "template": (request.template, list(self.templates())),
        }
        for what, (name, known) in named.items():
            if name is not None and name not in known:
                return what, name, known
        known_languages = self._languages(request)
        if request.language is not None and message_language.offered(request.language, known_languages) is None:
            return "language", request.language, list(known_languages)
        return None

    def _languages(self, request: TextRequest) -> tuple[str, ...]:
        """Return the languages that a request may name: those of its message; of all messages for words of its own."""
        rule = self._rule(request)
        messages = self._named(rule, request) if rule and request.message is None else None
        if messages is None or self.file.languages is None:
            return self.file.offered_languages
        return tuple(sorted(key or self.file.fallback_language for key in messages.templates))

    def _rule(self, request: TextRequest) -> Rule | None:
        """Return the rule of a request; None: the file does not have the one that it names."""
        name = request.rule or self.file.agents.rule or self.file.rules[0].name
        return next((rule for rule in self.file.rules if rule.name == name), None)

    def templates(self) -> dict[str, tuple[str, Messages]]:
        """Return (label, message) by name, for agents to start from. Without templates, the rules' messages."""
        if self.file.templates:
            return {words.name: (words.label, words.message) for words in self.file.templates}
        return {rule.name: (rule.label_or_name, rule.message) for rule in self.file.rules}

    def opted_out(self, ticket: Ticket) -> bool:
        """Return whether the ticket says that the customer has opted out. A condition that cannot be applied counts."""
        try:
            return customer.recipient(self.file, ticket).opted_out
        except CannotApply:
            return True

    def write_back(self, outcome: Outcome) -> dict[str, str | None]:
        """Return the ticket's fields after this outcome, by CRM names; None empties a field. Raises CannotApply."""
        return written_fields.of_outcome(self.file, outcome)

    def chat_fields(self, outcome: Outcome) -> dict[str, str | None] | None:
        """Return the fields that follow the chat. None: there is none, or it is not followed. Raises CannotApply."""
        return written_fields.of_chat(self.file, outcome)

    @property
    def notifies_holds(self) -> bool:
        """Return whether the ticket shows what its text waits for."""
        return self.file.write_back.held is not None

    def note(self, note: HeldNote) -> dict[str, str | None]:
        """Return the ticket's fields while its text waits, by CRM names. Raises CannotApply."""
        return written_fields.of_note(self.file, note)


def before_own_writes(values: Values, accepted: Accepted, own_writes: Sequence[Values]) -> Values:
    """Return the values at acceptance of those fields that still have what the connector wrote to them since."""
    return {
        name: value
        for name, value in accepted.values.items()
        if any(same_value(values.get(name), wrote[name]) for wrote in own_writes if name in wrote)
    }
