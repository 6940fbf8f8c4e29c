"""Feed the texts of back-fills into the pipeline: a few at a time, so that a plan can be paused, with lowest priority.

One worker at a time does this, for all active plans. Delivery decides what becomes of each text.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import psycopg
import structlog
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from connector.backfill import plans
from connector.backfill.plans import Plan, PlanState
from connector.crms import CRM_BATCH_SIZE, Crm, Query
from connector.errors import CallFailed
from connector.mapping.rules import Mapping as TicketMapping
from connector.model import OUTCOMES, Channel, TextRequest, TicketEvent
from connector.store import daily_budget, pauses, postgres
from connector.store import events as event_store

log = structlog.get_logger()

FEED_SECONDS = 1.0
# Seconds of sending that a plan's texts in progress amount to; the minimum and the maximum of these texts.
AHEAD_SECONDS, MIN_AHEAD, MAX_AHEAD = 30.0, 50, 1000
# Outcomes that are needed before the share of failures counts.
ENOUGH = 10
NO_LONGER = "the plan's query does not find the case any more"
UNWATCHED = "nobody watches it any more: the command that ran it has ended"


class Feeder:
    """A feeder of back-fills, one per worker process. `rate`: texts a second that batches may send; 0: no limit.

    `mappings` by CRM: a plan whose outbound number has used up its day's budget is fed again on the next day.
    """

    def __init__(self, connected: Mapping[str, Crm], rate: float, mappings: Mapping[str, TicketMapping] = {}) -> None:
        self._connected, self._mappings = connected, mappings
        self._ahead = max(MIN_AHEAD, min(MAX_AHEAD, int(rate * AHEAD_SECONDS))) if rate else MAX_AHEAD

    def feed(self, connection: psycopg.Connection) -> None:
        """Advance every active plan by one step. Raises what a CRM raised, when all others have had theirs."""
        for name in plans.left_behind(connection):
            _take_back(connection, name)
        failed: CallFailed | None = None
        for name in plans.active(connection):
            try:
                self._feed(connection, name)
            except CallFailed as error:  # perhaps this plan's query alone is at fault
                failed = failed or error
                plans.note(connection, name, f"it cannot go on at present: {error}")
        if failed:
            raise failed

    def _feed(self, connection: psycopg.Connection, name: str) -> None:
        with connection.transaction():
            connection.execute(plans.SQL["patience"])  # the transaction includes a call to the CRM
            plan = plans.locked(connection, name)
            if plan and plan.state in plans.ACTIVE and plan.crm in self._connected:
                self._step(connection, plan)
                plans.note(connection, name, "")

    def _step(self, connection: psycopg.Connection, plan: Plan) -> None:
        now = postgres.now(connection)
        if plan.watched_until and plan.watched_until < now:
            _halt(connection, plan, PlanState.PAUSED, UNWATCHED)
            return
        progress = plans.progress(connection, plan.id)
        if why := _too_many_failed(plan, progress):
            _halt(connection, plan, PlanState.STOPPED, why)
            return
        if in_the_way := pauses.everything(connection).of(plan.crm, Channel.BATCH, plan.request.get("rule")):
            # An operator's pause is waited out. During the canary, a breaker that tripped stops the plan. Later, the
            # plan waits, and goes on once the setting is corrected.
            pause = in_the_way[0]
            if pause.until_resumed and not pause.by_operator and plan.state is PlanState.CANARY:
                _halt(connection, plan, PlanState.STOPPED, str(pause))
            return
        if not self._within_budget(connection, plan, now):
            return
        {PlanState.CANARY: self._canary, PlanState.COOLING: self._cool, PlanState.RUNNING: self._run}[plan.state](
            connection, plan, progress
        )

    def _within_budget(self, connection: psycopg.Connection, plan: Plan, now: datetime) -> bool:
        """Return whether the day's budget has room for the longest text: more texts would be read only to wait."""
        mapping = self._mappings.get(plan.crm)
        number = mapping.outbound_number_of(plan.request.get("rule")) if mapping else ""
        budget = mapping.budgets.get(number) if mapping else None
        if mapping is None or budget is None:
            return True
        use = daily_budget.used(connection, {number: budget}, now)[number]
        return budget.fits(use, mapping.file.policy.max_segments, batch=True)

    def _canary(self, connection: psycopg.Connection, plan: Plan, progress: Mapping[str | None, int]) -> None:
        fed = sum(count for state, count in progress.items() if state is not None)
        if fed < plan.canary and progress.get(None):
            self._take_in(connection, plan, plan.canary - fed)
        elif fed > plan.canary or not progress.get(None):
            plans.move(connection, plan.id, PlanState.RUNNING)  # the canary is over already
        elif _open(progress) == 0:
            connection.execute(plans.SQL["cool"], {"plan": plan.id})
            log.info("the canary of a back-fill is through", plan=plan.id, seconds=plan.cooling)

    def _cool(self, connection: psycopg.Connection, plan: Plan, _: Mapping[str | None, int]) -> None:
        if plan.cooling_until is None or plan.cooling_until <= postgres.now(connection):
            plans.move(connection, plan.id, PlanState.RUNNING)

    def _run(self, connection: psycopg.Connection, plan: Plan, progress: Mapping[str | None, int]) -> None:
        if not progress.get(None):
            if _open(progress) == 0:
                plans.move(connection, plan.id, PlanState.DONE)
                log.info("a back-fill is done", plan=plan.id, **{str(state): n for state, n in progress.items()})
            return
        room = self._ahead - self._waiting(connection, plan, progress)
        if room >= self._ahead // 2:  # several at a time: a call to the CRM costs the same for one and for many
            self._take_in(connection, plan, room)

    def _waiting(self, connection: psycopg.Connection, plan: Plan, progress: Mapping[str | None, int]) -> int:
        """Return the number of texts in progress, without those that wait for their open hours."""
        if not _open(progress):
            return 0
        [row] = connection.execute(plans.SQL["under_way"], {"plan": plan.id}).fetchall()
        waiting: int = row[0] - row[1]
        return waiting

    def _take_in(self, connection: psycopg.Connection, plan: Plan, most: int) -> None:
        """Save texts for the next cases. Skip those that the query no longer finds."""
        with connection.cursor(row_factory=dict_row) as cursor:
            rows = cursor.execute(plans.SQL["next_cases"], {"plan": plan.id, "most": most}).fetchall()
        for start in range(0, len(rows), CRM_BATCH_SIZE):
            self._take_in_part(connection, plan, rows[start : start + CRM_BATCH_SIZE])

    def _take_in_part(self, connection: psycopg.Connection, plan: Plan, rows: Sequence[dict[str, Any]]) -> None:
        query = Query(**plan.query)
        fitting = self._connected[plan.crm].fitting(query, [row["ticket_id"] for row in rows])
        gone = [row["position"] for row in rows if row["ticket_id"] not in fitting]
        connection.execute(plans.SQL["skip_cases"], {"plan": plan.id, "positions": gone, "why": NO_LONGER})
        kept = [row for row in rows if row["ticket_id"] in fitting]
        events = [
            TicketEvent(
                plan.crm,
                f"backfill:{plan.id}:{row['ticket_id']}:{row['tries']}",
                row["ticket_id"],
                channel=Channel.BATCH,
                request=TextRequest(**{**plan.request, "number": row["number"]}),
            )
            for row in kept
        ]
        taken = event_store.save(connection, events)
        became = [{"position": row["position"], "text": one.text} for row, one in zip(kept, taken, strict=True)]
        connection.execute(plans.SQL["took_in"], {"plan": plan.id, "taken": Jsonb(became)})


