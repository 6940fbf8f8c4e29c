"""CCAI Platform's outbound SMS: one tenant, its chats, and the phones of its customers."""

import itertools
import threading
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from connector.sandbox import clock, journal, switches
from connector.sandbox.ccaip import chats, phones, refusals, webhooks
from connector.sandbox.ccaip.settings import Settings

RATE_WINDOW_S = 1.0


@dataclass(frozen=True, slots=True)
class Text:
    """An SMS that the endpoint accepted. `arrived` is False when it did not reach the phone."""

    at: datetime
    monotonic: float
    number: str
    message: str
    ticket_id: str | None
    chat_id: int
    arrived: bool
    body: dict[str, Any]


class CcaiPlatform:
    """The state of the tenant. Methods that change it hold `lock`, and wait for nobody while they hold it."""

    def __init__(
        self,
        time: clock.Clock,
        guesses: switches.Switches,
        settings: Settings,
        knows_ticket: Callable[[str], bool] = lambda _: True,
    ) -> None:
        self.clock, self.switches, self.knows_ticket = time, guesses, knows_ticket
        self._initial = settings
        self.lock = threading.RLock()
        self.webhooks = webhooks.Webhooks(time, guesses)
        self.reset()

    def reset(self) -> None:
        """Restore the initial state."""
        with self.lock:
            self.settings: Settings = self._initial.model_copy(deep=True)
            self.calls: list[journal.Call] = []
            self.texts: list[Text] = []
            self.chats: dict[int, chats.Chat] = {}
            self.phones: phones.Phones = phones.Phones()
            self.webhooks.reset()
            self._active: dict[tuple[str, str], chats.Chat] = {}
            self._last_text: dict[str, datetime] = {}
            self._end_users: dict[str, int] = {}
            self._recent: deque[float] = deque()
            self._ids = {
                "chat": itertools.count(self.settings.first_chat_id),
                "end_user": itertools.count(self.settings.first_end_user_id),
                "participant": itertools.count(self.settings.first_participant_id),
            }

    @property
    def requests(self) -> list[journal.Call]:
        """Every request received, with its arrival and status."""
        return self.calls

    def admit(self) -> None:
        """Count a request against the rate limit. Raises `refusals.Refused` with status 429."""
        with self.lock:
            now, limit = self.clock.monotonic(), self.settings.requests_per_second
            while self._recent and self._recent[0] <= now - RATE_WINDOW_S:
                self._recent.popleft()
            if limit and len(self._recent) >= limit:
                seconds = self.switches["retry_after_on_429"]
                headers = {"Retry-After": str(seconds)} if seconds else {}
                raise refusals.Refused(str(self.switches["rate_limit_message"]), 429, headers)
            self._recent.append(now)

    def send(self, body: dict[str, Any]) -> dict[str, Any]:
        """Accept an SMS and return its chat. Raises `refusals.Refused`."""
        sms = refusals.read(body, str(self.switches["agent_spelling"]))
        with self.lock:
            refusals.check(self, sms)
            agent, names_agent = self._agent(sms)
            chat = self._active_chat(sms)
            if chat and (agent is None or chat.agent != agent):
                raise refusals.Refused(refusals.ACTIVE_SESSION)
            arrives = refusals.arrives(self, sms.customer.e164)
            chat = chat or self._open(sms, agent, names_agent)
            self._record(chat, sms, arrives)
            self.webhooks.message(chat, "api", sms.get("message"))
            return chats.endpoint_json(chat)

    def reply(self, number: str, body: str) -> None:
        """Receive a message from the customer's phone. Opt-out and opt-in words take effect, as whole messages."""
        with self.lock:
            chat = self._chat_of_reply(number)
            now = self.clock.now()
            if chat:
                self._count_message(chat)
                self.webhooks.message(chat, "customer", body)
            sender, chat_id = (chat.outbound_number, chat.id) if chat else (None, None)
            self.phones.show(number, phones.Message(now, body, True, sender, chat_id))
            word = body.strip().upper()
            if word in str(self.switches["opt_out_words"]).split():
                self.phones.opted_out.add(number)
                if chat and chat.is_active and self.switches["opt_out_ends_chat"]:
                    self._finish(chat, now)
            elif word in str(self.switches["opt_in_words"]).split():
                self.phones.opted_out.discard(number)

    def agent_writes(self, chat_id: int, body: str) -> chats.Chat:
        """Send a message of an agent in a chat. Raises KeyError for an unknown id."""
        with self.lock:
            chat = self.chats[chat_id]
            self._count_message(chat)
            message = phones.Message(self.clock.now(), body, False, chat.outbound_number, chat.id)
            self.phones.show(chat.end_user_number, message)
            self.webhooks.message(chat, "agent", body)
            return chat

    def end_chat(self, chat_id: int, status: str = "finished") -> chats.Chat:
        """End a chat, so that its customer can be texted again. Raises KeyError for an unknown id."""
        with self.lock:
            chat = self.chats[chat_id]
            if not self.end_if_due(chat):
                self._finish(chat, self.clock.now(), status)
        return chat

    def chats_since(self, moment: datetime | None) -> list[chats.Chat]:
        """The chats that changed at or after `moment`."""
        with self.lock:
            for chat in list(self._active.values()):
                self.end_if_due(chat)
            return [chat for chat in self.chats.values() if moment is None or chat.updated_at >= moment]

    def texted_today(self, number: str) -> bool:
        last = self._last_text.get(number)
        return last is not None and last.date() == self.clock.now().date()

    def stats(self) -> dict[str, Any]:
        with self.lock:
            per_ticket = Counter(text.ticket_id for text in self.texts if text.ticket_id)
            doubled = {ticket: count for ticket, count in per_ticket.items() if count > 1}
            return {"texts": len(self.texts), "chats": len(self.chats), "doubled_texts": doubled}

    def _agent(self, sms: refusals.Request) -> tuple[chats.Agent | None, bool]:
        """The agent that a request names, and whether it names it by id."""
        for key, value in sms.agent_keys.items():
            by_id = key.lower().endswith("id")
            for agent in self.settings.agents:
                if str(value) == str(agent.id if by_id else agent.email):
                    return agent, by_id
            if self.switches["unknown_agent"] == "refuse":
                raise refusals.Refused("agent is not found")
        return None, False

    def _active_chat(self, sms: refusals.Request) -> chats.Chat | None:
        chat = self._active.get((sms.customer.e164, sms.sender.e164))
        return chat if chat and not self.end_if_due(chat) else None

    def _current_chat(self, number: str) -> chats.Chat | None:
        """The customer's newest active chat."""
        running = [chat for chat in list(self._active.values()) if chat.end_user_number == number]
        return next((chat for chat in reversed(running) if not self.end_if_due(chat)), None)

    def _chat_of_reply(self, number: str) -> chats.Chat | None:
        """The chat that a reply belongs to."""
        if (chat := self._current_chat(number)) or self.switches["reply_without_chat"] == "none":
            return chat
        return next((chat for chat in reversed(self.chats.values()) if chat.end_user_number == number), None)

    def _count_message(self, chat: chats.Chat) -> None:
        chat.message_count += 1
        chat.updated_at = self.clock.now()

    def next_participant(self) -> int:
        return next(self._ids["participant"])

    def end_if_due(self, chat: chats.Chat) -> bool:
        """Whether the chat has ended, by itself if its time is over. Call it with the lock."""
        seconds = float(self.switches["chat_ends_after_seconds"])
        due = chat.created_at + timedelta(seconds=seconds)
        if chat.is_active and seconds and due <= self.clock.now():
            self._finish(chat, due)
        return not chat.is_active

    def _finish(self, chat: chats.Chat, at: datetime, status: str = "finished") -> None:
        chat.status, chat.ends_at, chat.updated_at = status, at, at
        del self._active[chat.end_user_number, chat.outbound_number]
        self.webhooks.post("chat_ended", chat, {})

    def _open(self, sms: refusals.Request, agent: chats.Agent | None, names_agent: bool) -> chats.Chat:
        now, number = self.clock.now(), sms.customer.e164
        if number not in self._end_users:
            self._end_users[number] = next(self._ids["end_user"])
        assigned_at = now + timedelta(seconds=self.settings.assignment_seconds) if agent else None
        chat = chats.Chat(
            id=next(self._ids["chat"]),
            status="assigned" if agent else "selecting",
            end_user_id=self._end_users[number],
            end_user_number=number,
            outbound_number=sms.sender.e164,
            created_at=now,
            updated_at=assigned_at or now,
            participants=tuple(next(self._ids["participant"]) for _ in range(2 if agent else 1)),
            assigned_at=assigned_at,
            agent=agent,
            names_agent=names_agent,
            ticket_id=sms.get("ticket_id") or None,
        )
        self.chats[chat.id] = self._active[number, chat.outbound_number] = chat
        self.webhooks.post("chat_created", chat, {})
        if agent:
            self.joined(chat, agent)
        return chat

    def joined(self, chat: chats.Chat, agent: chats.Agent) -> None:
        """Post that an agent has joined a chat."""
        joined = {"type": "agent", "agent": {"id": agent.id, "name": agent.name}}
        self.webhooks.post("participant_joined", chat, joined)

    def _record(self, chat: chats.Chat, sms: refusals.Request, arrives: bool) -> None:
        now, number, message = self.clock.now(), chat.end_user_number, sms.get("message")
        chat.message_count += 1
        self._last_text[number] = now
        ticket_id = sms.get("ticket_id") or None
        self.texts.append(Text(now, self.clock.monotonic(), number, message, ticket_id, chat.id, arrives, sms.body))
        if arrives:
            self.phones.show(number, phones.Message(now, message, False, chat.outbound_number, chat.id))
