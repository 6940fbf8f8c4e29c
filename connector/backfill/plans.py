"""Back-fills as they are kept: a plan, its cases, and how far it has come. Nothing here calls a remote side."""

import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from connector import transitions
from connector.crms import Query
from connector.errors import NotThere
from connector.model import State, TextRequest
from connector.store import queries
from connector.store import texts as text_store

SQL = queries.load(__file__)

# Letters and digits that are not taken for others: people type a plan's id.
LETTERS = "23456789abcdefghjkmnpqrstuvwxyz"
ID_LENGTH = 6
ANOTHER_CASE = "another case of the same customer is in this plan"
OUTCOMES_AT_ONCE = 2_000


class PlanState(StrEnum):
    """Where a plan is. Canary, cooling and running go on by themselves."""

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
# From where a plan can be brought where it does not go on.
HALTED_FROM = {PlanState.PAUSED: ACTIVE, PlanState.STOPPED: ACTIVE, PlanState.CANCELLED: ACTIVE + WAITING}
# What a report calls a case that is still to come.
TO_COME = "waiting"
# Outcomes that a run may have too many of.
FAILURES = (State.FAILED, State.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan. `canary` texts go first; `cooling` seconds lie between them and the others; times in UTC.

    `watched_until`: it pauses when nobody has watched it until then; None: it runs on its own. `report` is what the
    plan found.
    """

    id: str
    crm: str
    query: Mapping[str, Any]
    ask: Mapping[str, Any]
    state: PlanState
    why: str
    canary: int
    max_failed: float
    cooling: float
    cooling_until: datetime | None
    watched_until: datetime | None
    report: Mapping[str, Any] | None
    made_at: datetime


@dataclass(frozen=True, slots=True)
class Row:
    """One case of a plan. `skip` says why it is not texted; `number` is the customer's, as a pseudonym."""

    ticket_id: str
    skip: str | None = None
    number: str | None = None
    segments: int = 0


def make(connection: psycopg.Connection, crm: str, query: Query, ask: TextRequest) -> str:
    """A plan without cases yet; its id."""
    name = "".join(secrets.choice(LETTERS) for _ in range(ID_LENGTH))
    row = {"id": name, "crm": crm, "query": Jsonb(asdict(query)), "ask": Jsonb(asdict(ask))}
    connection.execute(SQL["make"], row)
    return name


def drop(connection: psycopg.Connection, plan: str) -> None:
    """As if it had never been made."""
    connection.execute(SQL["drop"], {"plan": plan})


def add(connection: psycopg.Connection, plan: str, first: int, rows: Sequence[Row]) -> int:
    """Keep these cases, the first at this position; those that the plan has already are left out. How many are new."""
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute(SQL["page"])
        with cursor.copy("copy plan_page from stdin") as copy:
            for position, row in enumerate(rows, first):
                copy.write_row((position, row.ticket_id, row.skip, row.number, row.segments))
        return cursor.execute(SQL["keep_page"], {"plan": plan}).rowcount


def one_each(connection: psycopg.Connection, plan: str) -> int:
    """Keep the first of several cases of one customer. How many are skipped for it."""
    # What the database knows of the table is from before its rows came: it would look at each pair of them.
    connection.execute("analyze plan_cases")
    return connection.execute(SQL["one_each"], {"plan": plan, "why": ANOTHER_CASE}).rowcount


def totals(connection: psycopg.Connection, plan: str) -> list[dict[str, Any]]:
    """`skip` (None: texted), `cases`, `segments` and three `examples` of each."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(SQL["totals"], {"plan": plan}).fetchall()


def planned(connection: psycopg.Connection, plan: str, report: Mapping[str, Any]) -> None:
    """All its cases are there."""
    connection.execute(SQL["planned"], {"plan": plan, "report": Jsonb(report)})


def found(connection: psycopg.Connection, plan: str) -> Plan:
    """Raises NotThere."""
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(SQL["found"], {"plan": plan}).fetchone()
    if row is None:
        raise NotThere(f"there is no plan {plan}; see: connector backfill list")
    return _plan(row)


def locked(connection: psycopg.Connection, plan: str) -> Plan | None:
    """Within the caller's transaction: the plan, ours until it ends. None: somebody else has it."""
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(SQL["found_for_update"], {"plan": plan}).fetchone()
    return _plan(row) if row else None


def listed(connection: psycopg.Connection, most: int) -> list[Plan]:
    """Newest first."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return [_plan(row) for row in cursor.execute(SQL["listed"], {"most": most})]


def _plan(row: dict[str, Any]) -> Plan:
    return Plan(**row | {"state": PlanState(row["state"])})


def active(connection: psycopg.Connection) -> list[str]:
    """The plans that go on, oldest first."""
    return [plan for (plan,) in connection.execute(SQL["active"])]


def start(
    connection: psycopg.Connection, plan: str, canary: int, max_failed: float, cooling: float, watched: float | None
) -> bool:
    """Let it go, or go on. `watched`: how many seconds it goes on by itself; None: to its end. False: it may not."""
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
    """Let a watched run go on for so long; None: to its end, watched or not."""
    connection.execute(SQL["watch"], {"plan": plan, "seconds": seconds})


def move(connection: psycopg.Connection, plan: str, to: PlanState, why: str = "") -> bool:
    """False: it is in no state that leads there."""
    from_states = [state.value for state in HALTED_FROM.get(to, ACTIVE)]
    row = {"plan": plan, "state": to, "why": why, "from_states": from_states}
    return bool(connection.execute(SQL["move"], row).rowcount)


def halt(connection: psycopg.Connection, plan: str, to: PlanState, why: str) -> int | None:
    """Stop it where it is: texts that have not left go back to the plan, as if they had never been taken in.

    How many those were; None: it is in no state that leads there. A text that is leaving has its outcome later; one
    that was not sent goes back then, see `left_behind`.
    """
    with connection.transaction():
        return take_back(connection, plan, why) if move(connection, plan, to, why) else None


def take_back(connection: psycopg.Connection, plan: str, why: str) -> int:
    """Within the caller's transaction, in which the plan does not go on: its texts that have not left. How many."""
    texts = [text for (text,) in connection.execute(SQL["take_back"], {"plan": plan})]
    moved = text_store.move(connection, [transitions.taken_back(text, why) for text in texts])
    connection.execute(SQL["give_back"], {"plan": plan, "texts": list(moved)})
    return len(moved)


def left_behind(connection: psycopg.Connection) -> list[str]:
    """The plans that do not go on and have texts that would leave all the same."""
    return [plan for (plan,) in connection.execute(SQL["left_behind"])]


def progress(connection: psycopg.Connection, plan: str) -> dict[str | None, int]:
    """How many of the cases that are texted are in each state; None: not taken in yet."""
    return dict(connection.execute(SQL["progress"], {"plan": plan}).fetchall())


def tally(connection: psycopg.Connection, plan: str) -> dict[str, int]:
    """How many of all its cases are in each state, as `outcomes` has them: each case counts once."""
    return dict(connection.execute(SQL["tally"], {"plan": plan}).fetchall())


def held(connection: psycopg.Connection, plan: str) -> int:
    """How many of its texts wait for their hours."""
    [row] = connection.execute(SQL["under_way"], {"plan": plan}).fetchall()
    waiting: int = row[1]
    return waiting


def outcomes(connection: psycopg.Connection, plan: str) -> Iterator[dict[str, Any]]:
    """What became of each case, in order; never all in memory."""
    after = -1
    while True:
        with connection.cursor(row_factory=dict_row) as cursor:
            row = {"plan": plan, "after": after, "most": OUTCOMES_AT_ONCE}
            rows = cursor.execute(SQL["outcomes"], row).fetchall()
        if not rows:
            return
        yield from rows
        after = rows[-1]["position"]
