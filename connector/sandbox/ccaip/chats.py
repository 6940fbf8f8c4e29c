"""CCAI Platform's chats, and their two JSON forms."""

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from pydantic import BaseModel, ConfigDict

from connector.sandbox.clock import timestamp


class Agent(BaseModel):
    """An agent of the tenant. The fields are in the order of `agent_info`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: int
    agent_number: int
    email: str
    name: str
    first_name: str
    last_name: str
    avatar_url: str | None = None


JOHN_DOE = Agent(
    id=1,
    agent_number=9,
    email="john.doe@foo.com",
    name="John Doe",
    first_name="John",
    last_name="Doe",
    avatar_url="https://foobar.com/johndoe",
)


SUB_STATUS = {"selecting": "waiting_for_agent", "queued": "in_queue", "assigned": "connected_with_agent"}
OFFSET = timezone(timedelta(hours=-7))


@dataclass(slots=True)
class Chat:
    """An SMS session between an end user and one of the tenant's numbers.

    `names_agent` is False when the agent was assigned by e-mail address. The documented answer then has a null
    `agent_info`. `participants` holds the end user's participant id and, with an agent, the agent's.
    """

    id: int
    status: str
    end_user_id: int
    end_user_number: str
    outbound_number: str
    created_at: datetime
    updated_at: datetime
    participants: tuple[int, ...]
    assigned_at: datetime | None = None
    ends_at: datetime | None = None
    agent: Agent | None = None
    names_agent: bool = False
    ticket_id: str | None = None
    message_count: int = 0

    @property
    def is_active(self) -> bool:
        return self.ends_at is None


def endpoint_json(chat: Chat) -> dict[str, Any]:
    """The chat as `POST /apps/api/v1/sms` answers it: all keys, in the documented order."""
    return {
        "id": chat.id,
        "lang": "en",
        "chat_type": "Messaging (SMS)",
        "status": chat.status,
        "created_at": timestamp(chat.created_at),
        "queued_at": None,
        "assigned_at": timestamp(chat.assigned_at),
        "ends_at": timestamp(chat.ends_at),
        "wait_duration": 0,
        "chat_duration": 0,
        "rating": None,
        "has_feedback": False,
        "out_ticket_id": None,
        "out_ticket_url": None,
        "verified": False,
        "disconnected_by": "disconnected_by_unknown",
        "fail_reason": None,
        "selected_menu": None,
        "menu_path": None,
        "agent_info": _agent_info(chat),
        "end_user": _end_user(chat),
        "photos": [],
        "videos": [],
        "transfers": [],
        "participants": [_participant(chat, number) for number in range(len(chat.participants))],
        "offer_type": None,
        "offer_events": [],
        "answer_type": "manual",
        "outbound_number": chat.outbound_number,
    }


def manager_json(chat: Chat, names_ticket: bool) -> dict[str, Any]:
    """The chat as `GET /manager/api/v1/chats` lists it. Whether that list names the ticket is not documented.

    As in real records, times carry an offset, and a number is a text at times.
    """
    return {
        "id": chat.id,
        "chat_type": "Messaging (SMS)",
        "status": chat.status,
        "sub_status": SUB_STATUS.get(chat.status),
        "created_at": _with_offset(chat.created_at),
        "assigned_at": _with_offset(chat.assigned_at),
        "ends_at": _with_offset(chat.ends_at),
        "updated_at": _with_offset(chat.updated_at),
        "wait_duration": "0.0" if chat.is_active else 0,
        "out_ticket_id": chat.ticket_id if names_ticket else None,
        "fail_reason": None,
        "message_count": chat.message_count,
        "agent_info": _agent_info(chat),
        "end_user": _end_user(chat),
    }


def _with_offset(moment: datetime | None) -> str | None:
    return moment.astimezone(OFFSET).isoformat(timespec="milliseconds") if moment else None


def _agent_info(chat: Chat) -> dict[str, Any] | None:
    return chat.agent.model_dump() if chat.agent and chat.names_agent else None


def _end_user(chat: Chat) -> dict[str, Any]:
    return {"id": chat.end_user_id, "identifier": None, "out_contact_id": None}


def _participant(chat: Chat, number: int) -> dict[str, Any]:
    is_agent = number > 0
    return {
        "id": chat.participants[number],
        "type": "agent" if is_agent else "end_user",
        "status": "connected",
        "chat_id": chat.id,
        "user_id": chat.agent.id if is_agent and chat.agent else None,
        "end_user_id": None if is_agent else chat.end_user_id,
        "chat_duration": None,
        "connected_at": timestamp(chat.assigned_at if is_agent else chat.created_at),
        "ended_at": timestamp(chat.ends_at),
        "fail_reason": "nothing",
    }
