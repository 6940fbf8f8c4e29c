"""The store of back-fills: a plan, its cases and its progress. Nothing here calls a remote side."""

import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import psycopg
import structlog
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from connector import transitions
from connector.crms import Query
from connector.errors import NotThere
from connector.model import State, TextRequest
from connector.store import queries
from connector.store import texts as text_store

log = structlog.get_logger()

SQL = queries.load(__file__)

# Letters and digits that are not easily confused: people type a plan's id.
LETTERS = "23456789abcdefghjkmnpqrstuvwxyz"
ID_LENGTH = 6
ABANDONED = "it was not finished: the process that made it has ended, or lost the database"
ANOTHER_CASE = "another case of the same customer is in this plan"
OUTCOMES_AT_ONCE = 2_000


class PlanState(StrEnum):
    """The state of a plan. Canary, cooling and running plans advance by themselves."""

    PLANNING = "planning"
    PLANNED = "planned"
    CANARY = "canary"
    COOLING = "cooling"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"
    CANCELLED = "cancelled"
    DONE = "done"


ACTIVE = (PlanState.CANARY, PlanState.COOLING, PlanState.RUNNING)
WAITING = (PlanState.PLANNING, PlanState.PLANNED, PlanState.PAUSED, PlanState.STOPPED)
# The states from which a plan can be halted, by the state that it gets.
HALTED_FROM = {PlanState.PAUSED: ACTIVE, PlanState.STOPPED: ACTIVE, PlanState.CANCELLED: ACTIVE + WAITING}
# A report's word for a case that has no text yet.
TO_COME = "waiting"
# Outcomes that count towards the limit of failures.
FAILURES = (State.FAILED, State.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan. `canary` texts go first; the others follow after `cooling` seconds. Times in UTC.

    `watched_until`: the plan pauses at this time unless the watching command extends it; None: it runs unwatched.
    `report` is the result of planning.
    """

    id: str
    crm: str
    query: Mapping[str, Any]
    request: Mapping[str, Any]
    state: PlanState
    why: str
    canary: int
    max_failed: float
    cooling: float
    cooling_until: datetime | None
    watched_until: datetime | None
    report: Mapping[str, Any] | None
    made_at: datetime

    @property
    def reason(self) -> str:
        """Return the name of the plan's own reason; empty: it has the rule's."""
        return self.request.get("reason_name") or ""


@dataclass(frozen=True, slots=True)
class Row:
    """One case of a plan. `skip` says why it is not texted; `number` is the pseudonym of the customer's number."""

    ticket_id: str
    skip: str | None = None
    number: str | None = None
    segments: int = 0


def make(connection: psycopg.Connection, crm: str, query: Query, request: TextRequest) -> str:
    """Create a plan without cases; return its id. It is being made until `release`, or until the connection ends."""
    name = "".join(secrets.choice(LETTERS) for _ in range(ID_LENGTH))
    row = {"plan": name, "crm": crm, "query": Jsonb(asdict(query)), "request": Jsonb(asdict(request))}
    connection.execute(SQL["make"], row)
    return name


def release(connection: psycopg.Connection, plan: str) -> None:
    """End the making of a plan, on the connection that made it."""
    connection.execute(SQL["release"], {"plan": plan})


def is_planning(connection: psycopg.Connection, plan: str) -> bool:
    """Whether the plan is still wanted by those who make it. False: somebody has cancelled it."""
    return connection.execute(SQL["is_planning"], {"plan": plan}).rowcount > 0


def cancel_abandoned(connection: psycopg.Connection) -> None:
    """Cancel the unfinished plans whose processes have ended. One that is still being made is left alone."""
    for (plan,) in connection.execute(SQL["cancel_abandoned"], {"why": ABANDONED}):
        log.warning("a plan was not finished and is cancelled", plan=plan)


def drop(connection: psycopg.Connection, plan: str) -> None:
    """Delete an unfinished plan and all traces of it. A plan that somebody has cancelled stays."""
    connection.execute(SQL["drop"], {"plan": plan})


def add(connection: psycopg.Connection, plan: str, first: int, rows: Sequence[Row]) -> int:
    """Add cases, the first at this position, without those that the plan has already. Return how many are new."""
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute(SQL["page"])
        with cursor.copy("copy plan_page from stdin") as copy:
            for position, row in enumerate(rows, first):
                copy.write_row((position, row.ticket_id, row.skip, row.number, row.segments))
        return cursor.execute(SQL["keep_page"], {"plan": plan}).rowcount


def one_each(connection: psycopg.Connection, plan: str) -> int:
    """Keep the first of several cases of one customer. Return how many others are skipped."""
    # The database's statistics of the table are older than its rows: without new ones, it would compare each pair of
    # rows.
    connection.execute("analyze plan_cases")
    return connection.execute(SQL["one_each"], {"plan": plan, "why": ANOTHER_CASE}).rowcount


def totals(connection: psycopg.Connection, plan: str) -> list[dict[str, Any]]:
    """Return `skip` (None: texted), `cases`, `segments` and three `examples` of each."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(SQL["totals"], {"plan": plan}).fetchall()


def planned(connection: psycopg.Connection, plan: str, report: Mapping[str, Any]) -> bool:
    """Mark the plan as complete: all its cases are stored. Return False where somebody has cancelled it."""
    return connection.execute(SQL["planned"], {"plan": plan, "report": Jsonb(report)}).rowcount > 0


def found(connection: psycopg.Connection, plan: str) -> Plan:
    """Return the plan. Raises NotThere."""
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(SQL["found"], {"plan": plan}).fetchone()
    if row is None:
        raise NotThere(f"there is no plan {plan}; see: connector backfill list")
    return _plan(row)


def locked(connection: psycopg.Connection, plan: str) -> Plan | None:
    """Return the plan, locked until the end of the caller's transaction; None: another process has locked it."""
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(SQL["found_for_update"], {"plan": plan}).fetchone()
    return _plan(row) if row else None


def listed(connection: psycopg.Connection, most: int) -> list[Plan]:
    """Return plans, newest first."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return [_plan(row) for row in cursor.execute(SQL["listed"], {"most": most})]


def _plan(row: dict[str, Any]) -> Plan:
    return Plan(**row | {"state": PlanState(row["state"])})


def active(connection: psycopg.Connection) -> list[str]:
    """Return the ids of active plans, oldest first."""
    return [plan for (plan,) in connection.execute(SQL["active"])]


def start(
    connection: psycopg.Connection, plan: str, canary: int, max_failed: float, cooling: float, watched: float | None
) -> bool:
    """Start or continue a plan. Return False where its state does not allow that.

    `watched`: seconds for which it runs without being extended; None: to its end.
    """
    return bool(
        connection.execute(
            SQL["start"],
            {
                "plan": plan,
                "canary": canary,
                "max_failed": max_failed,
                "cooling": cooling,
                "watched": watched,
            },
        ).rowcount
    )


def watch(connection: psycopg.Connection, plan: str, seconds: float | None) -> None:
    """Extend a watched run by so many seconds; None: to its end, watched or not."""
    connection.execute(SQL["watch"], {"plan": plan, "seconds": seconds})


def note(connection: psycopg.Connection, plan: str, why: str) -> None:
    """Say why an active plan cannot be fed at present; empty: it can."""
    connection.execute(SQL["note"], {"plan": plan, "why": why})


def move(connection: psycopg.Connection, plan: str, to: PlanState, why: str = "") -> bool:
    """Change the plan's state. Return False where its present state does not allow that."""
    from_states = [state.value for state in HALTED_FROM.get(to, ACTIVE)]
    row = {"plan": plan, "state": to, "why": why, "from_states": from_states}
    return bool(connection.execute(SQL["move"], row).rowcount)


def halt(connection: psycopg.Connection, plan: str, to: PlanState, why: str) -> int | None:
    """Halt the plan: texts that have not been sent return to the plan, as if they had never been saved.

    Return the number of these texts; None: the plan's state does not allow that. A text that is being sent gets its
    outcome later. If it was not sent, it returns to the plan then: see `left_behind`.
    """
    with connection.transaction():
        return take_back(connection, plan, why) if move(connection, plan, to, why) else None


def take_back(connection: psycopg.Connection, plan: str, why: str) -> int:
    """Return the unsent texts of a halted plan to it, within the caller's transaction. Return how many there were."""
    texts = [text for (text,) in connection.execute(SQL["take_back"], {"plan": plan})]
    moved = text_store.move(connection, [transitions.taken_back(text, why) for text in texts])
    connection.execute(SQL["give_back"], {"plan": plan, "texts": list(moved)})
    return len(moved)


def left_behind(connection: psycopg.Connection) -> list[str]:
    """Return the plans that are halted and have texts that would be sent all the same."""
    return [plan for (plan,) in connection.execute(SQL["left_behind"])]


def progress(connection: psycopg.Connection, plan: str) -> dict[str | None, int]:
    """Return the number of texted cases in each state; None: without a text yet."""
    return dict(connection.execute(SQL["progress"], {"plan": plan}).fetchall())


def tally(connection: psycopg.Connection, plan: str) -> dict[str, int]:
    """Return the number of cases in each state, as in `outcomes`. Each case counts once."""
    return dict(connection.execute(SQL["tally"], {"plan": plan}).fetchall())


def held(connection: psycopg.Connection, plan: str) -> int:
    """Return the number of the plan's texts that wait for their open hours."""
    [row] = connection.execute(SQL["under_way"], {"plan": plan}).fetchall()
    waiting: int = row[1]
    return waiting


def outcomes(connection: psycopg.Connection, plan: str) -> Iterator[dict[str, Any]]:
    """Yield the result of each case, in order; never all in memory."""
    after = -1
    while True:
        with connection.cursor(row_factory=dict_row) as cursor:
            row = {"plan": plan, "after": after, "most": OUTCOMES_AT_ONCE}
            rows = cursor.execute(SQL["outcomes"], row).fetchall()
        if not rows:
            return
        yield from rows
        after = rows[-1]["position"]
