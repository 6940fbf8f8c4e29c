"""Plan a back-fill: read the cases, and map and check each as delivery will. Nothing is sent."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any

import psycopg

from connector import phone
from connector.backfill import plans
from connector.backfill.plans import Row
from connector.crms import CRM_BATCH_SIZE, Crm, Query
from connector.delivery import isolation
from connector.errors import ActionRefused, CallFailed
from connector.mapping.rules import Mapping as TicketMapping
from connector.model import Channel, Decision, Skip, TextRequest, Ticket
from connector.policy.findings import Ruling, Said
from connector.store import audit, daily_budget, pseudonyms, recipients
from connector.store.audit import Action, Actor

# Sample messages that are shown before a back-fill is started.
SAMPLES = 5
MISSING = "the ticket does not exist, or the connector's user cannot see it"
# Findings that name another text, in words without it, so that equal ones are counted together.
ALIKE = {
    "reason": "another text is for the same reason",
    "window": "the customer has been texted a short while ago: one text to a number in its window",
}
# Calls to the CRM, per text and at least: cases are checked again, read and written in batches.
CALLS_EACH, CALLS_AT_LEAST = 0.025, 3

# A page of a back-fill: tickets, and the reason why there is none for each of the other ids.
Page = tuple[Sequence[Ticket], Mapping[str, str]]


@dataclass(slots=True)
class _Seen:
    """Totals of the pages so far, for the report. `samples` by number."""

    cases: int = 0
    twice: int = 0
    held: int = 0
    samples: dict[str, dict[str, Any]] = field(default_factory=dict)


class Planner:
    """A planner for one CRM. `rate`: texts a second that batches may send; 0: no limit."""

    def __init__(self, crm_name: str, crm: Crm, mapping: TicketMapping, rate: float, now: datetime) -> None:
        self._crm_name, self._crm, self._mapping, self._rate, self._now = crm_name, crm, mapping, rate, now

    def plan(
        self,
        connection: psycopg.Connection,
        source: Query | Iterable[str],
        request: TextRequest,
        one_each: bool = True,
        on_page: Callable[[int], None] = lambda _: None,
        actor: Actor | None = None,
    ) -> str:
        """Plan for the tickets that a query finds, or for these ids; return the plan's id.

        `actor`: who asks for it; None: this system user.

        `on_page` gets the number of cases so far. Raises Refused or Unavailable when the call to the CRM fails. No plan
        exists then. Raises ActionRefused when somebody cancels the plan meanwhile. It stays then, as cancelled.
        """
        query = source if isinstance(source, Query) else Query()
        pages = self._found(source) if isinstance(source, Query) else self._read(source)
        plan = plans.make(connection, self._crm_name, query, request)
        try:
            seen = self._keep(connection, plan, pages, request, on_page)
            if one_each:
                plans.one_each(connection, plan)
            self._finish(connection, plan, self._report(connection, plan, seen, request.rule), request.rule, actor)
        except BaseException:  # Ctrl-C too: an incomplete plan is dropped
            plans.drop(connection, plan)
            raise
        finally:
            plans.release(connection, plan)
        return plan

    def _finish(
        self,
        connection: psycopg.Connection,
        plan: str,
        report: Mapping[str, Any],
        rule: str | None,
        actor: Actor | None,
    ) -> None:
        with connection.transaction():
            if not plans.planned(connection, plan, report):
                raise _cancelled(plan)
            about, after = audit.named("plan", plan), {"crm": self._crm_name, "rule": rule}
            audit.record(connection, actor or audit.this_user(), Action.BACKFILL_PLAN, about, after=after)

    def _keep(
        self,
        connection: psycopg.Connection,
        plan: str,
        pages: Iterable[Page],
        request: TextRequest,
        on_page: Callable[[int], None],
    ) -> _Seen:
        seen = _Seen()
        for tickets, missing in pages:
            if not plans.is_planning(connection, plan):
                raise _cancelled(plan)
            rows = self._rows(connection, tickets, request, seen) + [Row(*one) for one in missing.items()]
            seen.twice += len(rows) - plans.add(connection, plan, seen.cases, rows)
            seen.cases += len(rows)
            on_page(seen.cases)
        return seen

    def _found(self, query: Query) -> Iterator[Page]:
        yield from ((tickets, {}) for tickets in self._crm.find(query))

    def _read(self, ids: Iterable[str]) -> Iterator[Page]:
        left = iter(ids)
        while page := list(islice(left, CRM_BATCH_SIZE)):
            found = isolation.read(self._crm, page)
            tickets = [ticket for ticket in found.values() if isinstance(ticket, Ticket)]
            failed = {one: str(error) for one, error in found.items() if isinstance(error, CallFailed)}
            yield tickets, failed | {one: MISSING for one in page if one not in found}

    def _rows(
        self, connection: psycopg.Connection, tickets: Sequence[Ticket], request: TextRequest, seen: _Seen
    ) -> list[Row]:
        decided = [self._mapping.decide(ticket, request) for ticket in tickets]
        # None of them is a text yet: their ids are negative, so that they differ from those of texts.
        wanted = [(~at, self._crm_name, one, None) for at, one in enumerate(decided) if isinstance(one, Decision)]
        known = recipients.known(connection, wanted) if wanted else {}
        policy = self._mapping.policy
        return [
            Row(ticket.id, one.why)
            if isinstance(one, Skip)
            else self._row(connection, ticket, policy.allow(one, known[~at], Channel.BATCH, "", self._now), seen)
            for at, (ticket, one) in enumerate(zip(tickets, decided, strict=True))
        ]

    def _row(self, connection: psycopg.Connection, ticket: Ticket, ruling: Ruling, seen: _Seen) -> Row:
        against = ruling.against
        if against and against.said is Said.STOP:
            return Row(ticket.id, ALIKE.get(against.check, against.why))
        seen.held += against is not None
        number = ruling.sms.end_user_number
        if number not in seen.samples and len(seen.samples) < SAMPLES:
            seen.samples[number] = {
                "ticket": ticket.id,
                "to": phone.mask(number),
                "message": ruling.sms.message,
                "segments": ruling.size.segments,
            }
        return Row(ticket.id, None, pseudonyms.of_number(connection, number), ruling.size.segments)

    def _budget(self, connection: psycopg.Connection, rule: str | None, texts: int, segments: int) -> dict[str, Any]:
        """Return how many days the plan takes with the daily budget of its outbound number. Empty: there is none."""
        number = self._mapping.outbound_number_of(rule)
        budget = self._mapping.budgets.get(number)
        if budget is None or not texts:
            return {}
        use = daily_budget.used(connection, {number: budget}, self._now)[number]
        need = texts if budget.unit == "texts" else segments
        part = budget.limit_of(batch=True)
        return {"days": budget.days(use, need), "limit": budget.limit, "for_batches": part, "unit": budget.unit}

    def _report(self, connection: psycopg.Connection, plan: str, seen: _Seen, rule: str | None) -> dict[str, Any]:
        totals = plans.totals(connection, plan)
        texts = next((one for one in totals if one["skip"] is None), {"cases": 0, "segments": 0})
        return {
            "cases": seen.cases - seen.twice,
            "twice": seen.twice,
            "texts": texts["cases"],
            "segments": texts["segments"],
            "held": seen.held,
            "seconds": round(texts["cases"] / self._rate) if self._rate else None,
            "daily_budget": self._budget(connection, rule, texts["cases"], texts["segments"]) or None,
            "calls": CALLS_AT_LEAST + round(texts["cases"] * CALLS_EACH) if texts["cases"] else 0,
            "skipped": [
                {"why": one["skip"], "cases": one["cases"], "examples": one["examples"]}
                for one in totals
                if one["skip"] is not None
            ],
            "first": list(seen.samples.values()),
        }


def _cancelled(plan: str) -> ActionRefused:
    return ActionRefused(f"plan {plan}", "was cancelled while it was being made")
