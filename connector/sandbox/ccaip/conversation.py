"""The life of a chat after its first message: an agent joins, both sides write, it ends.

Raises KeyError for an unknown chat, and ValueError where the chat has ended or the agent is not one of the tenant.
"""

from connector.sandbox.ccaip import CcaiPlatform
from connector.sandbox.ccaip.chats import Agent, Chat

# The status words of a chat that has ended.
ENDED = ("finished", "no_response", "canceled", "failed", "dismissed", "va_dismissed")


def join(ccaip: CcaiPlatform, chat_id: int, email: str | None = None) -> Chat:
    """Let an agent join a chat: the one with this e-mail address, else the tenant's first."""
    with ccaip.lock:
        chat, agent = _open(ccaip, chat_id), _agent(ccaip, email)
        chat.agent, chat.names_agent = agent, True
        chat.status, chat.assigned_at = "assigned", ccaip.clock.now()
        chat.updated_at = chat.assigned_at
        if len(chat.participants) == 1:
            chat.participants += (ccaip.next_participant(),)
        ccaip.joined(chat, agent)
        return chat


def write(ccaip: CcaiPlatform, chat_id: int, message: str) -> Chat:
    """Let the chat's agent write to the customer."""
    with ccaip.lock:
        _open(ccaip, chat_id)
        return ccaip.agent_writes(chat_id, message)


def end(ccaip: CcaiPlatform, chat_id: int, status: str = "finished") -> Chat:
    """End a chat with one of the words of ENDED."""
    if status not in ENDED:
        raise ValueError(f"a chat ends as one of {', '.join(ENDED)}, not as {status!r}")
    return ccaip.end_chat(chat_id, status)


def newest(ccaip: CcaiPlatform, number: str) -> Chat | None:
    """The newest chat with this customer. It may have ended."""
    with ccaip.lock:
        found = [chat for chat in ccaip.chats.values() if chat.end_user_number == number]
        for chat in found[-1:]:
            ccaip.end_if_due(chat)
        return found[-1] if found else None


def _open(ccaip: CcaiPlatform, chat_id: int) -> Chat:
    chat = ccaip.chats[chat_id]
    if ccaip.end_if_due(chat):
        raise ValueError(f"chat {chat_id} has ended")
    return chat


def _agent(ccaip: CcaiPlatform, email: str | None) -> Agent:
    for agent in ccaip.settings.agents:
        if email in (None, agent.email):
            return agent
    raise ValueError(f"the tenant has no agent {email or ''}".rstrip())
