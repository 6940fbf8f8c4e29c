"""Back-fills for scripts: the same pipe, from data of your own.

    from connector.backfill import library
    from connector.model import TextRequest

    with library.opened() as fill:
        ids = fill.take_in("salesforce", ["500000000000001AAA"], TextRequest(rule="requested"), "spring recall")
        for outcome in fill.outcomes(ids):
            print(outcome.ticket_id, outcome.state, outcome.why)

Workers do the rest: `connector run` or `connector worker` has to be running somewhere on the same database.
"""

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

import psycopg

from connector import bootstrap, crms, settings
from connector.backfill.planner import Planner
from connector.crms import Query
from connector.errors import BadSettings
from connector.model import OUTCOMES, Channel, State, TextRequest, TicketEvent
from connector.store import events as event_store
from connector.store import postgres, queries

SQL = queries.load(__file__)
# Events that are committed together; texts that are asked about together; seconds between two looks.
TOGETHER = 500
LOOK = 0.5


@dataclass(frozen=True, slots=True)
class TextOutcome:
    """What became of one text. `chat_id` where it was sent; `at` in UTC."""

    text: int
    ticket_id: str
    state: State
    why: str
    chat_id: int | None
    at: datetime


class BackFill:
    """An open way into the pipe. One thread at a time."""

    def __init__(self, connection: psycopg.Connection, wanted: settings.Settings) -> None:
        self.connection, self._wanted = connection, wanted

    def plan(
        self,
        crm: str,
        source: Query | Iterable[str],
        ask: TextRequest,
        one_each: bool = True,
        on_page: Callable[[int], None] = lambda _: None,
    ) -> str:
        """Plan for what a query finds or for these ids; the plan's id. Sends nothing.

        Raises BadSettings, Refused or Unavailable: there is no plan then.
        """
        mappings = bootstrap.mappings(self._wanted)
        if crm not in mappings:
            raise BadSettings(f"there is no mapping for {crm}; there is one for: {', '.join(mappings)}")
        if found := mappings[crm].unknown(ask):  # it would skip every case
            what, name, known = found
            raise BadSettings(f"there is no {what} {name}; there is: {', '.join(known)}")
        connected = crms.connect(crm, mappings[crm].file)
        try:
            planner = Planner(crm, connected, mappings[crm], self._wanted.batch_rate, postgres.now(self.connection))
            return planner.plan(self.connection, source, ask, one_each, on_page)
        finally:
            connected.close()

    def take_in(self, crm: str, tickets: Iterable[str], ask: TextRequest, name: str) -> list[int]:
        """Ask for a text for each of these tickets; the texts' ids, in order, committed.

        `name` is the reason's own: a ticket is taken in once under it, however often it is asked for.
        """
        ids, left = list[int](), iter(tickets)
        while page := list(islice(left, TOGETHER)):
            events = [
                TicketEvent(crm, f"backfill:{name}:{ticket}", ticket, channel=Channel.BATCH, ask=ask) for ticket in page
            ]
            ids += [one.text for one in event_store.save(self.connection, events) if one.text]
        return ids

    def outcomes(self, texts: Sequence[int], patience: float | None = None) -> Iterator[TextOutcome]:
        """What becomes of these texts, each as soon as it is known. Ends when all are, or after so many seconds."""
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
            time.sleep(LOOK)

    def _over(self, texts: Sequence[int]) -> list[TextOutcome]:
        states = [state.value for state in OUTCOMES]
        rows = self.connection.execute(SQL["over"], {"texts": list(texts), "states": states}).fetchall()
        return [TextOutcome(row[0], row[1], State(row[2]), *row[3:]) for row in rows]


@contextlib.contextmanager
def opened(wanted: settings.Settings | None = None) -> Iterator[BackFill]:
    """With the settings of the environment, or with these. Raises BadSettings."""
    wanted = wanted or settings.load()
    with postgres.ready(wanted) as url, psycopg.connect(url, autocommit=True) as connection:
        yield BackFill(connection, wanted)
