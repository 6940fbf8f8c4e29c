"""The facts of an outcome that a write-back may use: one table for the rules, the loader and the loop check."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from connector.model import Outcome


class OutcomeFact(NamedTuple):
    """How a fact is read from an outcome, and a sample for checks without one."""

    read: Callable[[Outcome], Any]
    sample: Any


# By the names that mapping files use. `chat` has .id and .status once there is a chat.
FACTS = {
    "state": OutcomeFact(lambda outcome: outcome.state.value, "sent"),
    "why": OutcomeFact(lambda outcome: outcome.why, "a reason"),
    "text": OutcomeFact(lambda outcome: outcome.text, 1),
    "rule": OutcomeFact(lambda outcome: outcome.rule, "a_rule"),
    "chat": OutcomeFact(lambda outcome: outcome.chat, {"id": 114, "status": "selecting"}),
    "at": OutcomeFact(lambda outcome: outcome.at.strftime("%Y-%m-%dT%H:%M:%SZ"), "2026-01-01T00:00:00Z"),
    "contradicted": OutcomeFact(lambda outcome: outcome.contradicted or "", ""),
}
SAMPLE = {name: fact.sample for name, fact in FACTS.items()}


def of(outcome: Outcome, chat_status: Mapping[str, str]) -> Mapping[str, Any]:
    """Return the facts of an outcome, by name. `chat_status` has the words that people read for a chat's status."""
    facts = {name: fact.read(outcome) for name, fact in FACTS.items()}
    if outcome.chat:
        status = str(outcome.chat.get("status", ""))
        facts["chat"] = {**outcome.chat, "status": chat_status.get(status, status)}
    return facts
