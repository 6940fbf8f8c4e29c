"""The facts of an outcome that a write-back may use: one table for the rules, the loader and the loop check."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from connector.model import State
from connector.outcome import HeldNote, Outcome


class OutcomeFact(NamedTuple):
    """How a fact is read from an outcome, and a sample for checks without one."""

    read: Callable[[Outcome], Any]
    sample: Any


def _phone(outcome: Outcome) -> dict[str, Any]:
    """Return what the outcome says of the customer's number: `invalid`, and `problem` in words, else empty."""
    invalid = outcome.phone_problem is not None
    return {"invalid": invalid, "problem": outcome.why if invalid else ""}


# By the names that mapping files use. `chat` has .id and .status once there is a chat; `phone` has .invalid and
# .problem.
FACTS = {
    "state": OutcomeFact(lambda outcome: outcome.state.value, "sent"),
    "why": OutcomeFact(lambda outcome: outcome.why, "a reason"),
    "text": OutcomeFact(lambda outcome: outcome.text, 1),
    "rule": OutcomeFact(lambda outcome: outcome.rule, "a_rule"),
    "chat": OutcomeFact(lambda outcome: outcome.chat, {"id": 114, "status": "selecting"}),
    "at": OutcomeFact(lambda outcome: outcome.at.strftime("%Y-%m-%dT%H:%M:%SZ"), "2026-01-01T00:00:00Z"),
    "reason": OutcomeFact(lambda outcome: outcome.reason_name, "spring recall"),
    "phone": OutcomeFact(_phone, {"invalid": True, "problem": "a reason"}),
    "contradicted": OutcomeFact(lambda outcome: outcome.contradicted or "", ""),
}
SAMPLE = {name: fact.sample for name, fact in FACTS.items()}
# Facts that only a sent text has for certain.
ONLY_SENT = ("chat", "rule")


class HeldFact(NamedTuple):
    """How a fact is read from the note of a hold, and a sample."""

    read: Callable[[HeldNote], Any]
    sample: Any


# For `[write_back.held]`: `held` has .why and .until.
HELD_FACTS = {
    "held": HeldFact(
        lambda note: {"why": note.hold.why, "until": note.hold.until}, {"why": "a reason", "until": "08:00, UTC"}
    ),
    "text": HeldFact(lambda note: note.text, 1),
    "rule": HeldFact(lambda note: note.rule, "a_rule"),
    "at": HeldFact(lambda note: note.at.strftime("%Y-%m-%dT%H:%M:%SZ"), "2026-01-01T00:00:00Z"),
}
HELD_SAMPLE = {name: fact.sample for name, fact in HELD_FACTS.items()}


def sample(state: State | None) -> Mapping[str, Any]:
    """Return sample facts of a text in this state, with no more than is certain to be there. None: it still waits."""
    facts = HELD_SAMPLE if state is None else SAMPLE
    return {name: None if name in ONLY_SENT and state is not State.SENT else fact for name, fact in facts.items()}


def of(outcome: Outcome, chat_status: Mapping[str, str]) -> Mapping[str, Any]:
    """Return the facts of an outcome, by name. `chat_status` has the words that people read for a chat's status."""
    facts = {name: fact.read(outcome) for name, fact in FACTS.items()}
    if outcome.chat:
        status = str(outcome.chat.get("status", ""))
        facts["chat"] = {**outcome.chat, "status": chat_status.get(status, status)}
    return facts


def of_note(note: HeldNote) -> Mapping[str, Any]:
    """Return the facts of the note of a hold, by name."""
    return {name: fact.read(note) for name, fact in HELD_FACTS.items()}
