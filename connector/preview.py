"""Preview a text before it is sent. The functions that decide are those of delivery, and nothing is stored."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime

import psycopg

from connector import send_at
from connector.crms import Crm
from connector.delivery.admission import Clock
from connector.errors import NotThere, RefusalCode
from connector.expressions import CannotApply
from connector.languages import Messages
from connector.mapping import message_language
from connector.mapping.rules import Mapping as TicketMapping
from connector.model import Channel, Decision, LanguageChoice, OutboundSms, Skip, State, TextRequest, Ticket
from connector.policy import segments
from connector.policy.findings import Finding, Said
from connector.store import agent_requests, daily_budget, pauses, postgres, recipients, text_search
from connector.store.text_search import Only, Search

# Borrows a connection for a block.
Connect = Callable[[], AbstractContextManager[psycopg.Connection]]
# Seconds for which a ticket is not read again while an agent types: the message changes, the ticket hardly does.
WHILE_TYPING = 10.0
# Seconds for which a customer who was in another session is assumed to be still in it.
BUSY_FOR = 900
# Scheduled texts of a ticket that a preview names.
MAX_SCHEDULED = 5


@dataclass(frozen=True, slots=True)
class Words:
    """A template offered to an agent. `message` is rendered for the ticket; empty: it does not suit this ticket.

    `language`: the language that the message has.
    """

    name: str
    label: str
    message: str
    language: str = ""


@dataclass(frozen=True, slots=True)
class Preview:
    """The result of a preview. `sms` None: no text can be made of the ticket, and a finding says why.

    `after` is the ticket's newest text. Return it with the request, to prevent a second text. `language` is that of
    the message; `languages` are those that can be asked for. `send_at` (UTC) is the time that it is scheduled for; the
    policy is applied as of then. None: now.
    """

    ticket: Ticket
    number: str
    customer: str
    sms: OutboundSms | None
    size: segments.Size
    max_segments: int
    findings: Sequence[Finding]
    templates: Sequence[Words]
    after: int
    language: LanguageChoice
    languages: Sequence[str]
    send_at: datetime | None

    @property
    def against(self) -> Sequence[Finding]:
        """Return the findings that block the text."""
        return [one for one in self.findings if one.said is Said.STOP]


class Previews:
    """Previews for all CRMs. Thread-safe."""

    def __init__(
        self,
        connected: Mapping[str, tuple[Crm, TicketMapping]],
        clock: Clock = postgres.now,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connected, self._clock, self._monotonic = connected, clock, monotonic
        # Tickets that were read recently, with the time by a clock of this process.
        self._read: dict[tuple[str, str], tuple[float, Ticket]] = {}

    def crm(self, crm_name: str) -> Crm:
        return self._connected[crm_name][0]

    def preview(
        self, connect: Connect, crm_name: str, ticket_id: str, request: TextRequest, typing: bool = False
    ) -> Preview:
        """Preview one text. Raises NotThere; Refused or Unavailable when the call to the CRM fails.

        `connect` gives a connection after the CRM has answered: none is held during the call. `typing`: the ticket may
        be up to WHILE_TYPING seconds old.
        """
        ticket = self._ticket(crm_name, ticket_id, typing)
        with connect() as connection:
            return self._preview(connection, crm_name, ticket_id, request, ticket)

    def _preview(
        self, connection: psycopg.Connection, crm_name: str, ticket_id: str, request: TextRequest, ticket: Ticket
    ) -> Preview:
        mapping = self._connected[crm_name][1]
        decided = mapping.decide(ticket, request)
        sms, findings = None, [Finding(decided.check, Said.STOP, decided.why)] if isinstance(decided, Skip) else []
        if isinstance(decided, Decision):
            at = (
                max(self._clock(connection), send_at.parse(request.send_at))
                if request.send_at
                else self._clock(connection)
            )
            known = daily_budget.with_use(
                connection,
                recipients.known(connection, [(0, crm_name, decided, None)]),
                {0: decided.sms.outbound_number},
                mapping.policy.budgets,
                at,
            )[0]
            ruling = mapping.policy.allow(decided, known, Channel.AGENT, request.override, at, request.overrides)
            sms, findings = ruling.sms, list(ruling.findings)
        rule = decided.rule if isinstance(decided, Decision) else request.rule
        findings += self._around(connection, crm_name, ticket_id, rule, later=request.send_at is not None)
        shown = mapping.file.ticket
        return Preview(
            ticket=ticket,
            number=_shown(ticket, shown.number),
            customer=_shown(ticket, shown.customer),
            sms=sms,
            size=segments.measure(sms.message if sms else ""),
            max_segments=mapping.file.policy.max_segments,
            findings=findings,
            templates=[
                _words(mapping, name, label, messages, ticket, request.language)
                for name, (label, messages) in mapping.templates().items()
            ],
            after=agent_requests.newest(connection, crm_name, ticket_id),
            language=decided.language if isinstance(decided, Decision) else LanguageChoice(),
            languages=mapping.file.offered_languages,
            send_at=send_at.parse(request.send_at) if request.send_at else None,
        )

    def _ticket(self, crm_name: str, ticket_id: str, typing: bool) -> Ticket:
        at = self._monotonic()
        for key, (read_at, _) in list(self._read.items()):
            if at - read_at > WHILE_TYPING:
                self._read.pop(key, None)
        kept = self._read.get((crm_name, ticket_id)) if typing else None
        if kept:
            return kept[1]
        ticket = self._connected[crm_name][0].read([ticket_id]).get(ticket_id)
        if ticket is None:
            raise NotThere("the ticket does not exist, or the connector's user cannot see it")
        self._read[crm_name, ticket_id] = at, ticket
        return ticket

    def _around(
        self, connection: psycopg.Connection, crm_name: str, ticket_id: str, rule: str | None, later: bool
    ) -> list[Finding]:
        """Return further findings: pauses, texts that are scheduled, and whether the customer was in another session.

        `later`: the text is to be sent at a later time, so that a pause of now does not stop it.
        """
        in_the_way = pauses.everything(connection).of(crm_name, Channel.AGENT, rule)
        found = [
            Finding("paused", Said.STOP if pause.until_resumed and not later else Said.WARN, str(pause))
            for pause in in_the_way
        ]
        scheduled = Search(crms=[crm_name], ticket=ticket_id, only=Only.SCHEDULED)
        for text in text_search.find(connection, scheduled, MAX_SCHEDULED):
            why = f"text {text.id} about this ticket is {text.why}"
            found.append(Finding("scheduled", Said.WARN, why, about=str(text.id)))
        for newest in text_search.find(connection, Search(crms=[crm_name], ticket=ticket_id), 1):
            at, busy = newest.changed_at, newest.busy_since or newest.code is RefusalCode.CUSTOMER_BUSY
            if busy and newest.state is not State.SENT and (self._clock(connection) - at).total_seconds() < BUSY_FOR:
                why = f"the customer was in another session at {at.astimezone(UTC):%H:%M} UTC"
                found.append(Finding("session", Said.WARN, why))
        return found


def _shown(ticket: Ticket, name: str | None) -> str:
    return str(ticket.values.get(name) or "") if name else ""


def _words(
    mapping: TicketMapping, name: str, label: str, messages: Messages, ticket: Ticket, language: str | None
) -> Words:
    """Return a template's words in the language asked for, else in the ticket's; where it lacks it, in the fallback."""
    try:
        choice = message_language.choose(mapping.file, ticket, language)
        message, choice = message_language.render(mapping.file, messages, ticket, choice)
        return Words(name, label, message, choice.language)
    except CannotApply:
        return Words(name, label, "")
