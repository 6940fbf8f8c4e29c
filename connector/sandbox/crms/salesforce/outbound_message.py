"""An outbound message: its notifications, and the attempts to deliver it."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from connector.sandbox import clock


@dataclass(frozen=True, slots=True)
class Notification:
    """A change of a case. Repetitions carry the same id."""

    id: str
    case_id: str
    due: float


@dataclass(frozen=True, slots=True)
class Attempt:
    """A delivery. `status` is the HTTP status, or the name of the error."""

    at: datetime
    status: int | str
    acked: bool
    seconds: float


@dataclass(slots=True)
class Message:
    """Notifications that travel together and share one acknowledgement."""

    number: int
    notifications: list[Notification]
    first_due: float
    attempts: list[Attempt] = field(default_factory=list)
    state: str = "waiting"  # waiting, acked, given up

    def as_json(self) -> dict[str, Any]:
        return {
            "number": self.number,
            "state": self.state,
            "notification_ids": [notification.id for notification in self.notifications],
            "case_ids": [notification.case_id for notification in self.notifications],
            "attempts": [
                {"at": clock.timestamp(a.at), "status": a.status, "acked": a.acked, "seconds": round(a.seconds, 4)}
                for a in self.attempts
            ],
        }
