"""Back-fills for scripts: the same pipeline, with data of your own.

    from connector.backfill import library
    from connector.model import TextRequest

    with library.opened() as fill:
        ids = fill.take_in("salesforce", ["500000000000001AAA"], TextRequest(rule="requested"), "spring recall")
        for outcome in fill.outcomes(ids):
            print(outcome.ticket_id, outcome.state, outcome.why)

Workers send the texts: `connector run` or `connector worker` has to be running somewhere on the same database.
"""

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice

import psycopg

from connector import bootstrap, crms
from connector.backfill import reason_name
from connector.backfill.planner import Planner
from connector.crms import Query
from connector.errors import BadSettings
from connector.model import OUTCOMES, Channel, State, TextRequest, TicketEvent
from connector.settings import Settings, load
from connector.store import events as event_store
from connector.store import postgres, queries
from connector.store.audit import Actor

SQL = queries.load(__file__)
# Events per commit, and texts per query; seconds between two polls.
TOGETHER = 500
POLL_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class TextOutcome:
    """The outcome of one text. `chat_id` where it was sent; `at` in UTC."""

    text: int
    ticket_id: str
    state: State
    why: str
    chat_id: int | None
    at: datetime


class BackFill:
    """An open connection to the pipeline. Use it in one thread at a time."""

    def __init__(self, connection: psycopg.Connection, settings: Settings) -> None:
        self.connection, self._settings = connection, settings

    def plan(
        self,
        crm: str,
        source: Query | Iterable[str],
        request: TextRequest,
        one_each: bool = True,
        on_page: Callable[[int], None] = lambda _: None,
        actor: Actor | None = None,
    ) -> str:
        """Plan for the tickets that a query finds, or for these ids; return the plan's id. Sends nothing.

        `actor`: who asks for it, for the audit trail; None: this system user.

        Raises BadSettings, Refused or Unavailable: no plan exists then; ActionRefused: somebody has cancelled it.
        """
        request = replace(request, reason_name=reason_name.checked(request.reason_name))
        mappings = bootstrap.mappings(self._settings)
        if crm not in mappings:
            raise BadSettings(f"there is no mapping for {crm}; there is one for: {', '.join(mappings)}")
        if found := mappings[crm].unknown(request):  # the plan would skip every case
            what, name, known = found
            raise BadSettings(f"there is no {what} {name}; there is: {', '.join(known)}")
        connected = crms.connect(crm, mappings[crm].file)
        try:
            planner = Planner(crm, connected, mappings[crm], self._settings.batch_rate, postgres.now(self.connection))
            return planner.plan(self.connection, source, request, one_each, on_page, actor)
        finally:
            connected.close()

    def take_in(self, crm: str, tickets: Iterable[str], request: TextRequest, name: str) -> list[int]:
        """Request a text for each of these tickets. Return the ids of the texts, in order, after they are committed.

        `name` identifies the reason: under one name a ticket is accepted once, however often it is requested. With
        `request.reason_name`, a ticket that was texted for its rule's reason is texted once more. Raises BadSettings.
        """
        request = replace(request, reason_name=reason_name.checked(request.reason_name))
        ids, left = list[int](), iter(tickets)
        while page := list(islice(left, TOGETHER)):
            events = [
                TicketEvent(crm, f"backfill:{name}:{ticket}", ticket, channel=Channel.BATCH, request=request)
                for ticket in page
            ]
            ids += [one.text for one in event_store.save(self.connection, events) if one.text]
        return ids

    def outcomes(self, texts: Sequence[int], patience: float | None = None) -> Iterator[TextOutcome]:
        """Yield the outcome of each text once it is known. End when all are known, or after `patience` seconds."""
        left = dict.fromkeys(texts)
        end = None if patience is None else time.monotonic() + patience
        while left:
            for start in range(0, len(texts), TOGETHER):
                asked = [text for text in texts[start : start + TOGETHER] if text in left]
                for outcome in self._over(asked) if asked else ():
                    del left[outcome.text]
                    yield outcome
            if not left or (end is not None and time.monotonic() >= end):
                return
            time.sleep(POLL_SECONDS)

    def _over(self, texts: Sequence[int]) -> list[TextOutcome]:
        states = [state.value for state in OUTCOMES]
        rows = self.connection.execute(SQL["over"], {"texts": list(texts), "states": states}).fetchall()
        return [TextOutcome(row[0], row[1], State(row[2]), *row[3:]) for row in rows]


@contextlib.contextmanager
def opened(settings: Settings | None = None) -> Iterator[BackFill]:
    """Open a back-fill with these settings, or with those of the environment. Raises BadSettings."""
    settings = settings or load()
    with postgres.ready(settings) as url, postgres.single(url) as connection:
        yield BackFill(connection, settings)
