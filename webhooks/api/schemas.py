"""Bodies and answers of the API. Flat and without null, as Salesforce External Services imports OpenAPI 3.0.

Unknown values are left out of answers. Times are ISO 8601 in UTC; phone numbers are masked.
"""

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.config import JsonDict

from connector import expected
from connector.model import MAX_EXACT_FLOAT, Channel, State
from connector.policy.findings import Said
from connector.policy.opt_outs import Source
from webhooks.absent import Sparse

# The document states the validator's pattern in JSON Schema.
PLAIN: JsonDict = {"pattern": f"^{expected.NO_CONTROLS}$"}
Short = Annotated[str, Field(max_length=200, json_schema_extra=PLAIN), expected.PLAIN]
Crm = Annotated[str, Field(max_length=40, description="Which CRM; needed only where there are several.")]
TicketId = Annotated[
    str,
    Field(min_length=1, max_length=100, json_schema_extra=PLAIN, description="The CRM's id of the ticket."),
    expected.PLAIN,
]
FindingId = Annotated[str, Field(min_length=1, max_length=100, json_schema_extra=PLAIN), expected.PLAIN]
# More than any policy allows. The policy sets the real limit, in segments.
MAX_CHARACTERS = 5000


def _whole(given: object) -> object:
    """Return 7.0 as 7: for JSON Schema, both are integers. A float that may have lost digits stays one."""
    return int(given) if isinstance(given, float) and given.is_integer() and abs(given) <= MAX_EXACT_FLOAT else given


Whole = Annotated[int, BeforeValidator(_whole)]


class Strict(Sparse):
    """A body. No value is converted: true is no number, and "false" is no switch."""

    model_config = ConfigDict(extra="forbid", strict=True)


class PreviewBody(Strict):
    """The text to preview. Without message and template, the rule's own message."""

    ticket_id: TicketId
    crm: Crm = ""
    rule: Short = Field(default="", description="A rule of the mapping, else 422; without one, the rule for agents.")
    template: Short = Field(default="", description="The words of this template of the mapping, else 422.")
    message: str = Field(default="", max_length=MAX_CHARACTERS, description="The words themselves.")
    language: Short = Field(
        default="", description="A language of the message, such as es, else 422; without one, the ticket decides."
    )
    send_at: Annotated[str, expected.PLAIN] = Field(
        default="",
        max_length=40,
        json_schema_extra=PLAIN,
        description="Not to be sent before this time: RFC 3339 with an offset, such as 2026-11-27T09:30:00-05:00.",
    )
    override: Short = Field(default="", description="The agent's reason for overriding the findings in `overrides`.")
    overrides: list[FindingId] = Field(
        default=[], max_length=20, description="The findings that this reason is for: their ids, from the preview."
    )


class SendBody(PreviewBody):
    """A text to send, once."""

    after: Whole = Field(
        default=-1,
        ge=-1,
        le=2**62,
        description="`after` of the preview, which is the ticket's newest text then: it prevents a second text.",
    )
    agent_name: Short = Field(default="", description="The requesting agent; with a CRM's token, the token's user.")
    agent_email: Short = ""
    agent_id: Whole = Field(default=0, ge=0, le=2**62)


class LinkBody(Strict):
    """The agent and the ticket of a link."""

    ticket_id: TicketId
    crm: Crm = ""
    agent_name: Short = ""
    agent_email: Short = ""
    agent_id: Whole = Field(default=0, ge=0, le=2**62)


class SuppressionBody(Strict):
    """A number to add to the suppression list, or to remove from it."""

    number: Annotated[str, expected.PLAIN] = Field(
        min_length=3, max_length=40, json_schema_extra=PLAIN, description="In E.164, such as +14155550132."
    )
    suppressed: bool = Field(default=True, description="false: it may be texted again.")
    why: Short = ""


class IdempotencyHeader(BaseModel):
    """The same key and body are the same text, however often they are sent."""

    idempotency_key: str = Field(alias="Idempotency-Key", min_length=1, max_length=255)


class Wait(Sparse):
    """How long to wait for the outcome."""

    wait: float = Field(default=0, ge=0, le=20, description="Seconds to wait for the outcome.")


class TextPath(BaseModel):
    id: int = Field(ge=1, le=2**62)


class TicketPath(BaseModel):
    crm: Crm
    ticket_id: TicketId


class Finding(BaseModel):
    """The result of one check of the policy."""

    id: str = Field(default="", description="Names it among a request's `overrides`.")
    check: str
    verdict: Said
    why: str
    overridable: bool = Field(description="An agent may override it with a reason, or has done so.")


class Template(BaseModel):
    """A template; `message` is rendered for the ticket, and left out where that is not possible."""

    name: str
    label: str
    message: str = ""
    language: str = Field(default="", description="The language of these words.")


class Preview(BaseModel):
    """A text as it would be sent, with the findings of the policy."""

    crm: str
    ticket_id: str
    number: str = Field(default="", description="The ticket's number for people.")
    customer: str = ""
    to: str = Field(default="", description="The recipient's number, masked.")
    sender: str = Field(default="", alias="from", description="The outbound number.")
    message: str = Field(default="", description="The exact message.")
    encoding: str = ""
    segments: int = 0
    segments_most: int
    language: str = Field(default="", description="The language of the message, where the mapping has several.")
    language_why: str = Field(default="", description="Why it is in this language.")
    languages: list[str] = Field(default=[], description="The languages that can be requested.")
    send_at: str = Field(default="", description="The time that it is scheduled for: the checks are as of then.")
    characters: int = 0
    allowed: bool
    overridable: bool = Field(description="Every finding that blocks it may be overridden with a reason.")
    why: str = Field(default="", description="Why it is blocked or has to wait, in words.")
    findings: list[Finding]
    templates: list[Template]
    after: int = Field(description="The ticket's newest text, for the request that sends.")

    model_config = ConfigDict(serialize_by_alias=True)


class Text(BaseModel):
    """A text with its state and outcome."""

    id: int
    crm: str
    ticket_id: str
    channel: Channel
    state: State
    final: bool = Field(description="It has its outcome.")
    said: str = Field(description="Its state or outcome, in a sentence.")
    why: str = ""
    to: str = Field(default="", description="Masked.")
    message: str = ""
    segments: int = 0
    chat_id: int = 0
    chat_status: str = Field(default="", description="The chat's present status, in CCAI Platform's words.")
    chat_ended: bool = Field(default=False, description="The chat has ended, as far as is known.")
    agent: str = Field(default="", description="The requesting agent.")
    reason: str = Field(default="", description="The name of a back-fill's own reason.")
    ticket_notified: bool = Field(description="The ticket has the outcome.")
    cancellable: bool
    duplicate: bool = Field(default=False, description="It had been requested before: this is that text.")
    requested_at: str
    changed_at: str
    leaves_at: str = Field(default="", description="It is held until then.")
    send_at: str = Field(default="", description="The time that it was scheduled for.")
    pause: str = Field(default="", description="The operator's pause that keeps it from being sent, in words.")


class Texts(BaseModel):
    texts: list[Text]


class Suppression(BaseModel):
    """The state of a number on the suppression list."""

    number: str = Field(description="Masked.")
    suppressed: bool
    changed: bool = Field(description="Whether this request has changed it.")
    sources: list[Source] = Field(
        description="The sources of its entries: a person, a word of the customer, CCAI Platform, the CRM."
    )


class Link(BaseModel):
    """A page for one agent and one ticket. It opens once, soon."""

    url: str
    expires_at: str


class Problem(BaseModel):
    """An error, with the members of RFC 9457."""

    type: str
    title: str
    status: int
    detail: str