def _take_back(connection: psycopg.Connection, name: str) -> None:
    """Take back texts that were being sent when their plan was halted, and that were not sent."""
    with connection.transaction():
        plan = plans.locked(connection, name)
        if plan and plan.state not in plans.ACTIVE:
            count = plans.take_back(connection, name, plan.why)
            log.info("texts of a back-fill that does not go on were taken back", plan=name, texts=count)


def _halt(connection: psycopg.Connection, plan: Plan, to: PlanState, why: str) -> None:
    plans.halt(connection, plan.id, to, why)
    log.warning("a back-fill does not go on", plan=plan.id, state=to.value, why=why)


def _open(progress: Mapping[str | None, int]) -> int:
    """Return the number of texts without an outcome."""
    return sum(count for state, count in progress.items() if state is not None and state not in OUTCOMES)


def _too_many_failed(plan: Plan, progress: Mapping[str | None, int]) -> str | None:
    over = sum(progress.get(state, 0) for state in OUTCOMES)
    failed = sum(progress.get(state, 0) for state in plans.FAILURES)
    if failed and over >= min(ENOUGH, plan.canary or ENOUGH) and failed > over * plan.max_failed:
        return f"{failed} of {over} texts so far failed or are unknown; allowed: {plan.max_failed:.0%}"
    return None
