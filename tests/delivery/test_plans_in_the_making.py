"""Plans while they are being made: cancelled by a person, and left behind by a process that has ended."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import psycopg
import pytest
from psycopg_pool import ConnectionPool

from connector.backfill import operations, plans
from connector.backfill.planner import Planner
from connector.backfill.plans import PlanState
from connector.crms import CRM_BATCH_SIZE, Query
from connector.errors import ActionRefused
from connector.model import TextRequest, Ticket
from connector.store import audit, postgres
from connector.store.audit import Action, Actor, Filter, Source
from tests.support.pipe import wait_for
from tests.support.remote import Tickets, as_crm
from tests.unit.test_mapping_rules import mapping

ACTOR = Actor("ana", Source.CONSOLE, "")


class Deleted(Tickets):
    """Tickets that do not exist any more."""

    def read(self, ids: Sequence[str]) -> dict[str, Ticket]:
        return {}


def make(connection: psycopg.Connection, cases: int, on_page: Callable[[int], None]) -> str:
    ids = [f"500{at:012}AAA" for at in range(cases)]
    planner = Planner("salesforce", as_crm(Deleted()), mapping(), 0, datetime.now(UTC))
    return planner.plan(connection, ids, TextRequest(rule="requested"), on_page=on_page)


@pytest.mark.parametrize("cases", [1, 3 * CRM_BATCH_SIZE])
def test_a_plan_that_is_cancelled_meanwhile_is_not_said_to_be_made(pool: ConnectionPool, cases: int) -> None:
    """One that is cancelled at its last page, and one whose other pages need not be read any more."""
    pages: list[int] = []

    def cancel(read: int) -> None:
        pages.append(read)
        with pool.connection() as other:
            [plan] = plans.listed(other, 9)
            assert operations.halt(other, plan.id, ACTOR, PlanState.CANCELLED, operations.BY_OPERATOR) == 0

    with pool.connection() as connection:
        with pytest.raises(ActionRefused, match=r"Plan \w+ was cancelled while it was being made\."):
            make(connection, cases, cancel)
        [plan] = plans.listed(connection, 9)
        entries = audit.find(connection, Filter(about=f"plan {plan.id}"), 9)

    assert pages == [min(cases, CRM_BATCH_SIZE)]
    assert (plan.state, plan.why, plan.report) == (PlanState.CANCELLED, operations.BY_OPERATOR, None)
    assert [entry.what for entry in entries] == [Action.BACKFILL_CANCEL], "it was never made"


def test_a_plan_is_cancelled_once_the_connection_that_made_it_has_ended(pool: ConnectionPool, url: str) -> None:
    with pool.connection() as maintenance:
        with postgres.single(url) as connection:
            plan = plans.make(connection, "salesforce", Query(), TextRequest())
            plans.cancel_abandoned(maintenance)
            assert plans.found(maintenance, plan).state is PlanState.PLANNING, "it is still being made"

        def found() -> plans.Plan:
            plans.cancel_abandoned(maintenance)
            return plans.found(maintenance, plan)

        wait_for(lambda: found().state is not PlanState.PLANNING, "the database knows that the connection has ended")
        made = plans.found(maintenance, plan)

    assert (made.state, made.why) == (PlanState.CANCELLED, plans.ABANDONED)


def test_a_plan_that_is_made_is_left_alone_and_its_connection_can_make_others(pool: ConnectionPool, url: str) -> None:
    with pool.connection() as maintenance, postgres.single(url) as connection:
        made = [make(connection, 1, lambda _: plans.cancel_abandoned(maintenance)) for _ in range(2)]
        plans.cancel_abandoned(maintenance)
        locks = maintenance.execute(
            """select count(*) from pg_locks join pg_database on pg_database.oid = pg_locks.database
               where locktype = 'advisory' and datname = current_database()"""
        ).fetchone()

        assert [plans.found(connection, plan).state for plan in made] == [PlanState.PLANNED, PlanState.PLANNED]
        assert locks == (0,), "a connection that goes on does not keep the plans that it made"
