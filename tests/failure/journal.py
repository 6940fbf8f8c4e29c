"""What the witness saw: every request to either remote side, when it came, and what came of it."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

# Answers of the SMS endpoint that certainly mean that nothing was sent.
REFUSALS = range(400, 500)
# Those that say nothing about the text: by their status, and by the documented words about settings.
PASSING = (401, 403, 404, 408, 425, 429)
SETTINGS = ("not enabled", "outbound_number", "chat_type", "chat type")


@dataclass(frozen=True)
class Request:
    """A request as it came in. `via` is the address that it came in by: one for each process under test.

    `kind`: text, probe · token, read, page, write, describe, limits · other. `tickets`: the cases that it names.
    `fields`: what a write wants each of them to say.
    """

    via: str
    side: str
    kind: str
    method: str
    path: str
    body: Any = None
    tickets: tuple[str, ...] = ()
    number: str = ""
    message: str = ""
    fields: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass
class Entry:
    """A request and what came of it. Times are monotonic seconds; `answered` is None while nothing was answered.

    `chat`: the text was accepted as this chat. `taken`: the cases that a write has changed. `cut`: the connection was
    ended by the witness `before` it acted or `after` it, or was `gone` when the answer was to be written.
    """

    request: Request
    received: float
    status: int | None = None
    answer: Any = None
    chat: int | None = None
    taken: tuple[str, ...] = ()
    cut: str = ""
    answered: float | None = None
    over: float | None = None

    @property
    def clear(self) -> bool:
        """Whether this was answered so that nothing about the text is left open."""
        if self.answered is None or self.cut or self.status is None:
            return False
        return self.chat is not None if self.status == 200 else self.status in REFUSALS

    @property
    def refused(self) -> bool:
        """Whether this text was refused for its own sake."""
        all_would_be = self.status in PASSING or any(words in str(self.answer) for words in SETTINGS)
        return self.clear and self.status != 200 and not all_would_be

    def line(self, ticket: str) -> str:
        """What is said of it in the story of a case."""
        request, how = self.request, self.cut and f", cut {self.cut}"
        said = request.fields.get(ticket) or request.message[:100]
        end = f"+{self.over - self.received:.2f} s" if self.over else "under way"
        return (
            f"{self.received:.2f} {end} {request.via} {request.side}/{request.kind} {said} "
            f"→ {self.status} chat {self.chat}{how} {str(self.answer)[:200]}"
        )


class Journal:
    """All entries, in the order in which they came. For any number of threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: list[Entry] = []

    def begin(self, request: Request) -> Entry:
        """The entry of a request that came this moment."""
        entry = Entry(request, time.monotonic())
        with self._lock:
            self._entries.append(entry)
        return entry

    def __iter__(self) -> Iterator[Entry]:
        with self._lock:
            return iter(list(self._entries))

    def of(self, side: str = "", kind: str = "", ticket: str = "", since: float = 0.0) -> list[Entry]:
        """The entries that fit."""
        return [
            entry
            for entry in self
            if (not side or entry.request.side == side)
            and (not kind or entry.request.kind == kind)
            and (not ticket or ticket in entry.request.tickets)
            and entry.received >= since
        ]

    def texts(self, where: Callable[[Entry], bool] = lambda _: True) -> list[Entry]:
        """The texts that customers received, whether their senders learned of it or not."""
        return [entry for entry in self if entry.chat is not None and where(entry)]

    def chats(self) -> dict[str, list[int]]:
        """Ticket → the chats that were made for it."""
        found: dict[str, list[int]] = {}
        for entry in self.texts():
            found.setdefault(entry.request.tickets[0], []).append(entry.chat or 0)
        return found
