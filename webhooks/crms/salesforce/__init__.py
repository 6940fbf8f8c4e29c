"""Salesforce's webhook routes: outbound messages (SOAP), and JSON from a Flow's callout or Apex."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from flask import Response

from connector import settings
from connector.crms.salesforce import ticket_id
from connector.crms.salesforce.settings import Hooks
from connector.errors import NotAuthentic
from connector.mapping.schema import MappingFile
from connector.model import TicketEvent
from connector.store.events import EventReceipt
from webhooks import signing
from webhooks.crms.salesforce import events, outbound_message
from webhooks.crms.salesforce.canvas import session_reader
from webhooks.crms.salesforce.tokens import verifier
from webhooks.receive import ItemRefused, Message, WebhookRoute

__all__ = ["routes", "session_reader", "ticket_id", "verifier"]

# Prefix of event ids chosen by senders of JSON: keeps them apart from notification ids and generated ids.
JSON_IDS = "json:"


def routes(file: MappingFile, wanted: Hooks | None = None) -> list[WebhookRoute]:
    """The routes below /webhooks/salesforce. `wanted` None: read the environment. Raises BadSettings."""
    wanted = wanted or settings.load(Hooks)

    def parse_outbound_message(message: Message) -> Sequence[TicketEvent]:
        if not signing.is_one_of(message.token, wanted.outbound_message_tokens):
            raise NotAuthentic("the token of the address is wrong")
        return outbound_message.parse(message.body, wanted.organization_id, file.ticket.object)

    def parse_events(message: Message) -> Sequence[TicketEvent | ItemRefused]:
        message_id = message.headers.get("Idempotency-Key", "").strip()
        if message.headers.get("webhook-signature", "").strip():
            message_id = signing.verify_signature(message.body, message.headers, wanted.webhook_secrets)
        else:
            signing.verify_bearer(message.headers.get("Authorization", ""), wanted.webhook_keys)
        parsed = events.parse(message.body, message_id, file.ticket.object)
        return [
            replace(one, event_id=f"{JSON_IDS}{one.event_id}") if isinstance(one, TicketEvent) else one
            for one in parsed
        ]

    return [
        WebhookRoute("/outbound-messages/<token>", parse_outbound_message, _acknowledge, dead_letter_id=_name_of),
        WebhookRoute("/events", parse_events, _accepted),
    ]


def _name_of(body: bytes) -> str:
    return f"unreadable:{hashlib.sha256(body).hexdigest()}"


def _as_given(one: EventReceipt) -> str:
    return one.event_id.removeprefix(JSON_IDS)


def _acknowledge(_: Sequence[EventReceipt], __: Sequence[ItemRefused]) -> Response:
    return Response(outbound_message.ACKNOWLEDGED, content_type="text/xml; charset=utf-8")


def _accepted(taken: Sequence[EventReceipt], refused: Sequence[ItemRefused]) -> Response:
    """Answer 202; or 422 when an id was used for two tickets, or when an event of a list cannot be read.

    A sender that waits for the texts of such events would wait for ever.
    """
    misused = dict.fromkeys(_as_given(one) for one in taken if one.misused)
    said: dict[str, Any] = {
        "texts": [
            {"event_id": _as_given(one), "text": one.text, "duplicate": one.duplicate}
            for one in taken
            if not one.misused
        ]
    }
    errors = [one.why for one in refused]
    if misused:
        named = ", ".join(misused)
        errors.append(f"used for another case, and not saved: {named}; each event has an id of its own")
    if refused:
        said["refused"] = [{"event": one.index, "error": one.why} for one in refused]
    if errors:
        said["error"] = "; ".join(errors[: events.MAX_NAMED])
    # Not jsonify, which looks up the application's JSON provider on each call.
    return Response(json.dumps(said), 422 if errors else 202, content_type="application/json")
