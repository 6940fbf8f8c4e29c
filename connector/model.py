"""The domain types, in the order in which a reason to text meets them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


class Channel(StrEnum):
    """The channel that a reason to text came through. Agents have priority."""

    AGENT = "agent"
    TRIGGER = "trigger"
    BATCH = "batch"


class State(StrEnum):
    """The state of a text. `sending` is committed before the call, so that a crash cannot hide a text."""

    RECEIVED = "received"
    QUEUED = "queued"
    SENDING = "sending"
    SENT = "sent"
    SKIPPED = "skipped"
    FAILED = "failed"
    UNKNOWN = "unknown"
    CANCELLED = "cancelled"


class PhoneProblem(StrEnum):
    """Why the customer's number cannot be texted: none on the ticket is fit for it, or the platform refused it."""

    UNUSABLE = "unusable"
    REFUSED = "refused"


OUTCOMES = (State.SENT, State.SKIPPED, State.FAILED, State.UNKNOWN, State.CANCELLED)


@dataclass(frozen=True, slots=True)
class TextRequest:
    """What an agent or a batch requests beyond the ticket. A request need not meet the rule's `when`.

    `rule` and `template` are names of the mapping; `message` is used unchanged. `override` is the agent's reason for
    sending despite overridable findings. `overrides` are the ids of the findings that it was given for; None: any. The
    `agent_…` fields identify the agent, as far as known. `number` is the pseudonym of the intended recipient's number.
    `language` is the tag that a person chose; None: the ticket decides. `send_at` is the time before which it is not
    sent, in ISO 8601 and UTC; None: it is sent at once. `reason_name` makes it a reason of its own beside the rule's.
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
    language: str | None = None
    send_at: str | None = None
    reason_name: str | None = None


@dataclass(frozen=True, slots=True)
class TicketEvent:
    """One event of a CRM: a reason to check a ticket.

    `event_id` is the CRM's own id of the event and makes a redelivery harmless. `changed_by` is the id of the CRM user
    who made the change, where the CRM reports it. `body` is the received payload as JSON. It is a hint only: the ticket
    is read back before a text is sent. `ticket_id` None: there is nothing to text about, and `problem` says why. `raw`
    is the payload where it could not be parsed. `traceparent`: the trace that it belongs to, if any (W3C).
    """

    crm: str
    event_id: str
    ticket_id: str | None
    changed_by: str | None = None
    body: Mapping[str, Any] = field(default_factory=dict)
    channel: Channel = Channel.TRIGGER
    problem: str | None = None
    request: TextRequest | None = None
    raw: bytes | None = None
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class Ticket:
    """A ticket as the CRM has it now. `values` is keyed by the mapping's names; an empty field is None."""

    crm: str
    id: str
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class OutboundSms:
    """One text, ready to send. Numbers are in E.164."""

    end_user_number: str
    outbound_number: str
    message: str
    ticket_id: str
    agent_id: int | None = None
    agent_email: str | None = None


@dataclass(frozen=True, slots=True)
class Skip:
    """A decision not to text, with the reason for the ticket. `notify` False: no text was requested; no write-back.

    `check` names the source of the decision for operators: the ticket, its phone, the mapping, or the message's
    content. `accepted`: set where a rule's `when` held.
    """

    why: str
    notify: bool = True
    check: str = "ticket"
    accepted: "Accepted | None" = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Recipient:
    """The customer according to the ticket: the opt-out, the IANA time zone, the state ("TX")."""

    opted_out: bool = False
    zone: str | None = None
    state: str | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """The rule whose `when` accepted a trigger, and `values` of the ticket at that time, by the mapping's names.

    Only values that `when` uses and that the connector's own write-backs may change are kept.
    """

    rule: str
    values: Mapping[str, Any] = field(hash=False)


@dataclass(frozen=True, slots=True)
class LanguageChoice:
    """The tag of a message's language, and why it was chosen. `language` empty: the mapping has no languages."""

    language: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """The mapping's result for a ticket: a text for a rule's reason. `reason` is a SHA-256 over `once_per`.

    `window_hours`: the number gets no other text for so long after one; None: the policy's window applies. `accepted`:
    set where the rule's `when` decided, not for a request by name. `empty`: fields of `once_per` that are empty on the
    ticket. `language`: the language of the message, and why it was chosen. `marked_invalid`: the CRM's field says that
    the number cannot be texted. `ticket_id`: the CRM's id of the ticket; `sms` may name it otherwise.
    """

    rule: str
    reason: str
    sms: OutboundSms
    recipient: Recipient = Recipient()
    window_hours: float | None = None
    accepted: Accepted | None = None
    empty: Sequence[str] = ()
    language: LanguageChoice = LanguageChoice()
    marked_invalid: bool = False
    ticket_id: str = field(default="", compare=False)


def _no_flag(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("expected a number")  # noqa: TRY004 - what pydantic reports as a problem of the value
    return value


# A chat id has to fit the database. A status that is not text counts as empty.
MAX_CHAT_ID = 2**63 - 1
# A larger number that was read with a point or an exponent is a float, and may have lost digits.
MAX_EXACT_FLOAT = 2**53 - 1
ChatId = Annotated[int, BeforeValidator(_no_flag), Field(ge=1, le=MAX_CHAT_ID)]
ChatStatus = Annotated[str, BeforeValidator(lambda value: value if isinstance(value, str) else "")]


class Chat(BaseModel):
    """CCAI Platform's response to an outbound SMS, with the fields used here.

    Unknown keys are ignored: new ones may appear at any time. A chat with an id exists, even if other fields are
    invalid.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    id: ChatId
    status: ChatStatus = ""


@dataclass(frozen=True, slots=True)
class Text:
    """A text as stored.

    `revision` counts its transitions. A transition names the revision that it starts from, and fails if that is out of
    date. `attempts` counts the tries that certainly sent nothing. `suspected` counts how often this text alone was
    refused while others passed. `refused_at` (UTC) is the time of its last refusal that would affect all texts.
    `busy_for`: seconds that the customer has been in another session. `early`: its next try is still to come; None:
    none is planned. For an unknown text, `sms` is what was sent. `accepted`: how it was accepted, where that was
    decided before. `arrived`: when its event was received, by this process's monotonic clock; for metrics only.
    `traceparent`: the trace of its event. `maybe_sent`: it waited when the database was restored, and may have been
    sent since the backup. `after_maybe_sent`: such a text of its ticket is not decided yet; it claims its reason first.
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
    request: TextRequest | None = None
    accepted: Accepted | None = None
    arrived: float = field(default=0.0, compare=False)
    traceparent: str | None = field(default=None, compare=False)
    maybe_sent: bool = False
    after_maybe_sent: bool = False

    @property
    def attended(self) -> bool:
        """Whether a person waits for the result. Such a text fails at once where others wait or are tried again."""
        return self.channel is Channel.AGENT and not (self.request and self.request.send_at)


class FieldKind(StrEnum):
    """A checkbox in the CRM that the connector writes beside the fields of the outcomes."""

    OPT_OUT = "opt_out"
    PHONE_INVALID = "phone_invalid"


@dataclass(frozen=True, slots=True)
class FieldState:
    """A checkbox of the CRM as it is now, and the id of the record that has it."""

    record: str
    value: bool
