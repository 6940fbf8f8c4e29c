"""What was decided about texts, to be compared with another decision. Reads only."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import dict_row

from connector.model import OutboundSms, State
from connector.store import queries

SQL = queries.load(__file__)
# The newest texts, of all CRMs, among which those of one CRM are searched.
NEWEST_TEXTS = 20_000


@dataclass(frozen=True, slots=True)
class StoredDecision:
    """What was decided about a text. `number` is the pseudonym of the number that it was meant for.

    `trace`: {"check", "said", "why"} of each check of the policy. `at` (UTC): when it was decided last; None: never.
    What a text does not have, or had until its retention period ended, is None or empty.
    """

    state: State
    why: str
    trace: Sequence[dict[str, Any]]
    sms: OutboundSms | None
    number: str | None
    rule: str | None
    at: datetime | None


def decision(connection: psycopg.Connection, text: int) -> StoredDecision | None:
    """What was decided about this text. None: there is no such text."""
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(SQL["decision"], {"id": text}).fetchone()
    if row is None:
        return None
    made = {
        "state": State(row["state"]),
        "trace": row["trace"] or [],
        "sms": OutboundSms(**row["sms"]) if row["sms"] else None,
    }
    return StoredDecision(**row | made)


def newest(connection: psycopg.Connection, crm: str, most: int) -> list[int]:
    """The texts of a CRM's newest events, at most `most`, oldest first."""
    asked = {"crm": crm, "most": most, "among": NEWEST_TEXTS}
    return [text for (text,) in connection.execute(SQL["newest"], asked)]


def triggered(connection: psycopg.Connection, crm: str, tickets: Sequence[str]) -> dict[str, int]:
    """The text of the newest trigger of each of these tickets, by ticket, where there is one."""
    return dict(connection.execute(SQL["triggered"], {"crm": crm, "tickets": list(tickets)}).fetchall())
