"""CCAI Platform's part of the control plane: the tenant, its chats and texts, and the customers' phones."""

from dataclasses import asdict
from typing import Any

from flask import Blueprint, Response, abort, jsonify, request
from pydantic import BaseModel, ConfigDict

from connector.sandbox import clock, control, journal
from connector.sandbox.ccaip import chats, conversation, phones
from connector.sandbox.ccaip.settings import Settings

routes = Blueprint("ccaip_control", __name__, url_prefix="/_sandbox")
control.explain(routes)


class Reply(BaseModel):
    model_config = ConfigDict(extra="forbid")

    message: str


class Join(BaseModel):
    model_config = ConfigDict(extra="forbid")

    agent: str | None = None


class End(BaseModel):
    model_config = ConfigDict(extra="forbid")

    status: str = "finished"


@routes.get("/ccaip/tenant")
def tenant() -> dict[str, Any]:
    """The tenant's settings."""
    return journal.box().ccaip.settings.model_dump()


@routes.patch("/ccaip/tenant")
def change_tenant() -> dict[str, Any]:
    """Change the tenant: sms_enabled, outbound_sms_enabled, numbers, blocklist, closed, requests_per_second, …"""
    ccaip = journal.box().ccaip
    ccaip.settings = Settings(**(ccaip.settings.model_dump() | control.read_object()))
    return tenant()


@routes.get("/ccaip/texts")
def texts() -> Response:
    """Every SMS that was accepted; `ticket_id` or `number` pick some."""
    picks = {name: request.args[name] for name in ("ticket_id", "number") if name in request.args}
    found = [asdict(text) for text in list(journal.box().ccaip.texts)]
    rows = [row for row in found if all(row[name] == wanted for name, wanted in picks.items())]
    return jsonify([row | {"at": clock.timestamp(row["at"])} for row in rows])


@routes.get("/ccaip/chats")
def list_chats() -> Response:
    """Every chat, as the SMS endpoint answers it, beside the customer's number and the ticket."""
    found = journal.box().ccaip.chats_since(None)
    return jsonify(
        [
            chats.endpoint_json(chat) | {"end_user_number": chat.end_user_number, "ticket_id": chat.ticket_id}
            for chat in found
        ]
    )


@routes.post("/ccaip/chats/<int:chat_id>/join")
def join_chat(chat_id: int) -> dict[str, Any]:
    """Let an agent join a chat: the one with the e-mail address `agent`, else the tenant's first."""
    asked = Join(**(control.read_object() if request.data else {}))
    return chats.endpoint_json(conversation.join(journal.box().ccaip, _chat(chat_id), asked.agent))


@routes.post("/ccaip/chats/<int:chat_id>/end")
def end_chat(chat_id: int) -> dict[str, Any]:
    """End a chat with `status`, else as finished, so that its customer can be texted anew."""
    asked = End(**(control.read_object() if request.data else {}))
    return chats.endpoint_json(conversation.end(journal.box().ccaip, _chat(chat_id), asked.status))


def _chat(chat_id: int) -> int:
    if chat_id not in journal.box().ccaip.chats:
        abort(404, f"There is no chat {chat_id}.")
    return chat_id


@routes.post("/ccaip/chats/<int:chat_id>/agent-message")
def agent_message(chat_id: int) -> dict[str, Any]:
    """An agent writes `message` in a chat."""
    ccaip = journal.box().ccaip
    if chat_id not in ccaip.chats:
        abort(404, f"There is no chat {chat_id}.")
    return chats.endpoint_json(ccaip.agent_writes(chat_id, control.read(Reply).message))


@routes.get("/ccaip/webhooks")
def list_webhooks() -> Response:
    """Every chat webhook that was posted, and the status of its answer."""
    return jsonify([post.event | {"status": post.status} for post in list(journal.box().ccaip.webhooks.posts)])


@routes.get("/phone")
def list_phones() -> dict[str, Any]:
    """The numbers of every phone that was texted or wrote, and those that opted out."""
    known = journal.box().ccaip.phones
    return {"numbers": list(known), "opted_out": sorted(known.opted_out)}


@routes.get("/phone/<number>")
def show_phone(number: str) -> dict[str, Any]:
    """What is on one customer's phone."""
    e164, known = _number(number), journal.box().ccaip.phones
    messages = [asdict(message) | {"at": clock.timestamp(message.at)} for message in known[e164]]
    return {"number": e164, "opted_out": e164 in known.opted_out, "messages": messages}


@routes.post("/phone/<number>/reply")
def reply(number: str) -> dict[str, Any]:
    """The customer writes `message`; words to opt out and in are obeyed."""
    journal.box().ccaip.reply(_number(number), control.read(Reply).message)
    return show_phone(number)


def _number(text: str) -> str:
    number = phones.read(text)
    if number is None:
        abort(400, f"{text} is not a phone number.")
    return number.e164
