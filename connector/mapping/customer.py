"""What a ticket says of its customer: number, time zone, state, opt-out; and of the agent to reply to. Pure."""

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation

from connector import phone
from connector.expressions import CannotApply
from connector.mapping.schema import MappingFile, Rule
from connector.model import MAX_EXACT_FLOAT, Recipient, TextRequest, Ticket

MAX_AGENT_ID = 2**63 - 1


def recipient(file: MappingFile, ticket: Ticket) -> Recipient:
    """Return what the ticket says of the customer. Raises CannotApply."""
    keys = file.policy
    zone = ticket.values.get(keys.zone) if keys.zone else None
    state = ticket.values.get(keys.state) if keys.state else None
    return Recipient(
        opted_out=bool(keys.opt_out and keys.opt_out.search(ticket.values)),
        zone=str(zone) if zone else None,
        state=str(state) if state else None,
    )


def number(file: MappingFile, ticket: Ticket, countries: Sequence[str]) -> phone.Number | phone.Unusable:
    """Return the customer's first usable number, in the mapping's order of preference."""
    phones = file.phones
    said = ticket.values.get(phones.country_from) if phones.country_from else None
    fields = [(file.fields[name], ticket.values.get(name)) for name in phones.prefer]
    country = str(said or "").strip().upper()
    return phone.first_usable(fields, country if country in phone.EVERY_COUNTRY else phones.country, countries)


def agent(file: MappingFile, rule: Rule, ticket: Ticket, request: TextRequest) -> tuple[int | None, str | None]:
    """Return the chat's assignee: the requesting agent where the mapping says so, else the rule's."""
    if file.agents.replies_to_agent and (request.agent_id or request.agent_email):
        return request.agent_id, request.agent_email
    agent_id = rule.agent_id and rule.agent_id.search(ticket.values)
    agent_email = rule.agent_email and rule.agent_email.search(ticket.values)
    return _whole_number(agent_id) if agent_id else None, str(agent_email) if agent_email else None


def _whole_number(value: object) -> int:
    """Return the id with all its digits: a text or a whole number is exact, a float only up to MAX_EXACT_FLOAT."""
    if isinstance(value, float) and abs(value) > MAX_EXACT_FLOAT:
        raise CannotApply("agent_id: the number is too large for a number field and may have lost digits; use a text")
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        number = Decimal("NaN")
    if number.is_finite() and -MAX_AGENT_ID <= number <= MAX_AGENT_ID and number == number.to_integral_value():
        return int(number)
    raise CannotApply(f"agent_id: expected a whole number, found {value!r}")
