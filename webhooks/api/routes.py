"""The API, /v1: preview a text, send it once, get its outcome, cancel it.

OpenAPI 3.0 at /v1/openapi.json. Errors have the members of RFC 9457.
"""

from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime

from flask import Response, g, request
from flask_openapi3.blueprint import APIBlueprint
from psycopg_pool import ConnectionPool
from pydantic import BaseModel
from werkzeug.exceptions import BadRequest

from connector import phone, send_at
from connector.errors import BadTime
from connector.model import TextRequest
from connector.policy import finding_ids
from connector.store import audit, opt_outs, suppressions
from connector.store.agent_requests import SendRequest
from connector.store.api_keys import Right
from connector.store.audit import Action, Actor, Source
from webhooks import strict_json
from webhooks.agent_page.security import PageSecurity
from webhooks.agent_page.sessions import AgentSessions, unopened
from webhooks.api import schemas, serializers
from webhooks.api.auth import Caller, Callers
from webhooks.api.openapi import NOT_KNOWN, TAG, answers
from webhooks.problems import Problem
from webhooks.signed_values import Purpose
from webhooks.text_service import TextService

# The right that each operation needs.
RIGHTS = {
    "preview_text": Right.PREVIEW,
    "send_text": Right.SEND,
    "get_text": Right.READ,
    "list_texts": Right.READ,
    "cancel_text": Right.SEND,
    "suppress": Right.SUPPRESS,
    "create_link": Right.SEND,
}


def blueprint(
    text_service: TextService, callers: Callers, pool: ConnectionPool, sessions: AgentSessions, security: PageSecurity
) -> APIBlueprint:
    """The routes /v1/…."""
    api = APIBlueprint("v1", __name__, url_prefix="/v1", abp_tags=[TAG], abp_security=[{"bearer": []}])
    _add_admission(api, callers, pool)
    _add_asking(api, text_service)
    _add_watching(api, text_service)
    _add_links(api, text_service, pool, sessions, security)
    _add_suppressions(api, pool)
    return api


def _add_admission(api: APIBlueprint, callers: Callers, pool: ConnectionPool) -> None:
    @api.before_request
    def admit() -> None:
        """Authenticate the caller before the body is read, then require JSON."""
        with pool.connection() as connection:
            right = RIGHTS[(request.endpoint or "").rpartition(".")[2]]
            g.caller = callers.admit(connection, request.headers.get("Authorization", ""), right)
        if request.method == "POST":
            _require_json()
        if request.endpoint == "v1.send_text" and not request.headers.get("Idempotency-Key", "").strip():
            raise Problem(400, "expected a header Idempotency-Key: a new one for each text that is wanted")


def _add_asking(api: APIBlueprint, text_service: TextService) -> None:
    @api.post(
        "/texts/preview", operation_id="previewText", responses=answers({200: schemas.Preview}, 404, said=NOT_KNOWN)
    )
    def preview_text(body: schemas.PreviewBody) -> Response:
        """Preview a text

        The recipient, the message, and the findings that block it. Sends and stores nothing.
        """
        text_request = _text_request(body)
        crm_name, ticket_id = text_service.ticket(body.crm, body.ticket_id)
        return _json(
            serializers.preview(crm_name, text_service.preview(crm_name, ticket_id, text_request, g.caller.name))
        )

    @api.post(
        "/texts",
        operation_id="sendText",
        responses=answers({200: schemas.Text, 202: schemas.Text}, 404, said=NOT_KNOWN),
    )
    def send_text(header: schemas.IdempotencyHeader, query: schemas.Wait, body: schemas.SendBody) -> Response:
        """Send a text

        Needs an Idempotency-Key: the same key is the same text. 200 has the outcome; 202 has none yet.
        """
        caller: Caller = g.caller
        text_request = replace(_text_request(body), **asdict(_agent(caller, body)))
        crm_name, ticket_id = text_service.ticket(body.crm, body.ticket_id)
        after = None if body.after < 0 else body.after
        taken = text_service.send(
            SendRequest(crm_name, ticket_id, text_request, caller.name, header.idempotency_key, after)
        )
        status = text_service.seen(taken.text, query.wait, caller.name)
        response = _json(serializers.text(status, taken.duplicate), 200 if status.is_final else 202)
        response.headers["Location"] = f"/v1/texts/{taken.text}"
        return response


def _add_watching(api: APIBlueprint, text_service: TextService) -> None:
    @api.get("/texts/<int:id>", operation_id="getText", responses=answers({200: schemas.Text}, 404))
    def get_text(path: schemas.TextPath, query: schemas.Wait) -> Response:
        """Get a text

        Its state and outcome.
        """
        return _json(serializers.text(text_service.seen(path.id, query.wait, g.caller.name)))

    @api.delete("/texts/<int:id>", operation_id="cancelText", responses=answers({200: schemas.Text}, 404, 409))
    def cancel_text(path: schemas.TextPath) -> Response:
        """Cancel a text

        While it has not been sent. The ticket is notified.
        """
        caller: Caller = g.caller
        return _json(serializers.text(text_service.cancel(path.id, caller.agent or caller.name, _actor(caller))))

    @api.get("/tickets/<crm>/<ticket_id>/texts", operation_id="listTexts", responses=answers({200: schemas.Texts}, 404))
    def list_texts(path: schemas.TicketPath) -> Response:
        """List a ticket's texts

        Newest first.
        """
        crm_name, ticket_id = text_service.ticket(path.crm, path.ticket_id)
        return _json(
            schemas.Texts(texts=[serializers.text(row) for row in text_service.seen_of_ticket(crm_name, ticket_id)])
        )


