"""What a ticket learns of its text: its outcome, and before that what it waits for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from connector.model import PhoneProblem, State


@dataclass(frozen=True, slots=True)
class Hold:
    """What a text waits for, as its ticket is shown it. `until`: the time with its zone, or empty where it is open.

    The same hold, found again, is equal: then the ticket is not written again.
    """

    why: str
    until: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """An outcome to write back to the ticket. `version` counts a text's outcomes.

    `attempts`: consecutive writes that failed with one kind of error; `refused_before`: the CRM refused them. `age`:
    seconds since the event was received, for metrics only.

    `chat` is {"id": int, "status": str} or None; `at` is in UTC. `contradicted` describes an answer that arrived after
    an operator had settled the text otherwise. `reason_name`: the name of a back-fill's own reason.
    `phone_problem`: set where the outcome is the fault of the customer's number. `traceparent`: the trace of its event.
    """

    text: int
    version: int
    crm: str
    ticket_id: str
    state: State
    why: str
    rule: str | None
    chat: Mapping[str, Any] | None
    at: datetime
    attempts: int = 0
    refused_before: bool = False
    contradicted: str | None = None
    reason_name: str = ""
    phone_problem: PhoneProblem | None = None
    age: float = field(default=0.0, compare=False)
    traceparent: str | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class HeldNote:
    """A hold to write to the ticket while the text waits. `version` counts a text's holds; `at` is in UTC."""

    text: int
    version: int
    crm: str
    ticket_id: str
    rule: str | None
    at: datetime
    hold: Hold
