"""Bodies and answers of the API. Flat and without null, as Salesforce External Services imports OpenAPI 3.0.

Unknown values are left out of answers. Times are ISO 8601 in UTC; phone numbers are masked.
"""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from connector import expected
from connector.model import Channel, State
from connector.policy.checks import Said
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


class Strict(Sparse):
    model_config = ConfigDict(extra="forbid")


class PreviewBody(Strict):
    """Which text is meant. Without message and template, the rule's own message."""

    ticket_id: TicketId
    crm: Crm = ""
    rule: Short = Field(default="", description="A rule of the mapping, else 422; without one, the rule for agents.")
    template: Short = Field(default="", description="The words of this template of the mapping, else 422.")
    message: str = Field(default="", max_length=MAX_CHARACTERS, description="The words themselves.")
    override: Short = Field(default="", description="Why to send it in spite of what may be overridden.")
    overrides: list[FindingId] = Field(
        default=[], max_length=20, description="The findings that this reason is for: their ids, from the preview."
    )


class SendBody(PreviewBody):
    """A text to send, once."""

    after: int = Field(
        default=-1,
        ge=-1,
        le=2**62,
        description="The ticket's newest text that was seen, from the preview: nobody texts twice then.",
    )
    agent_name: Short = Field(default="", description="Who asks. With a CRM's token, its person, whatever stands here.")
    agent_email: Short = ""
    agent_id: int = Field(default=0, ge=0, le=2**62)


class LinkBody(Strict):
    """For whom and about which ticket."""

    ticket_id: TicketId
    crm: Crm = ""
    agent_name: Short = ""
    agent_email: Short = ""
    agent_id: int = Field(default=0, ge=0, le=2**62)


class SuppressionBody(Strict):
    """A number that nobody texts from now on, or that may be texted again."""

    number: Annotated[str, expected.PLAIN] = Field(
        min_length=3, max_length=40, json_schema_extra=PLAIN, description="In E.164, such as +14155550132."
    )
    suppressed: bool = Field(default=True, description="false: it may be texted again.")
    why: Short = ""


class IdempotencyHeader(BaseModel):
    """The same key and body are the same text, however often they come."""

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
    """What one check of the policy said."""

    id: str = Field(default="", description="Names it among a request's `overrides`.")
    check: str
    verdict: Said
    why: str
    overridable: bool = Field(description="A person may decide otherwise, with a reason, or has done so.")


class Template(BaseModel):
    """Words to start from; `message` is rendered for the ticket, and left out where it does not suit it."""

    name: str
    label: str
    message: str = ""


class Preview(BaseModel):
    """What would happen."""

    crm: str
    ticket_id: str
    number: str = Field(default="", description="What people call the ticket by.")
    customer: str = ""
    to: str = Field(default="", description="Whom it would go to, masked.")
    sender: str = Field(default="", alias="from", description="The outbound number.")
    message: str = Field(default="", description="What would be sent, to the letter.")
    encoding: str = ""
    segments: int = 0
    segments_most: int
    characters: int = 0
    allowed: bool
    overridable: bool = Field(description="Everything that stops it may be overridden with a reason.")
    why: str = Field(default="", description="What stops it or makes it wait, in words.")
    findings: list[Finding]
    templates: list[Template]
    after: int = Field(description="The ticket's newest text, for the request that sends.")

    model_config = ConfigDict(serialize_by_alias=True)


class Text(BaseModel):
    """A text and what became of it."""

    id: int
    crm: str
    ticket_id: str
    channel: Channel
    state: State
    final: bool = Field(description="It has its outcome.")
    said: str = Field(description="What became of it, in a sentence.")
    why: str = ""
    to: str = Field(default="", description="Masked.")
    message: str = ""
    segments: int = 0
    chat_id: int = 0
    chat_status: str = ""
    agent: str = Field(default="", description="Who asked.")
    ticket_told: bool = Field(description="The ticket has the outcome.")
    cancellable: bool
    duplicate: bool = Field(default=False, description="It had been asked for before: this is that text.")
    requested_at: str
    changed_at: str
    leaves_at: str = Field(default="", description="It is held until then.")
    pause: str = Field(default="", description="The operator's pause that keeps it from being sent, in words.")


class Texts(BaseModel):
    texts: list[Text]


class Suppression(BaseModel):
    """How it is with a number now."""

    number: str = Field(description="Masked.")
    suppressed: bool
    changed: bool = Field(description="It was otherwise before.")


class Link(BaseModel):
    """A page for one agent and one ticket. It opens once, soon."""

    url: str
    expires_at: str


class Problem(BaseModel):
    """What is answered instead, with the members of RFC 9457."""

    type: str
    title: str
    status: int
    detail: str
