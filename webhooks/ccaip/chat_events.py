"""POST /webhooks/ccaip/chat-events: verify, parse, save with one commit, acknowledge. A worker does the rest."""

import json
from datetime import UTC, datetime

import psycopg
import structlog
from flask import Blueprint, Response, request
from psycopg_pool import ConnectionPool

from connector.errors import NotAuthentic, NotTimely
from connector.metrics import counters
from connector.settings import Settings
from connector.store import chat_events as store
from webhooks import receive, refusals
from webhooks.ccaip import parse, signature
from webhooks.event_batcher import EventBatcher

log = structlog.get_logger()

PATH = f"{receive.PREFIX}ccaip/chat-events"
OFF = (
    "chat webhooks are off: set CONNECTOR_CCAIP_WEBHOOK_PRIMARY_SECRET to the secret that CCAI Platform shows under"
    " Settings > Developer Settings > Webhooks"
)


def blueprint(settings: Settings, pool: ConnectionPool) -> Blueprint:
    """The route of chat events. Without a secret it answers 403."""
    batcher, hooks = EventBatcher(pool, store.save), Blueprint("webhooks_ccaip", __name__)
    secrets, tolerance = settings.ccaip_webhook_secrets, settings.ccaip_webhook_tolerance_seconds

    @hooks.post(PATH)
    def chat_events() -> Response:
        if not secrets:
            counters.CHAT_EVENTS_REFUSED.labels("off").inc()
            refusals.log("a chat event was refused", why="no secret is configured")
            return receive.problem(403, OFF)
        content = request.get_data(cache=False)
        timestamp = request.headers.get("X-Signature-Timestamp", "")
        try:
            signed_at = signature.verify(
                content, request.headers.get("X-Signature", ""), timestamp, secrets, datetime.now(UTC), tolerance
            )
        except NotAuthentic as error:
            counters.CHAT_EVENTS_REFUSED.labels("stale" if isinstance(error, NotTimely) else "signature").inc()
            refusals.log("a chat event was refused", why=str(error))
            return receive.problem(error.status, str(error))
        event = parse.parse(timestamp.encode("latin-1", "replace") + content, content, signed_at, tolerance)
        if event.problem:
            log.error("a chat event cannot be read; it is kept", why=event.problem)
        try:
            [new] = batcher.save([event])
        except psycopg.Error as error:
            return receive.not_saved(error)
        return Response(json.dumps({"saved": True, "duplicate": not new}), content_type="application/json")

    return hooks
