"""The nouns of the pipe, in the order in which a reason to text meets them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


class Channel(StrEnum):
    """Which way a reason came in. A person comes first."""

    AGENT = "agent"
    TRIGGER = "trigger"
    BATCH = "batch"


class State(StrEnum):
    """Where a text is. `sending` is committed before the call, so that a crash can never hide one."""

    RECEIVED = "received"
    QUEUED = "queued"
    SENDING = "sending"
    SENT = "sent"
    SKIPPED = "skipped"
    FAILED = "failed"
    UNKNOWN = "unknown"
    CANCELLED = "cancelled"


OUTCOMES = (State.SENT, State.SKIPPED, State.FAILED, State.UNKNOWN, State.CANCELLED)


@dataclass(frozen=True, slots=True)
class TextRequest:
    """What a person or a batch wants beyond what the ticket says. Whoever asks need not fulfil the rule's `when`.

    `rule` and `template` are names of the mapping; `message` is taken as it is. `override` says why a person sends it
    in spite of what may be overridden, and `overrides` names the findings that this reason was given for; None: any.
    `agent_…` are who asks, as far as known. `number` (a pseudonym) is whose text it is meant to be.
    """

    rule: str | None = None
    template: str | None = None
    message: str | None = None
    override: str = ""
    overrides: tuple[str, ...] | None = None
    agent_name: str | None = None
    agent_email: str | None = None
    agent_id: int | None = None
    number: str | None = None


@dataclass(frozen=True, slots=True)
class TicketEvent:
    """One reason to look at a ticket, as a CRM told it.

    `event_id` is the CRM's own id of the event and makes a redelivery harmless. `changed_by` is the id of the CRM's
    user whose change it was, where the CRM says. `body` is what came, as JSON; it is a hint only: the ticket is read
    back before anything is sent. `ticket_id` None: nothing to text about, and `problem` says why. `raw` is what came
    where it could not be read.
    """

    crm: str
    event_id: str
    ticket_id: str | None
    changed_by: str | None = None
    body: Mapping[str, Any] = field(default_factory=dict)
    channel: Channel = Channel.TRIGGER
    problem: str | None = None
    ask: TextRequest | None = None
    raw: bytes | None = None


@dataclass(frozen=True, slots=True)
class Ticket:
    """A ticket as the CRM has it now. `values` holds the mapping's names; an empty field is None."""

    crm: str
    id: str
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class OutboundSms:
    """One text, ready to leave. Numbers in E.164."""

    end_user_number: str
    outbound_number: str
    message: str
    ticket_id: str
    agent_id: int | None = None
    agent_email: str | None = None


@dataclass(frozen=True, slots=True)
class Skip:
    """No text, and why, in words for the ticket. `told` False: the ticket asked for nothing and is left alone.

    `check`: what said no, for people who look: the ticket itself, its phone, the mapping, or the message's content.
    """

    why: str
    told: bool = True
    check: str = "ticket"


@dataclass(frozen=True, slots=True)
class Recipient:
    """What the ticket says of the person: whether they opted out, their IANA time zone, their state ("TX")."""

    opted_out: bool = False
    zone: str | None = None
    state: str | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """What made a trigger a text: the rule whose `when` held, and `values` of the ticket then, by the mapping's names.

    Of the values only those that the connector's own writes may change, and that `when` asks about.
    """

    rule: str
    values: Mapping[str, Any] = field(hash=False)


@dataclass(frozen=True, slots=True)
class Decision:
    """What the mapping makes of a ticket: a text for a rule's reason. `reason` is a SHA-256 over `once_per`.

    `window_hours`: so long after one text its number gets no other; None: as the policy says. `accepted`: where the
    rule's `when` decided, and nobody asked by name. `empty`: fields of `once_per` that are empty on the ticket.
    """

    rule: str
    reason: str
    sms: OutboundSms
    recipient: Recipient = Recipient()
    window_hours: float | None = None
    accepted: Accepted | None = None
    empty: Sequence[str] = ()


def _no_flag(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("expected a number")  # noqa: TRY004 - what pydantic reports as a problem of the value
    return value


# What may be a chat's id: nothing that the database could not keep. A status that is no text is none.
MAX_CHAT_ID = 2**63 - 1
ChatId = Annotated[int, BeforeValidator(_no_flag), Field(ge=1, le=MAX_CHAT_ID)]
ChatStatus = Annotated[str, BeforeValidator(lambda value: value if isinstance(value, str) else "")]


class Chat(BaseModel):
    """CCAI Platform's answer to an outbound SMS, as far as it matters here.

    Keys that are not known are ignored: new ones may appear any time. A chat with an id exists, whatever else is odd.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    id: ChatId
    status: ChatStatus = ""


@dataclass(frozen=True, slots=True)
class Text:
    """A text as the ledger has it.

    `revision` counts its steps: the next one names it, and is not taken by whoever read an older one. `attempts` counts
    the tries that certainly sent nothing; `suspected` how often it alone was refused while others passed; `refused_at`
    (UTC) when it last met what all would meet. `busy_for`: for how many seconds the customer has been in another
    session. `early`: its next try is still to come, None: none is planned. Of an unknown text, `sms` is what was sent.
    `accepted`: how it was accepted, where it was decided before.
    """

    id: int
    crm: str
    ticket_id: str
    channel: Channel
    state: State
    revision: int
    changed_by: str | None
    attempts: int
    suspected: int
    refused_at: datetime | None
    busy_for: float | None
    early: bool | None
    sms: OutboundSms | None = None
    ask: TextRequest | None = None
    accepted: Accepted | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a ticket has to learn. `version` counts a text's outcomes.

    `attempts`: writes in a row that the CRM did not take, for one kind of error; `refused_before`: by refusing them.

    `chat` is {"id": int, "status": str} or None; `at` is in UTC. `contradicted`: an answer that came after somebody had
    settled the text otherwise, in words.
    """

    text: int
    version: int
    crm: str
    ticket_id: str
    state: State
    why: str
    rule: str | None
    chat: Mapping[str, Any] | None
    at: datetime
    attempts: int = 0
    refused_before: bool = False
    contradicted: str | None = None
