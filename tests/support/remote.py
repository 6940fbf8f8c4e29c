"""Delivery by itself: a real database and queue's jobs, and a platform whose answers a test lays down."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import cast

import psycopg
from psycopg_pool import ConnectionPool

from connector.crms import Crm, Query
from connector.delivery import admission
from connector.delivery.admission import Admission
from connector.delivery.backpressure import Backpressure
from connector.delivery.breaker import Breaker
from connector.delivery.pacing import Pacer
from connector.delivery.pipeline import Delivery
from connector.delivery.retry_policy import DIED, RetryPolicy
from connector.delivery.sender import Sender, awake
from connector.delivery.settlement import Settlement
from connector.http.exchange import BeforeSend
from connector.mapping.rules import Mapping as TicketMapping
from connector.model import Chat, Decision, OutboundSms, TextRequest, Ticket
from connector.policy.checks import Policy
from connector.policy.config import PolicyKeys
from connector.store import circuit_breaker, pauses, postgres, rate_limit, sending_claims
from connector.store import texts as text_store
from connector.store.jobs import Snooze
from connector.store.postgres import Asking
from connector.store.sending_claims import Attempt
from connector.store.texts import Claim
from connector.store.waiting_senders import WaitingSenders

# What tests that are about something else go by: any hour, and as many texts to a number as they like.
LENIENT = Policy(PolicyKeys(), frozenset({"hours", "window"}))


def queued(connection: psycopg.Connection, decisions: Mapping[int, Decision]) -> dict[int, int]:
    """Queue these texts as if the policy had nothing against them; which text holds each one's reason."""
    known = text_store.load(connection, list(decisions))
    wanted = [Claim(text, known[text].revision, one.rule, one.reason, one.sms, []) for text, one in decisions.items()]
    return {text: held.holder for text, held in text_store.admit(connection, wanted, postgres.now(connection)).items()}


def started(connection: psycopg.Connection, *texts: int, good_for: float = 60) -> dict[int, int]:
    """Begin the calls of these texts as a worker does that has just read them; the numbers of their claims."""
    tried = try_to_start(connection, *texts, good_for=good_for)
    return {text: claim for text, claim in tried.items() if isinstance(claim, int)}


def try_to_start(connection: psycopg.Connection, *texts: int, good_for: float = 60) -> dict[int, sending_claims.Answer]:
    """The same; and why not, while the account is paused."""
    tries = [Attempt(text.id, text.revision, text.id) for text in text_store.load(connection, texts).values()]
    return sending_claims.start_sending(connection, tries, good_for)


def died(pool: ConnectionPool) -> set[int]:
    """The workers of all texts in `sending` have had their time: what upkeep makes of it."""
    with pool.connection() as connection:
        connection.execute("update texts set claim_until = now() - interval '1 second' where state = 'sending'")
        return text_store.give_up_overdue(connection, DIED)


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

    def read(self, ids: Sequence[str]) -> dict[str, Ticket]:
        return {identifier: Ticket("salesforce", identifier, self.values) for identifier in ids}


def as_crm(tickets: Tickets) -> Crm:
    """Tickets can do what delivery, previews and back-fills ask of a CRM, and no more."""
    return cast(Crm, tickets)


class Remote:
    """The platform: `answer` is asked for each text, and gives a chat or raises. `sent` is what it was asked for."""

    def __init__(self, pool: ConnectionPool, answer: Callable[[OutboundSms], Chat] | None = None) -> None:
        self.pool, self.sent = pool, list[OutboundSms]()
        self.passed, self.clock = set[str](), awake
        # The CRMs for which this worker's mapping is an older one.
        self.outdated: list[str] = []
        self.answer = answer or (lambda _: Chat(id=114, status="selecting"))

    async def send(self, sms: OutboundSms, before_send: BeforeSend) -> Chat:
        await before_send()
        self.sent.append(sms)
        return await asyncio.to_thread(self.answer, sms)

    def deliver(
        self,
        *texts: int,
        decide: Callable[[Ticket], object] | None = None,
        per_second: float = 0,
        busy_seconds: float = 60,
        try_unknown_again: bool = False,
        policy: Policy = LENIENT,
        clock: admission.Clock = postgres.now,
        tickets: Tickets | None = None,
        mapping: TicketMapping | None = None,
        notify_holds: Sequence[str] = (),
    ) -> float | None:
        """Deliver these texts as a worker does; for how many seconds they have to wait, if they have.

        What to text is decided by `decide`, or by a whole `mapping` and its policy.
        """

        class Decide:
            def decide(self, ticket: Ticket, request: TextRequest | None) -> object:
                assert decide
                return decide(ticket)

            notifies_holds = bool(notify_holds)

        async def run() -> float | None:
            with ThreadPoolExecutor(4) as threads:
                ask = Asking(self.pool, threads)
                rates = rate_limit.Rates.of(per_second or 1, 1)

                async def reserve(count: int, batch: bool, claimed: bool) -> rate_limit.Grant:
                    return await ask(rate_limit.reserve, rates, count, batch, claimed)

                backpressure = Backpressure(500, ["salesforce"], self.pauses(), outdated=self.outdated)
                breaker, people = Breaker(ask, backpressure), WaitingSenders(ask)
                rules = mapping.policy if mapping else policy
                pacer = Pacer(per_second, reserve)
                sender = Sender(self.pool, self, pacer, threads, 4, 30, people.left, self.clock, rules.budgets)
                retry_policy = RetryPolicy(busy_seconds, try_unknown_again, notify_holds)
                admitted = Admission(self.pool, {"salesforce": rules}, clock, notify_holds)
                decider = mapping or cast(TicketMapping, Decide())  # the one thing of a mapping that is asked of it
                crms = {"salesforce": (as_crm(tickets or Tickets()), decider)}
                delivery = Delivery(
                    self.pool,
                    crms,
                    admitted,
                    sender,
                    retry_policy,
                    breaker,
                    people,
                    Settlement(self.pool, threads),
                    threads,
                )
                try:
                    await delivery.deliver(texts)
                except Snooze as later:
                    return later.seconds
                finally:
                    self.passed = breaker.take_passed()
                return None

        waits = asyncio.run(run())
        with self.pool.connection() as connection:
            circuit_breaker.passed(connection, self.passed)
        return waits

    def pauses(self) -> dict[str, circuit_breaker.SendingPaused]:
        """What a worker's backpressure knows."""
        with self.pool.connection() as connection:
            return pauses.everything(connection).by_account