def _add_links(
    api: APIBlueprint, text_service: TextService, pool: ConnectionPool, sessions: AgentSessions, security: PageSecurity
) -> None:
    @api.post("/links", operation_id="createLink", responses=answers({201: schemas.Link}, 404))
    def create_link(body: schemas.LinkBody) -> Response:
        """Make a link to the page

        For one agent and one ticket. It opens once, within minutes; show it to nobody else.
        """
        crm_name, ticket_id = text_service.ticket(body.crm, body.ticket_id)
        caller: Caller = g.caller
        who = _agent(caller, body)
        session = unopened(crm_name, ticket_id, who.agent_name or "", who.agent_email or "", who.agent_id or 0)
        address = f"{security.base(request)}/agents/text/{session.id}?link={sessions.seal(Purpose.LINK, session)}"
        expires_at = serializers.utc(datetime.fromtimestamp(session.until, UTC))
        about = audit.named(f"{crm_name} ticket", ticket_id)
        with pool.connection() as connection:
            audit.record(connection, _actor(caller), Action.LINK_CREATE, about, after={"agent": session.agent})
        return _json(schemas.Link(url=address, expires_at=expires_at), 201)


def _add_suppressions(api: APIBlueprint, pool: ConnectionPool) -> None:
    @api.post("/suppressions", operation_id="suppress", responses=answers({200: schemas.Suppression}))
    def suppress(body: schemas.SuppressionBody) -> Response:
        """Set who must not be texted

        Adds a number to the suppression list, or removes all its entries. Nobody can override the list. Waiting texts
        to the number are cancelled, and their tickets are notified.
        """
        caller: Caller = g.caller
        number = phone.e164(body.number)
        if number is None:
            raise Problem(422, "number: expected a number in E.164, such as +14155550132")
        with pool.connection() as connection, connection.transaction():
            changed = (
                opt_outs.suppress(connection, number, body.why, caller.agent or caller.name)
                if body.suppressed
                else suppressions.allow(connection, number)
            )
            sources = suppressions.sources(connection, number)
            if changed:
                action = Action.NUMBER_SUPPRESS if body.suppressed else Action.NUMBER_LIFT
                audit.record(connection, _actor(caller), action, audit.number(connection, number), why=body.why)
        masked = phone.mask(number)
        return _json(schemas.Suppression(number=masked, suppressed=body.suppressed, changed=changed, sources=sources))


def _actor(caller: Caller) -> Actor:
    """Return the caller for the audit trail, with the address of the current request."""
    return Actor(caller.name, Source.API, request.remote_addr or "")


def _require_json() -> None:
    """Check the body before any handler reads it. Raises Problem 400 or 415."""
    if request.mimetype != "application/json":
        raise Problem(415, "expected a body of application/json")
    try:
        request.get_json()
    except (BadRequest, RecursionError):
        raise Problem(400, "the body is not JSON that can be read") from None
    except strict_json.KeyTwice as error:
        raise Problem(422, str(error)) from None


@dataclass(frozen=True, slots=True)
class _Agent:
    """The requesting agent, by the field names of a TextRequest."""

    agent_name: str | None
    agent_email: str | None
    agent_id: int | None


def _agent(caller: Caller, body: schemas.SendBody | schemas.LinkBody) -> _Agent:
    """The requesting agent. A person authenticated by a CRM overrides the body. A key's holder may name any agent."""
    if caller.agent:
        return _Agent(caller.agent, caller.agent if "@" in caller.agent else None, None)
    return _Agent(body.agent_name or None, body.agent_email or None, body.agent_id or None)


def _text_request(body: schemas.PreviewBody) -> TextRequest:
    """The body as a TextRequest. Raises Problem 422 for a reason that names no findings, or unknown ones."""
    if body.override.strip() and not body.overrides:
        raise Problem(422, "overrides: expected the ids of the findings that the reason is for, from the preview")
    if any(not finding_ids.is_known(finding) for finding in body.overrides):
        raise Problem(422, f"overrides: expected ids of a preview's findings, of the form {finding_ids.KNOWN}")
    return TextRequest(
        rule=body.rule or None,
        template=body.template or None,
        message=body.message or None,
        language=body.language or None,
        send_at=_time(body.send_at) if body.send_at else None,
        override=body.override.strip(),
        overrides=tuple(body.overrides),
    )


def _time(written: str) -> str:
    """The time in UTC, so that each time has one spelling. Raises Problem 422."""
    try:
        return send_at.parse(written).isoformat()
    except BadTime as error:
        raise Problem(422, f"send_at: {error}") from None


def _json(model: BaseModel, status: int = 200) -> Response:
    return Response(model.model_dump_json(exclude_defaults=True), status=status, content_type="application/json")
