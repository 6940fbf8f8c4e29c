"""From a ticket to a text, or the reason why not: the mapping file's rules, applied. Pure."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from connector import phone
from connector.mapping_file import MappingFile, Rule
from connector.model import Decision, OutboundSms, Outcome, Skip, Ticket
from connector.templates import CannotApply


@dataclass(frozen=True, slots=True)
class Mapping:
    """A mapping file together with the two settings that it leans on.

    `outbound_number` (E.164) is for rules that name none; `countries` are the ISO 3166 codes that may be texted.
    """

    file: MappingFile
    outbound_number: str
    countries: Sequence[str]

    @property
    def outbound_numbers(self) -> set[str]:
        """The numbers that texts may leave from."""
        shared = self.file.outbound_number or self.outbound_number
        return {rule.outbound_number or shared for rule in self.file.rules}

    def decide(self, ticket: Ticket) -> Decision | Skip:
        """What to text for this ticket. The first rule whose `when` holds decides; the others are not looked at."""
        for rule in self.file.rules:
            try:
                if rule.when.search(ticket.values):
                    return self._apply(rule, ticket)
            except CannotApply as error:
                return Skip(f"rule {rule.name} cannot be applied: {error}")
        return Skip("no rule asks for a text", told=False)

    def _apply(self, rule: Rule, ticket: Ticket) -> Decision | Skip:
        for why, condition in rule.skip_when.items():
            if condition.search(ticket.values):
                return Skip(why)
        number = self._number(ticket)
        if isinstance(number, phone.Unusable):
            return Skip(f"no usable phone: {number.why}")
        message = rule.message.render(ticket.values).strip()
        if not message:
            return Skip("the message is empty")
        if any(character == "\0" or "\ud800" <= character <= "\udfff" for character in message):
            return Skip("the message holds a character that no text can carry")
        agent_id = rule.agent_id and rule.agent_id.search(ticket.values)
        agent_email = rule.agent_email and rule.agent_email.search(ticket.values)
        sms = OutboundSms(
            end_user_number=number.e164,
            outbound_number=rule.outbound_number or self.file.outbound_number or self.outbound_number,
            message=message,
            ticket_id=str(ticket.values[self.file.ticket.id]),
            agent_id=_whole_number(agent_id) if agent_id else None,
            agent_email=str(agent_email) if agent_email else None,
        )
        return Decision(rule.name, reason_of(rule, ticket), sms)

    def _number(self, ticket: Ticket) -> phone.Number | phone.Unusable:
        phones = self.file.phones
        said = ticket.values.get(phones.country_from) if phones.country_from else None
        fields = [(self.file.fields[name], ticket.values.get(name)) for name in phones.prefer]
        return phone.first_usable(fields, str(said or phones.country).upper(), self.countries)

    def write_back(self, outcome: Outcome) -> dict[str, str | None]:
        """The ticket's fields after this outcome, by the CRM's names; None empties a field. Raises CannotApply."""
        facts = {
            "state": outcome.state.value,
            "why": outcome.why,
            "text": outcome.text,
            "rule": outcome.rule,
            "chat": outcome.chat,
            "at": outcome.at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        wanted = self.file.write_back.of(outcome.state)
        return {field: template.render(facts) or None for field, template in wanted.items()}


def reason_of(rule: Rule, ticket: Ticket) -> str:
    """The key that makes two texts the same text: a hash, because `once_per` may name personal data."""
    values = [ticket.values.get(name) for name in rule.once_per]
    return hashlib.sha256(json.dumps(values, default=str).encode()).hexdigest()


def _whole_number(value: object) -> int:
    try:
        number = float(str(value))
        if number.is_integer():
            return int(number)
    except ValueError:
        pass
    raise CannotApply(f"agent_id: expected a whole number, found {value!r}")
