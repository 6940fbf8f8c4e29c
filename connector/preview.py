"""Preview a text before it is sent. The functions that decide are those of delivery, and nothing is stored."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime

import psycopg

from connector.crms import Crm
from connector.delivery.admission import Clock
from connector.errors import NotThere
from connector.expressions import CannotApply, Template
from connector.mapping.rules import Mapping as TicketMapping
from connector.model import Channel, Decision, OutboundSms, Skip, State, TextRequest, Ticket
from connector.policy import segments
from connector.policy.checks import Finding, Said
from connector.store import agent_requests, daily_budget, pauses, postgres, recipients, text_views

# Borrows a connection for a block.
Connect = Callable[[], AbstractContextManager[psycopg.Connection]]
# Seconds for which a ticket is not read again while an agent types: the message changes, the ticket hardly does.
WHILE_TYPING = 10.0
# Seconds for which a customer who was in another session is assumed to be still in it.
BUSY_FOR = 900


@dataclass(frozen=True, slots=True)
class Words:
    """A template offered to an agent. `message` is rendered for the ticket; empty: it does not suit this ticket."""

    name: str
    label: str
    message: str


@dataclass(frozen=True, slots=True)
class Preview:
    """The result of a preview. `sms` None: no text can be made of the ticket, and a finding says why.

    `after` is the ticket's newest text. Return it with the request, to prevent a second text.
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

    def preview(self, connect: Connect, stem: str, ticket_id: str, ask: TextRequest, typing: bool = False) -> Preview:
        """Preview one text. Raises NotThere; Refused or Unavailable when the call to the CRM fails.

        `connect` gives a connection after the CRM has answered: none is held during the call. `typing`: the ticket may
        be up to WHILE_TYPING seconds old.
        """
        ticket = self._ticket(stem, ticket_id, typing)
        with connect() as connection:
            return self._preview(connection, stem, ticket_id, ask, ticket)

    def _preview(
        self, connection: psycopg.Connection, stem: str, ticket_id: str, ask: TextRequest, ticket: Ticket
    ) -> Preview:
        mapping = self._connected[stem][1]
        decided = mapping.decide(ticket, ask)
        sms, findings = None, [Finding(decided.check, Said.STOP, decided.why)] if isinstance(decided, Skip) else []
        if isinstance(decided, Decision):
            now, policy = self._clock(connection), mapping.policy
            known = daily_budget.with_use(
                connection,
                recipients.known(connection, [(0, stem, decided, None)]),
                {0: decided.sms.outbound_number},
                policy.budgets,
                now,
            )[0]
            ruling = policy.allow(decided, known, Channel.AGENT, ask.override, now, ask.overrides)
            sms, findings = ruling.sms, list(ruling.findings)
        rule = decided.rule if isinstance(decided, Decision) else ask.rule
        findings += self._around(connection, stem, ticket_id, rule)
        shown = mapping.file.ticket
        return Preview(
            ticket=ticket,
            number=_shown(ticket, shown.number),
            customer=_shown(ticket, shown.customer),
            sms=sms,
            size=segments.measure(sms.message if sms else ""),
            max_segments=mapping.file.policy.max_segments,
            findings=findings,
            templates=[_words(name, *found, ticket) for name, found in mapping.templates().items()],
            after=agent_requests.newest(connection, stem, ticket_id),
        )

    def _ticket(self, stem: str, ticket_id: str, typing: bool) -> Ticket:
        at = self._monotonic()
        for key, (read_at, _) in list(self._read.items()):
            if at - read_at > WHILE_TYPING:
                self._read.pop(key, None)
        kept = self._read.get((stem, ticket_id)) if typing else None
        if kept:
            return kept[1]
        ticket = self._connected[stem][0].read([ticket_id]).get(ticket_id)
        if ticket is None:
            raise NotThere("the ticket does not exist, or the connector's user cannot see it")
        self._read[stem, ticket_id] = at, ticket
        return ticket

    def _around(self, connection: psycopg.Connection, stem: str, ticket_id: str, rule: str | None) -> list[Finding]:
        """Return further findings: whether sending is paused, and whether the customer was in another session."""
        in_the_way = pauses.everything(connection).of(stem, Channel.AGENT, rule)
        found = [Finding("paused", Said.STOP if pause.until_resumed else Said.WARN, str(pause)) for pause in in_the_way]
        newest = text_views.listed(connection, None, ticket_id, 1, stem)
        if newest and (newest[0]["busy_since"] or "active SMS session" in newest[0]["why"]):
            at: datetime = newest[0]["changed_at"]
            if newest[0]["state"] != State.SENT and (self._clock(connection) - at).total_seconds() < BUSY_FOR:
                why = f"the customer was in another session at {at.astimezone(UTC):%H:%M} UTC"
                found.append(Finding("session", Said.WARN, why))
        return found


def _shown(ticket: Ticket, name: str | None) -> str:
    return str(ticket.values.get(name) or "") if name else ""


def _words(name: str, label: str, template: Template, ticket: Ticket) -> Words:
    try:
        return Words(name, label, template.render(ticket.values).strip())
    except CannotApply:
        return Words(name, label, "")
