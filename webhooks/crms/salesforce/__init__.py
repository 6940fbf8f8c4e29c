"""Salesforce's two ways to tell of a case: outbound messages (SOAP), and JSON from a Flow's callout or Apex."""

import hashlib
import json
from collections.abc import Sequence

from flask import Response
from pydantic import Field

from connector import settings
from connector.crms.salesforce import ids
from connector.errors import BadSettings, Unreadable
from connector.ledger import TakenIn
from connector.mapping_file import MappingFile
from connector.model import TicketEvent
from webhooks import signing
from webhooks.crms.salesforce import events, outbound_message
from webhooks.crms.salesforce.canvas import visitor
from webhooks.crms.salesforce.tokens import verifier
from webhooks.receive import Entrance, Message

ENV_PREFIX = f"{settings.PREFIX}SALESFORCE_"


__all__ = ["entrances", "ticket_id", "verifier", "visitor"]


class Settings(settings.FromEnvironment):
    """CONNECTOR_SALESFORCE_… variables that the doors need. Several tokens, secrets and keys are valid at once.

    `organization_id` is the org's id, 15 or 18 characters.
    """

    organization_id: str = Field(pattern=r"^00D[a-zA-Z0-9]{12}(?:[a-zA-Z0-9]{3})?$")
    outbound_message_tokens: settings.Secrets = []
    webhook_secrets: settings.SigningSecrets = []
    webhook_keys: settings.Secrets = []


def load() -> Settings:
    """From the environment. Raises BadSettings, also when no way in is open at all."""
    wanted = settings.load(Settings, env_prefix=ENV_PREFIX)
    if not (wanted.outbound_message_tokens or wanted.webhook_secrets or wanted.webhook_keys):
        raise BadSettings(
            f"{ENV_PREFIX}OUTBOUND_MESSAGE_TOKENS: expected at least one token, or {ENV_PREFIX}WEBHOOK_SECRETS, "
            f"or {ENV_PREFIX}WEBHOOK_KEYS"
        )
    return wanted


def ticket_id(given: str) -> str:
    """A case's id in full, of 18 characters. Raises Unreadable."""
    if not ids.ID.fullmatch(given):
        raise Unreadable("this is no id of a Salesforce record: expected 15 or 18 letters and digits")
    return ids.long(given)


def entrances(file: MappingFile, wanted: Settings | None = None) -> list[Entrance]:
    """The addresses below /webhooks/salesforce. `wanted` None: from the environment."""
    wanted = wanted or load()

    def parse_outbound_message(message: Message) -> Sequence[TicketEvent]:
        if not signing.is_one_of(message.token, wanted.outbound_message_tokens):
            raise signing.NotAuthentic("the token of the address is wrong")
        return outbound_message.parse(message.body, wanted.organization_id, file.ticket.object)

    def parse_events(message: Message) -> Sequence[TicketEvent]:
        message_id = message.headers.get("Idempotency-Key", "")
        if "webhook-signature" in message.headers:
            message_id = signing.verify_signature(message.body, message.headers, wanted.webhook_secrets)
        else:
            signing.verify_bearer(message.headers.get("Authorization", ""), wanted.webhook_keys)
        return events.parse(message.body, message_id)

    return [
        Entrance("/outbound-messages/<token>", parse_outbound_message, _acknowledge, keep_as=_name_of),
        Entrance("/events", parse_events, _accepted),
    ]


def _name_of(body: bytes) -> str:
    return f"unreadable:{hashlib.sha256(body).hexdigest()}"


def _acknowledge(_: Sequence[TakenIn]) -> Response:
    return Response(outbound_message.ACKNOWLEDGED, content_type="text/xml; charset=utf-8")


def _accepted(taken: Sequence[TakenIn]) -> Response:
    texts = [{"event_id": one.event_id, "text": one.text, "duplicate": one.duplicate} for one in taken]
    # Not by jsonify, which asks the application each time how it wants its JSON.
    return Response(json.dumps({"texts": texts}), status=202, content_type="application/json")
