"""What people do to a plan: one operation for command line and console, with its entry in the audit trail."""

import psycopg

from connector.backfill import plans
from connector.backfill.plans import PlanState
from connector.store import audit
from connector.store.audit import Action, Actor

BY_OPERATOR = "by an operator"
ACTIONS = {PlanState.PAUSED: Action.BACKFILL_PAUSE, PlanState.CANCELLED: Action.BACKFILL_CANCEL}


def start(
    connection: psycopg.Connection,
    plan: str,
    actor: Actor,
    canary: int,
    max_failed: float,
    cooling: float,
    watched: float | None = None,
) -> bool:
    """Start or continue a plan. False: its state does not allow that.

    `canary`: texts that go first. `max_failed`: the share of the texts that may fail, 0 to 1. `cooling`: seconds
    between the canary and the rest. `watched`: seconds for which it runs unless somebody watches it; None: to its end.
    """
    with connection.transaction():
        started = plans.start(connection, plan, canary, max_failed, cooling, watched)
        if started:
            after = {
                "canary": canary,
                "cooling_off": cooling,
                "max_failed": max_failed * 100,
                "detached": watched is None,
            }
            audit.record(connection, actor, Action.BACKFILL_RUN, audit.named("plan", plan), after=after)
    return started


def halt(connection: psycopg.Connection, plan: str, actor: Actor, to: PlanState, why: str) -> int | None:
    """Pause or cancel a plan. Return how many unsent texts went back to it; None: its state does not allow that."""
    with connection.transaction():
        taken_back = plans.halt(connection, plan, to, why)
        if taken_back is not None:
            after = {"state": to, "texts_taken_back": taken_back}
            audit.record(connection, actor, ACTIONS[to], audit.named("plan", plan), after=after)
    return taken_back
