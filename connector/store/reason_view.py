"""Everything that asked for the same text: events, clicks and rows of back-fills, and which text holds the reason."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import psycopg
from psycopg.rows import class_row, dict_row

from connector.model import Channel, State
from connector.store import queries, text_views
from connector.store.text_views import WriteBackState

SQL = queries.load(__file__)
# The most requests, clicks and plan rows that a page shows of each.
MAX_ROWS = 200


class Another(StrEnum):
    """What it takes to send another text for the same reason. UNDECIDED: no reason is claimed, or it was erased."""

    UNDECIDED = "undecided"
    FREE = "free"  # no text holds the reason: the next request is decided like a first one
    CANCEL = "cancel"  # the holder has not left: cancel it, and the reason is free
    WAIT = "wait"  # the holder is being sent at this moment
    SETTLE = "settle"  # the holder is unknown: settle it as not sent, and the reason is free
    OVERRIDE = "override"  # the holder was sent: an agent's override, or a reason that differs


ANOTHER = {
    State.RECEIVED: Another.CANCEL,
    State.QUEUED: Another.CANCEL,
    State.SENDING: Another.WAIT,
    State.UNKNOWN: Another.SETTLE,
    State.SENT: Another.OVERRIDE,
}


@dataclass(frozen=True, slots=True)
class Reported:
    """What was written to the ticket: the state of the text that speaks for it, and whether the ticket has it."""

    state: State
    why: str
    chat: int | None
    write_back: WriteBackState
    refused: str | None


@dataclass(frozen=True, slots=True)
class Request:
    """A text that asked for the same. `claimed`: it claimed the reason itself, now or before.

    `same_as`: it was skipped for that text. `sent_anyway`: an agent's override gave it a reason of its own, and it was
    sent. `changed_by`: the CRM user whose change made the event. Times are in UTC.
    """

    id: int
    crm: str
    ticket_id: str
    channel: Channel
    state: State
    why: str
    same_as: int | None
    received_at: datetime
    changed_at: datetime
    event_id: str
    changed_by: str | None
    agent: str | None
    override: str
    claimed: bool
    sent_anyway: bool
    reported: Reported


@dataclass(frozen=True, slots=True)
class Click:
    """A request of a person or program with an idempotency key. Several may have become one text."""

    text: int
    caller: str
    at: datetime


@dataclass(frozen=True, slots=True)
class PlanRow:
    """A case of a back-fill: its text, or why it was not texted."""

    text: int | None
    plan: str
    position: int
    ticket_id: str
    plan_state: str
    made_at: datetime
    skip: str | None


@dataclass(frozen=True, slots=True)
class ReasonView:
    """One reason, as seen from one text. `rule` None: the text has claimed no reason, or it was erased.

    `holder`: the text that holds the reason. `repeats`: the text whose reason this one repeats by an override.
    `more`: there are further requests.
    """

    text: int
    crm: str
    rule: str | None
    reason_name: str
    repeats: int | None
    holder: int | None
    requests: Sequence[Request]
    clicks: Sequence[Click]
    plan_rows: Sequence[PlanRow]
    more: bool = False

    @property
    def another(self) -> Another:
        """What it takes to send another text for this reason."""
        if self.rule is None:
            return Another.UNDECIDED
        state = next((one.state for one in self.requests if one.id == self.holder), None)
        return ANOTHER.get(state, Another.FREE) if state else Another.FREE


def of(connection: psycopg.Connection, text: int) -> ReasonView | None:
    """Return what asked for the same as this text. None: there is no such text."""
    with connection.transaction(), connection.cursor(row_factory=dict_row) as cursor:
        asked = cursor.execute(SQL["asked"], {"id": text}).fetchone()
        if asked is None:
            return None
        if asked["rule"] is None or asked["reason"] is None:
            return ReasonView(text, asked["crm"], None, asked["reason_name"], asked["repeats"], None, [], [], [])
        held = cursor.execute(SQL["holder"], asked).fetchone()
        rows = cursor.execute(SQL["requests"], asked | {"most": MAX_ROWS + 1}).fetchall()
    requests = [_request(row) for row in rows[:MAX_ROWS]]
    return ReasonView(
        text,
        asked["crm"],
        asked["rule"],
        asked["reason_name"],
        asked["repeats"],
        held["text"] if held else None,
        requests,
        _clicks(connection, requests),
        _plan_rows(connection, asked, requests),
        len(rows) > MAX_ROWS,
    )


def _request(row: dict[str, Any]) -> Request:
    reported = Reported(
        State(row.pop("reported_state")),
        row.pop("reported_why"),
        row.pop("reported_chat"),
        text_views.write_back_state(row.pop("outcome"), row.pop("written"), row["write_refused"]),
        row.pop("write_refused"),
    )
    return Request(**row | {"channel": Channel(row["channel"]), "state": State(row["state"]), "reported": reported})


def _clicks(connection: psycopg.Connection, requests: Sequence[Request]) -> list[Click]:
    with connection.cursor(row_factory=class_row(Click)) as cursor:
        asked = {"ids": [one.id for one in requests], "most": MAX_ROWS}
        return cursor.execute(SQL["clicks"], asked).fetchall()


def _plan_rows(connection: psycopg.Connection, asked: dict[str, Any], requests: Sequence[Request]) -> list[PlanRow]:
    wanted = asked | {
        "ids": [one.id for one in requests],
        "tickets": sorted({one.ticket_id for one in requests}),
        "most": MAX_ROWS,
    }
    with connection.cursor(row_factory=class_row(PlanRow)) as cursor:
        became = cursor.execute(SQL["plan_rows"], wanted).fetchall()
        return became + cursor.execute(SQL["plan_rows_left_out"], wanted).fetchall()
