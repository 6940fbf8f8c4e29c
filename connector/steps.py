"""The steps a text can take, each with the states it may come from: whatever is not here does not happen.

Which of them are taken, and when, is the business of delivery; that each is taken at most once, the ledger's.
"""

from dataclasses import dataclass
from typing import Any

from connector.model import Chat, Skip, State

# What the policy looked at and said: {"check", "said", "why"} of each finding.
Trace = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Move:
    """A step of one text. The fields are those of the query `move`; `after` in seconds queues it again."""

    id: int
    from_states: tuple[State, ...]
    to_state: State
    why: str = ""
    chat: dict[str, Any] | None = None
    same_as: int | None = None
    tell: bool = False
    release: bool = False
    tried: bool = False
    busy: bool = False
    after: float | None = None
    trace: Trace | None = None


def sent(text: int, chat: Chat) -> Move:
    """The certain answer: it counts even where the text was given up for unknown in the meantime."""
    known = {"id": chat.id, "status": chat.status}
    return Move(text, (State.SENDING, State.UNKNOWN), State.SENT, chat=known, tell=True)


def unknown(text: int, why: str, after: float | None = None) -> Move:
    """It may have been sent: for a person to find out. `after`: it gets its one more try in so many seconds."""
    return Move(text, (State.SENDING,), State.UNKNOWN, why, tell=True, after=after)


def failed(text: int, why: str) -> Move:
    """Certainly not sent, and not tried again: its reason may be used by another text."""
    return Move(text, (State.RECEIVED, State.QUEUED, State.SENDING), State.FAILED, why, tell=True, release=True)


def failed_waiting(text: int, why: str) -> Move:
    """Not sent and not to be tried again, if it has not got as far as the call."""
    return Move(text, (State.RECEIVED, State.QUEUED), State.FAILED, why, tell=True, release=True)


def again(text: int, why: str, after: float, tried: bool = True, busy: bool = False) -> Move:
    """Certainly not sent; queued again in `after` seconds. `tried`: it counts as one of a text's tries."""
    from_states = (State.RECEIVED, State.QUEUED, State.SENDING)
    return Move(text, from_states, State.QUEUED, why, tried=tried, busy=busy, after=after)


def skipped(text: int, skip: Skip, trace: Trace | None = None) -> Move:
    """Nobody is texted; the ticket learns why, if it asked."""
    from_states = (State.RECEIVED, State.QUEUED)
    return Move(text, from_states, State.SKIPPED, skip.why, tell=skip.told, release=True, trace=trace)


def skipped_as(text: int, holder: int, trace: Trace | None = None) -> Move:
    """Another text has the same reason; the ticket is told of that one again, as soon as there is something to tell."""
    why = f"text {holder} is for the same reason"
    from_states = (State.RECEIVED, State.QUEUED)
    return Move(text, from_states, State.SKIPPED, why, same_as=holder, tell=True, release=True, trace=trace)


def held(text: int, why: str, seconds: float, trace: Trace) -> Move:
    """Not now: it is decided anew in so many seconds, and can be cancelled until then. It keeps no reason meanwhile."""
    from_states = (State.RECEIVED, State.QUEUED)
    return Move(text, from_states, State.QUEUED, why, release=True, after=seconds, trace=trace)


def taken_back(text: int, why: str) -> Move:
    """As if it had never been asked for: the ticket hears nothing, its reason may be used by another text."""
    return Move(text, (State.RECEIVED, State.QUEUED), State.CANCELLED, why, release=True)


def cancelled(text: int, why: str) -> Move:
    """Somebody took it back before it was sent: its reason may be used by another text."""
    return Move(text, (State.RECEIVED, State.QUEUED), State.CANCELLED, why, tell=True, release=True)


def found(text: int, chat: Chat, why: str) -> Move:
    """An unknown text turned out to have been sent: somebody knows its chat."""
    return Move(text, (State.UNKNOWN,), State.SENT, why, chat={"id": chat.id, "status": chat.status}, tell=True)


def not_sent(text: int, why: str) -> Move:
    """An unknown text turned out not to have been sent: its reason may be used by another text."""
    return Move(text, (State.UNKNOWN,), State.FAILED, why, tell=True, release=True)
