"""Delivery by itself: a real database and queue's jobs, and a platform whose answers a test lays down."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import psycopg
from psycopg_pool import ConnectionPool

from connector import admission, database, lane, ledger, queue, slots
from connector.admission import Admission
from connector.breaker import Breaker
from connector.crms import Query
from connector.delivery import Delivery
from connector.exchange import MayLeave
from connector.gate import Gate
from connector.ledger import Wanted
from connector.mapping import Mapping as TicketMapping
from connector.mapping_file import PolicyKeys
from connector.model import Ask, Chat, Decision, OutboundSms, Ticket
from connector.pace import Pace
from connector.people import People
from connector.policy import Policy
from connector.sending import Sender, awake
from connector.verdicts import DIED, Verdicts

# What tests that are about something else go by: any hour, and as many texts to a number as they like.
LENIENT = Policy(PolicyKeys(), frozenset({"hours", "window"}))


def queued(connection: psycopg.Connection, decisions: Mapping[int, Decision]) -> dict[int, int]:
    """Queue these texts as if the policy had nothing against them; which text holds each one's reason."""
    known = ledger.load(connection, list(decisions))
    wanted = [
        Wanted(text, known[text].revision, one.rule, one.reason, one.sms, []) for text, one in decisions.items()
    ]
    return {text: held.holder for text, held in ledger.decide(connection, wanted, database.now(connection)).items()}


def started(connection: psycopg.Connection, *texts: int, good_for: float = 60) -> dict[int, int | lane.Closed]:
    """Begin the calls of these texts as a worker does that has just read them; the numbers of their claims."""
    tries = [ledger.Try(text.id, text.revision, text.id) for text in ledger.load(connection, texts).values()]
    return ledger.claim(connection, tries, good_for)


def died(pool: ConnectionPool) -> set[int]:
    """The workers of all texts in `sending` have had their time: what upkeep makes of it."""
    with pool.connection() as connection:
        connection.execute("update text set claim_until = now() - interval '1 second' where state = 'sending'")
        return ledger.give_up_overdue(connection, DIED)


class Tickets:
    """A CRM in which every ticket is there, with these values, and asks for a text."""

    def __init__(self, values: Mapping[str, object] | None = None) -> None:
        self.values = dict(values or {})

    def probe(self) -> None:
        """Nothing is wrong."""

    def is_own(self, user: str | None) -> bool:
        return False

    def not_an_id(self, given: str) -> str | None:
        return None

    def fitting(self, query: Query, ids: Sequence[str]) -> set[str]:
        return set(ids)

    def read(self, ids: Sequence[str]) -> Mapping[str, Ticket]:
        return {identifier: Ticket("salesforce", identifier, self.values) for identifier in ids}


class Remote:
    """The platform: `answer` is asked for each text, and gives a chat or raises. `sent` is what it was asked for."""

    def __init__(self, pool: ConnectionPool, answer: Callable[[OutboundSms], Chat] | None = None) -> None:
        self.pool, self.sent = pool, list[OutboundSms]()
        self.passed, self.clock = set[str](), awake
        # The CRMs for which this worker's mapping is an older one.
        self.outdated: list[str] = []
        self.answer = answer or (lambda _: Chat(id=114, status="selecting"))

    async def send(self, sms: OutboundSms, may_leave: MayLeave) -> Chat:
        await may_leave()
        self.sent.append(sms)
        return await asyncio.to_thread(self.answer, sms)

    def deliver(
        self, *texts: int, decide: Callable[[Ticket], object] | None = None, per_second: float = 0,
        busy_seconds: float = 60, try_unknown_again: bool = False, policy: Policy = LENIENT,
        clock: admission.Clock = database.now, tickets: Tickets | None = None, mapping: TicketMapping | None = None,
    ) -> float | None:
        """Deliver these texts as a worker does; for how many seconds they have to wait, if they have.

        What to text is decided by `decide`, or by a whole `mapping` and its policy.
        """

        class Decide:
            def decide(self, ticket: Ticket, ask: Ask | None) -> object:
                assert decide
                return decide(ticket)

        async def run() -> float | None:
            with ThreadPoolExecutor(4) as threads:
                ask = database.Asking(self.pool, threads)
                rates = slots.Rates.of(per_second or 1, 1)

                async def reserve(count: int, batch: bool, claimed: bool) -> slots.Grant:
                    return await ask(slots.reserve, rates, count, batch, claimed)

                gate = Gate(500, ["salesforce"], self.closed(), outdated=self.outdated)
                breaker, people = Breaker(ask, gate), People(ask)
                sender = Sender(
                    self.pool, self, Pace(per_second, reserve), threads, 4, 30, people.left, self.clock
                )
                verdicts = Verdicts(breaker, busy_seconds, try_unknown_again)
                admitted = Admission(self.pool, {"salesforce": mapping.policy if mapping else policy}, clock)
                crms = {"salesforce": (tickets or Tickets(), mapping or Decide())}
                delivery = Delivery(self.pool, crms, admitted, sender, verdicts, breaker, people, threads)
                try:
                    await delivery.deliver(texts)
                except queue.Later as later:
                    return later.seconds
                finally:
                    self.passed = breaker.take_passed()
                return None

        waits = asyncio.run(run())
        with self.pool.connection() as connection:
            lane.passed(connection, self.passed)
        return waits

    def closed(self) -> dict[str, lane.Closed]:
        """What a worker's gate knows."""
        with self.pool.connection() as connection:
            return lane.look_all(connection)
